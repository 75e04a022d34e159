package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// EventRoute declares what happens to the events that are published to topics. A
// topic without a matching rule gets its events itself.
type EventRoute struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   EventRouteSpec `json:"spec"`
	Status Status         `json:"status,omitempty"`
}

// EventRouteSpec holds rules for topics.
type EventRouteSpec struct {
	// ParentRefs are the topics that the rules apply to. They are in the route's own
	// namespace, each named once.
	// +kubebuilder:validation:MinItems=1
	// +warren:refers=EventTopic
	ParentRefs []LocalRef `json:"parentRefs"`
	// Rules are tried in order: the first rule whose filters match applies.
	// +kubebuilder:validation:MinItems=1
	Rules []RouteRule `json:"rules"`
}

// RouteRule sends matching events to backends.
type RouteRule struct {
	// Name of the rule, unique in its route. Spans and metrics carry it.
	// +warren:format=name
	// +warren:default:text=rule-<index>
	Name string `json:"name,omitempty"`
	// Filters say which events the rule applies to; all must match.
	// +warren:default:text=none, the rule matches every event
	Filters []Filter `json:"filters,omitempty"`
	// BackendRefs are the topics that get the events, by weight.
	// +kubebuilder:validation:MinItems=1
	// +warren:refers=EventTopic
	// +warren:default:text=the parent topic itself
	BackendRefs []BackendRef `json:"backendRefs,omitempty"`
	// Timeout is the deadline of a publish, all its tries included.
	// +warren:range=1ns..
	// +warren:default:text=none, the caller's deadline alone
	Timeout *metav1.Duration `json:"timeout,omitempty"`
	// Retry policy of publishes.
	Retry *RouteRetry `json:"retry,omitempty"`

	// Mirror copies events to another topic.
	// +warren:unsupported
	Mirror *Mirror `json:"mirror,omitempty"`
	// Transform changes the attributes of events.
	// +warren:unsupported
	Transform *Transform `json:"transform,omitempty"`
	// Fault delays publishes or makes them fail, to test how services react.
	// +warren:unsupported
	Fault *Fault `json:"fault,omitempty"`
	// RateLimit bounds how many events pass.
	// +warren:unsupported
	RateLimit *RateLimit `json:"rateLimit,omitempty"`
}

// BackendRef is a topic with a weight.
type BackendRef struct {
	// Kind of the object; only one is allowed here, so it can be left out.
	Kind string `json:"kind,omitempty"`
	// Namespace of the topic.
	// +warren:format=namespace
	// +warren:default:text=the namespace of the route
	Namespace string `json:"namespace,omitempty"`
	// Name of the topic. A rule names each topic once.
	// +warren:format=name
	Name string `json:"name"`
	// Weight of the topic relative to the others of the rule; 0 sends nothing. The
	// weights of a rule sum to at least 1.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000
	// +warren:default=1
	Weight *int32 `json:"weight,omitempty"`
}

// RouteRetry is the retry policy of publishes.
type RouteRetry struct {
	// Attempts in all, the first included.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	// +warren:default=3
	Attempts *int32 `json:"attempts,omitempty"`
	// On lists the failures after which to retry, each once.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:items:Enum=nack;confirm-timeout;connect-failure;channel-closed
	// +listType=set
	// +warren:default=[nack, confirm-timeout, connect-failure, channel-closed]
	On []string `json:"on,omitempty"`
	// PerTryTimeout is how long one try waits for the confirm. It is at most the rule's
	// timeout.
	// +warren:range=1ns..
	// +warren:default:text=the backend topic's confirmTimeout
	PerTryTimeout *metav1.Duration `json:"perTryTimeout,omitempty"`
	// Backoff between tries.
	// +warren:default:baseInterval=50ms
	// +warren:default:maxInterval=2s
	Backoff *Backoff `json:"backoff,omitempty"`
}

// Mirror copies a share of the events.
type Mirror struct {
	// TopicRef names the topic that gets the copies.
	// +warren:refers=EventTopic
	TopicRef LocalRef `json:"topicRef"`
	// Percent of the events that is copied.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Percent int32 `json:"percent,omitempty"`
}

// Transform changes the attributes of events.
type Transform struct {
	// Set gives attributes a value.
	Set map[string]string `json:"set,omitempty"`
	// Remove deletes attributes.
	Remove []string `json:"remove,omitempty"`
}

// Fault is an injected failure.
type Fault struct {
	// Delay before an event goes on.
	Delay *metav1.Duration `json:"delay,omitempty"`
	// Abort fails the publish with this gRPC status.
	Abort string `json:"abort,omitempty"`
	// Percent of the events that are affected.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Percent int32 `json:"percent,omitempty"`
}

// RateLimit bounds how many events pass.
type RateLimit struct {
	// PerSecond is the sustained rate.
	// +kubebuilder:validation:Minimum=1
	PerSecond int32 `json:"perSecond,omitempty"`
	// Burst is how many events may pass at once.
	// +kubebuilder:validation:Minimum=1
	Burst int32 `json:"burst,omitempty"`
}

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Group, version and the kinds.
const (
	Group      = "warrenmesh.io"
	Version    = "v1alpha1"
	APIVersion = Group + "/" + Version

	KindEventBroker       = "EventBroker"
	KindEventTopic        = "EventTopic"
	KindEventRoute        = "EventRoute"
	KindEventSubscription = "EventSubscription"
	KindEventPolicy       = "EventPolicy"
)

// Condition types and reasons, as in the Gateway API.
const (
	ConditionAccepted     = "Accepted"
	ConditionResolvedRefs = "ResolvedRefs"
	ConditionProgrammed   = "Programmed"

	ReasonAccepted    = "Accepted"
	ReasonResolved    = "ResolvedRefs"
	ReasonProgrammed  = "Programmed"
	ReasonPending     = "Pending"
	ReasonRejected    = "Rejected"
	ReasonNoSidecars  = "NoSidecars"
	ReasonUnsupported = "UnsupportedValue"
	ReasonInvalid     = "Invalid"
	ReasonRefNotFound = "RefNotFound"
	ReasonConflicted  = "Conflicted"
)

// LocalRef names an object, in the referrer's namespace unless one is given.
type LocalRef struct {
	Kind      string `json:"kind,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

// Status is the observed state of an object.
type Status struct {
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// EventBroker declares one RabbitMQ cluster and vhost, or the in-process broker.
type EventBroker struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   EventBrokerSpec `json:"spec"`
	Status Status          `json:"status,omitempty"`
}

// EventBrokerSpec says how to reach a broker.
type EventBrokerSpec struct {
	// Type is RabbitMQ (default) or Memory.
	Type string `json:"type,omitempty"`
	// VHost defaults to "/". Memory has none.
	VHost string `json:"vhost,omitempty"`
	// Nodes are the endpoints; at least one for RabbitMQ, none for Memory.
	Nodes []BrokerNode `json:"nodes,omitempty"`
	// Credentials name a directory on the sidecar's side.
	Credentials *CredentialsRef `json:"credentials,omitempty"`
	// Topology is Manage (default), Verify or Ignore.
	Topology string `json:"topology,omitempty"`
	// Heartbeat of AMQP connections, default 10s, at least 1s. Memory has none.
	Heartbeat *metav1.Duration `json:"heartbeat,omitempty"`
	// TLS and ServiceRef come later; setting them is refused.
	TLS        *BrokerTLS `json:"tls,omitempty"`
	ServiceRef *LocalRef  `json:"serviceRef,omitempty"`
}

// BrokerNode is one endpoint of a broker.
type BrokerNode struct {
	// Address is host:port.
	Address string `json:"address"`
	// Zone defaults to "default".
	Zone string `json:"zone,omitempty"`
	// Priority: 0 (default) is tried first; no gaps.
	Priority int32 `json:"priority,omitempty"`
}

// CredentialsRef names credentials.
type CredentialsRef struct {
	Name string `json:"name"`
}

// BrokerTLS is not supported yet.
type BrokerTLS struct {
	CACertificate string `json:"caCertificate,omitempty"`
	ServerName    string `json:"serverName,omitempty"`
}

// EventTopic declares a topic.
type EventTopic struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   EventTopicSpec `json:"spec"`
	Status Status         `json:"status,omitempty"`
}

// EventTopicSpec says where a topic's events are put.
type EventTopicSpec struct {
	BrokerRef LocalRef `json:"brokerRef"`
	// Exchange defaults to the topic's name, type topic.
	Exchange *Exchange `json:"exchange,omitempty"`
	// RoutingKey is a template, default "{type}".
	RoutingKey string `json:"routingKey,omitempty"`
	// Partitions come later; setting them is refused.
	Partitions *Partitions `json:"partitions,omitempty"`
	// Publish settings.
	Publish *PublishSettings `json:"publish,omitempty"`
}

// Exchange names an AMQP exchange.
type Exchange struct {
	Name string `json:"name,omitempty"`
	// Type is topic (default), direct, fanout or headers.
	Type string `json:"type,omitempty"`
}

// Partitions split a topic by a key.
type Partitions struct {
	Count int32  `json:"count"`
	Key   string `json:"key,omitempty"`
}

// PublishSettings say how events are published.
type PublishSettings struct {
	// ConfirmTimeout of one try, default 2s.
	ConfirmTimeout *metav1.Duration `json:"confirmTimeout,omitempty"`
	// Mandatory defaults to true: an event no queue takes is UNROUTABLE.
	Mandatory *bool `json:"mandatory,omitempty"`
	// Persistent defaults to true on a broker that is durable, else to false.
	Persistent *bool `json:"persistent,omitempty"`
	// TTL is the messages' expiration, in whole milliseconds; unset means none.
	TTL *metav1.Duration `json:"ttl,omitempty"`
	// Priority 0-9, default 0.
	Priority int32 `json:"priority,omitempty"`
	// MaxEventBytes is the largest payload, default 1 MiB, at most 16 MiB.
	MaxEventBytes *int32 `json:"maxEventBytes,omitempty"`
}

// EventRoute declares what happens to events of topics.
type EventRoute struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   EventRouteSpec `json:"spec"`
	Status Status         `json:"status,omitempty"`
}

// EventRouteSpec holds rules for its parents.
type EventRouteSpec struct {
	ParentRefs []LocalRef  `json:"parentRefs"`
	Rules      []RouteRule `json:"rules"`
}

// RouteRule sends matching events to backends.
type RouteRule struct {
	// Name defaults to "rule-<index>".
	Name    string   `json:"name,omitempty"`
	Filters []Filter `json:"filters,omitempty"`
	// BackendRefs default to the parent topic itself.
	BackendRefs []BackendRef `json:"backendRefs,omitempty"`
	// Timeout is the total deadline of a publish; unset means the caller's alone.
	Timeout *metav1.Duration `json:"timeout,omitempty"`
	Retry   *RouteRetry      `json:"retry,omitempty"`

	// Mirror, Transform, Fault and RateLimit come later; setting them is refused.
	Mirror    *Mirror    `json:"mirror,omitempty"`
	Transform *Transform `json:"transform,omitempty"`
	Fault     *Fault     `json:"fault,omitempty"`
	RateLimit *RateLimit `json:"rateLimit,omitempty"`
}

// Filter is a filter of the CloudEvents Subscriptions API; exactly one field is set.
type Filter struct {
	Exact  map[string]string `json:"exact,omitempty"`
	Prefix map[string]string `json:"prefix,omitempty"`
	Suffix map[string]string `json:"suffix,omitempty"`
	All    []Filter          `json:"all,omitempty"`
	Any    []Filter          `json:"any,omitempty"`
	Not    *Filter           `json:"not,omitempty"`
	// CESQL comes later; setting it is refused.
	CESQL string `json:"cesql,omitempty"`
}

// BackendRef is a weighted topic.
type BackendRef struct {
	Kind      string `json:"kind,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	// Weight defaults to 1; 0 sends nothing.
	Weight *int32 `json:"weight,omitempty"`
}

// RouteRetry is the retry policy of publishes.
type RouteRetry struct {
	// Attempts in all, the first included; default 3, 1-100.
	Attempts *int32 `json:"attempts,omitempty"`
	// On defaults to all: nack, confirm-timeout, connect-failure, channel-closed.
	On []string `json:"on,omitempty"`
	// PerTryTimeout defaults to the destination's confirm timeout.
	PerTryTimeout *metav1.Duration `json:"perTryTimeout,omitempty"`
	Backoff       *Backoff         `json:"backoff,omitempty"`
}

// Backoff is exponential, doubling from BaseInterval, at least 1ms, to MaxInterval.
type Backoff struct {
	BaseInterval *metav1.Duration `json:"baseInterval,omitempty"`
	MaxInterval  *metav1.Duration `json:"maxInterval,omitempty"`
}

// Mirror is not supported yet.
type Mirror struct {
	TopicRef LocalRef `json:"topicRef"`
	Percent  int32    `json:"percent,omitempty"`
}

// Transform is not supported yet.
type Transform struct {
	Set    map[string]string `json:"set,omitempty"`
	Remove []string          `json:"remove,omitempty"`
}

// Fault is not supported yet.
type Fault struct {
	Delay   *metav1.Duration `json:"delay,omitempty"`
	Abort   string           `json:"abort,omitempty"`
	Percent int32            `json:"percent,omitempty"`
}

// RateLimit is not supported yet.
type RateLimit struct {
	PerSecond int32 `json:"perSecond,omitempty"`
	Burst     int32 `json:"burst,omitempty"`
}

// EventSubscription declares a workload's durable interest in a topic.
type EventSubscription struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   EventSubscriptionSpec `json:"spec"`
	Status Status                `json:"status,omitempty"`
}

// EventSubscriptionSpec says which events go to whom, and how.
type EventSubscriptionSpec struct {
	TopicRef LocalRef `json:"topicRef"`
	// Selector picks the workloads by label; it must not be empty.
	Selector metav1.LabelSelector `json:"selector"`
	Filters  []Filter             `json:"filters,omitempty"`
	Queue    *Queue               `json:"queue,omitempty"`
	// Ordering is None (default); PerKey comes later and is refused.
	Ordering string `json:"ordering,omitempty"`
	// Delivery: omit push and the service pulls by stream. Push comes later.
	Delivery *Delivery `json:"delivery,omitempty"`
	// AckDeadline defaults to 30s; 1s to 15m, well under RabbitMQ's consumer_timeout.
	AckDeadline *metav1.Duration   `json:"ackDeadline,omitempty"`
	Retry       *SubscriptionRetry `json:"retry,omitempty"`
	DeadLetter  *DeadLetter        `json:"deadLetter,omitempty"`
}

// Queue of a subscription.
type Queue struct {
	// Name defaults to "<namespace>.<subscription>".
	Name string `json:"name,omitempty"`
	// Type is quorum (default on RabbitMQ) or classic; Memory has no types.
	Type string `json:"type,omitempty"`
	// Prefetch bounds unsettled deliveries per stream, default 64, 1-65535.
	Prefetch *int32 `json:"prefetch,omitempty"`
}

// Delivery says how events reach the service.
type Delivery struct {
	Push *Push `json:"push,omitempty"`
}

// Push is delivery by OnEvent on a loopback port.
type Push struct {
	Port int32 `json:"port"`
}

// SubscriptionRetry says how often and how soon a failed delivery is repeated.
type SubscriptionRetry struct {
	// Attempts in all, the first included; default 5, 1-100.
	Attempts *int32 `json:"attempts,omitempty"`
	// Backoff defaults to 1s doubling to 5m.
	Backoff *Backoff `json:"backoff,omitempty"`
}

// DeadLetter says where dead letters go.
type DeadLetter struct {
	// Queue defaults to "<queue name>.dead".
	Queue string `json:"queue,omitempty"`
}

// EventPolicy tunes brokers and topics. It is refused until it is supported.
type EventPolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   EventPolicySpec `json:"spec"`
	Status Status          `json:"status,omitempty"`
}

// EventPolicySpec is not supported yet.
type EventPolicySpec struct {
	TargetRefs       []LocalRef     `json:"targetRefs,omitempty"`
	LoadBalancer     map[string]any `json:"loadBalancer,omitempty"`
	CircuitBreaker   map[string]any `json:"circuitBreaker,omitempty"`
	OutlierDetection map[string]any `json:"outlierDetection,omitempty"`
	Access           map[string]any `json:"access,omitempty"`
}

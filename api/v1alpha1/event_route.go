package v1alpha1

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/warrenmesh/warren/mesh"
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

func (c *checker) route(r *EventRoute, p Path) {
	c.parents(r, p.Child("parentRefs"))
	rp := p.Child("rules")
	if len(r.Spec.Rules) == 0 {
		c.invalid(rp, "is empty: a route needs at least one rule; a rule without filters matches every event")
	}
	seen := map[string]int{}
	for i := range r.Spec.Rules {
		rule := &r.Spec.Rules[i]
		if first, dup := seen[rule.Name]; dup {
			c.invalid(rp.Index(i).Child("name"), "is %q, as that of rules[%d] is: names are unique within a route", rule.Name, first)
		} else {
			seen[rule.Name] = i
		}
		c.rule(rule, rp.Index(i))
	}
}

func (c *checker) parents(r *EventRoute, p Path) {
	if len(r.Spec.ParentRefs) == 0 {
		c.invalid(p, "is empty: name the topics the route belongs to, such as {kind: EventTopic, name: orders}")
	}
	seen := map[LocalRef]int{}
	for i, ref := range r.Spec.ParentRefs {
		c.ref(p.Index(i), ref, KindEventTopic)
		// The Gateway API has the same rule: its listeners admit routes of their own
		// namespace. No team can reroute the events of another.
		if ref.Namespace != namespaceOf(r) {
			c.invalid(p.Index(i).Child("namespace"), "is %q: a route belongs to topics of its own namespace %q", ref.Namespace, namespaceOf(r))
		}
		if first, dup := seen[ref]; dup {
			c.invalid(p.Index(i), "repeats parentRefs[%d]: name each topic once", first)
		} else {
			seen[ref] = i
		}
	}
}

func (c *checker) rule(r *RouteRule, p Path) {
	c.name(p.Child("name"), r.Name)
	c.filters(p.Child("filters"), r.Filters, 1)
	c.backends(p.Child("backendRefs"), r.BackendRefs)
	c.positive(p.Child("timeout"), r.Timeout)
	if r.Retry != nil {
		c.routeRetry(r, p.Child("retry"))
	}
	for _, later := range []struct {
		field string
		set   bool
	}{
		{"mirror", r.Mirror != nil}, {"transform", r.Transform != nil}, {"fault", r.Fault != nil}, {"rateLimit", r.RateLimit != nil},
	} {
		if later.set {
			c.unsupported(p.Child(later.field), later.field)
		}
	}
}

func (c *checker) backends(p Path, refs []BackendRef) {
	if refs != nil && len(refs) == 0 {
		c.invalid(p, "is an empty list: name a topic, or leave it out to keep events on the route's own topic")
	}
	type key struct{ namespace, name string }
	seen := map[key]int{}
	var sum int64
	for i, b := range refs {
		bp := p.Index(i)
		c.ref(bp, LocalRef{Kind: b.Kind, Namespace: b.Namespace, Name: b.Name}, KindEventTopic)
		if b.Weight != nil {
			c.between(bp.Child("weight"), int64(*b.Weight), 0, MaxWeight)
			sum += max(0, int64(*b.Weight))
		}
		if first, dup := seen[key{b.Namespace, b.Name}]; dup {
			c.invalid(bp.Child("name"), "is %q, as that of backendRefs[%d] is: name each topic once and add the weights", b.Name, first)
		} else {
			seen[key{b.Namespace, b.Name}] = i
		}
	}
	if len(refs) > 0 && sum == 0 {
		c.invalid(p, "has weights that sum to 0: at least one weight must be 1 or more")
	}
}

func (c *checker) routeRetry(rule *RouteRule, p Path) {
	r := rule.Retry
	c.attempts(p.Child("attempts"), r.Attempts)
	if r.On != nil && len(r.On) == 0 {
		c.invalid(p.Child("on"), "is an empty list: name failures to retry, or set attempts to 1 for no retries")
	}
	for i, on := range r.On {
		if _, err := mesh.ParseRetryOn(on); err != nil {
			c.oneOf(p.Child("on").Index(i), on, RetryConditions()...)
		} else if first := slices.Index(r.On, on); first < i {
			c.invalid(p.Child("on").Index(i), "repeats on[%d] %q: name each failure once", first, on)
		}
	}
	c.positive(p.Child("perTryTimeout"), r.PerTryTimeout)
	if t := r.PerTryTimeout; t != nil && rule.Timeout != nil && t.Duration > rule.Timeout.Duration {
		c.invalid(p.Child("perTryTimeout"), "is %s, longer than the rule's timeout of %s: one try cannot outlast all of them", t.Duration, rule.Timeout.Duration)
	}
	c.backoff(p.Child("backoff"), r.Backoff)
}

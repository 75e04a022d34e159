package v1alpha1

import (
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/warrenmesh/warren/mesh"
)

// Defaults of fields that are left out.
const (
	DefaultVHost          = "/"
	DefaultZone           = "default"
	DefaultHeartbeat      = 10 * time.Second
	DefaultRoutingKey     = "{type}"
	DefaultConfirmTimeout = 2 * time.Second
	DefaultMaxEventBytes  = 1 << 20
	DefaultPartitionKey   = "partitionkey"

	DefaultRouteAttempts    = 3
	DefaultRouteBackoffBase = 50 * time.Millisecond
	DefaultRouteBackoffMax  = 2 * time.Second

	DefaultPrefetch                = 64
	DefaultAckDeadline             = 30 * time.Second
	DefaultSubscriptionAttempts    = 5
	DefaultSubscriptionBackoffBase = time.Second
	DefaultSubscriptionBackoffMax  = 5 * time.Minute
	DefaultMaxElapsed              = 5 * time.Minute
	DefaultDedupeWindow            = 10 * time.Minute
	DefaultDedupeEntries           = 100_000
)

// Values of enum-like fields.
const (
	BrokerRabbitMQ = "RabbitMQ"
	BrokerMemory   = "Memory"

	TopologyManage = "Manage"
	TopologyVerify = "Verify"
	TopologyIgnore = "Ignore"

	OrderingNone   = "None"
	OrderingPerKey = "PerKey"

	EncodingKeep   = "Keep"
	EncodingDecode = "Decode"

	RetryDelayQueues = "DelayQueues"
	RetryBrokerDelay = "BrokerDelay"

	KeyContinue = "Continue"
	KeyHold     = "Hold"

	QueueQuorum  = "quorum"
	QueueClassic = "classic"

	exchangeTopic = "topic"
)

// RetryConditions lists the allowed values of a route's retry.on; the default is all of
// them. The caller owns the slice.
func RetryConditions() []string {
	return []string{
		mesh.OnNack.String(), mesh.OnConfirmTimeout.String(),
		mesh.OnConnectFailure.String(), mesh.OnChannelClosed.String(),
	}
}

// Default fills in, in place, every field that was left out and has a default. It is
// idempotent, never overwrites a value, and accepts objects that Validate would refuse.
//
// Three defaults depend on the type of the object's broker. The code that resolves
// references fills them in: a broker of type Memory has neither vhost nor heartbeat,
// publish.persistent is true on brokers that can keep events, and queue.type is quorum
// on brokers that have quorum queues.
func Default(obj Object) {
	if obj.GetNamespace() == "" {
		obj.SetNamespace(DefaultNamespace)
	}
	switch o := obj.(type) {
	case *EventBroker:
		defaultBroker(&o.Spec)
	case *EventTopic:
		defaultTopic(o)
	case *EventRoute:
		defaultRoute(o)
	case *EventSubscription:
		defaultSubscription(o)
	}
}

func defaultBroker(s *EventBrokerSpec) {
	set(&s.Type, BrokerRabbitMQ)
	set(&s.Topology, TopologyManage)
	if s.Type != BrokerMemory {
		set(&s.VHost, DefaultVHost)
		setDuration(&s.Heartbeat, DefaultHeartbeat)
	}
	for i := range s.Nodes {
		set(&s.Nodes[i].Zone, DefaultZone)
	}
}

func defaultTopic(t *EventTopic) {
	s := &t.Spec
	defaultRef(&s.BrokerRef, KindEventBroker, t.Namespace)
	if s.Exchange == nil {
		s.Exchange = &Exchange{}
	}
	set(&s.Exchange.Name, t.Name)
	set(&s.Exchange.Type, exchangeTopic)
	set(&s.RoutingKey, DefaultRoutingKey)
	if s.Partitions != nil {
		set(&s.Partitions.Key, DefaultPartitionKey)
	}
	if s.Publish == nil {
		s.Publish = &PublishSettings{}
	}
	setDuration(&s.Publish.ConfirmTimeout, DefaultConfirmTimeout)
	setPtr(&s.Publish.Mandatory, true)
	setPtr(&s.Publish.MaxEventBytes, DefaultMaxEventBytes)
}

func defaultRoute(r *EventRoute) {
	for i := range r.Spec.ParentRefs {
		defaultRef(&r.Spec.ParentRefs[i], KindEventTopic, r.Namespace)
	}
	for i := range r.Spec.Rules {
		rule := &r.Spec.Rules[i]
		set(&rule.Name, "rule-"+strconv.Itoa(i))
		for j := range rule.BackendRefs {
			b := &rule.BackendRefs[j]
			set(&b.Kind, KindEventTopic)
			set(&b.Namespace, r.Namespace)
			setPtr(&b.Weight, 1)
		}
		if rule.Retry == nil {
			rule.Retry = &RouteRetry{}
		}
		DefaultRetry(rule.Retry)
	}
}

// DefaultRetry fills in a route's retry policy. An empty policy becomes the one of
// rules and topics that declare none.
func DefaultRetry(r *RouteRetry) {
	setPtr(&r.Attempts, DefaultRouteAttempts)
	if r.On == nil {
		r.On = RetryConditions()
	}
	defaultBackoff(&r.Backoff, DefaultRouteBackoffBase, DefaultRouteBackoffMax)
}

func defaultSubscription(s *EventSubscription) {
	spec := &s.Spec
	defaultRef(&spec.TopicRef, KindEventTopic, s.Namespace)
	if spec.Queue == nil {
		spec.Queue = &Queue{}
	}
	set(&spec.Queue.Name, s.Namespace+"."+s.Name)
	setPtr(&spec.Queue.Prefetch, DefaultPrefetch)
	set(&spec.Ordering, OrderingNone)
	set(&spec.ContentEncoding, EncodingKeep)
	setDuration(&spec.AckDeadline, DefaultAckDeadline)
	if spec.Retry == nil {
		spec.Retry = &SubscriptionRetry{}
	}
	setPtr(&spec.Retry.Attempts, DefaultSubscriptionAttempts)
	defaultBackoff(&spec.Retry.Backoff, DefaultSubscriptionBackoffBase, DefaultSubscriptionBackoffMax)
	set(&spec.Retry.Strategy, RetryDelayQueues)
	if spec.DeadLetter == nil {
		spec.DeadLetter = &DeadLetter{}
	}
	set(&spec.DeadLetter.Queue, spec.Queue.Name+".dead")
	if spec.Ordering == OrderingPerKey {
		setDuration(&spec.Retry.MaxElapsed, DefaultMaxElapsed)
		set(&spec.DeadLetter.KeyPolicy, KeyContinue)
	}
	if spec.Dedupe != nil {
		setDuration(&spec.Dedupe.Window, DefaultDedupeWindow)
		setPtr(&spec.Dedupe.MaxEntries, DefaultDedupeEntries)
	}
}

func defaultRef(r *LocalRef, kind, namespace string) {
	set(&r.Kind, kind)
	set(&r.Namespace, namespace)
}

// defaultBackoff keeps base <= max when only one of them was declared and it is beyond
// the other's default.
func defaultBackoff(b **Backoff, base, limit time.Duration) {
	if *b == nil {
		*b = &Backoff{}
	}
	if d := (*b).MaxInterval; d != nil {
		base = min(base, d.Duration)
	}
	setDuration(&(*b).BaseInterval, base)
	setDuration(&(*b).MaxInterval, max(limit, (*b).BaseInterval.Duration))
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func setPtr[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}

func setDuration(field **metav1.Duration, value time.Duration) {
	setPtr(field, metav1.Duration{Duration: value})
}

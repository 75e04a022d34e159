package v1alpha1

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/warrenmesh/warren/mesh"
)

// EventSubscription declares that a workload receives the events of a topic. It owns
// one durable queue, or one for each of the topic's partitions.
type EventSubscription struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   EventSubscriptionSpec `json:"spec"`
	Status Status                `json:"status,omitempty"`
}

// EventSubscriptionSpec says which workloads receive which events, and how.
type EventSubscriptionSpec struct {
	// TopicRef names the topic.
	// +warren:refers=EventTopic
	TopicRef LocalRef `json:"topicRef"`
	// Selector picks workloads of the subscription's namespace by their labels. The
	// picked workloads share the events. An empty selector is refused.
	Selector metav1.LabelSelector `json:"selector"`
	// Filters say which events are delivered; all must match. Other events are
	// acknowledged without delivery.
	// +warren:default:text=none, every event is delivered
	Filters []Filter `json:"filters,omitempty"`
	// Queue of the subscription.
	Queue *Queue `json:"queue,omitempty"`
	// Ordering of the deliveries. PerKey needs a topic with partitions: an event is
	// delivered once all earlier events of its key are settled, and each partition has
	// a queue of its own. The ordering of a subscription in force cannot be changed.
	// +kubebuilder:validation:Enum=None;PerKey
	// +warren:default=None
	Ordering string `json:"ordering,omitempty"`
	// Delivery says how events reach the service.
	// +warren:default:text=the service pulls by stream
	Delivery *Delivery `json:"delivery,omitempty"`
	// AckDeadline is how long the service may take to settle a delivery before it
	// counts as failed.
	// +warren:range=1s..15m
	// +warren:default=30s
	AckDeadline *metav1.Duration `json:"ackDeadline,omitempty"`
	// Retry policy of the deliveries.
	Retry *SubscriptionRetry `json:"retry,omitempty"`
	// DeadLetter says where dead letters go.
	DeadLetter *DeadLetter `json:"deadLetter,omitempty"`
	// Dedupe suppresses events that the service has already acknowledged.
	// +warren:default:text=none, every delivery reaches the service
	Dedupe *Dedupe `json:"dedupe,omitempty"`
	// ContentEncoding says what happens to compressed data (AMQP's content_encoding).
	// Keep delivers it as it is, with the name of the encoding. Decode decodes gzip,
	// deflate and zstd, up to the topic's maxEventBytes; data that cannot be decoded
	// becomes a dead letter.
	// +kubebuilder:validation:Enum=Keep;Decode
	// +warren:default=Keep
	ContentEncoding string `json:"contentEncoding,omitempty"`
}

// Queue of a subscription.
type Queue struct {
	// Name of the queue. Two subscriptions never share one. With ordering PerKey the
	// queues are <name>.p0, <name>.p1 and so on, one for each partition.
	// +warren:format=amqp-name
	// +warren:default:text=<namespace>.<name of the subscription>
	Name string `json:"name,omitempty"`
	// Type of the queue. Memory has classic ones only.
	// +kubebuilder:validation:Enum=quorum;classic
	// +warren:default:text=quorum on RabbitMQ, classic on Memory
	Type string `json:"type,omitempty"`
	// Prefetch bounds the unsettled deliveries of one stream.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	// +warren:default=64
	Prefetch *int32 `json:"prefetch,omitempty"`
	// PrefetchBytes bounds the payload of those deliveries. It lowers prefetch to the
	// number of events of the topic's maxEventBytes that fit, at least 1.
	// +kubebuilder:validation:Minimum=1024
	// +kubebuilder:validation:Maximum=1099511627776
	// +warren:default:text=none, prefetch times the topic's maxEventBytes is the bound
	PrefetchBytes *int64 `json:"prefetchBytes,omitempty"`
}

// Delivery says how events reach the service.
type Delivery struct {
	// Push calls the service for each event; without it the service pulls by stream.
	Push *Push `json:"push,omitempty"`
}

// Push is delivery by calls of OnEvent on a loopback port.
type Push struct {
	// Port on loopback where the service listens.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port"`
}

// SubscriptionRetry says how often and how soon a failed delivery is repeated.
type SubscriptionRetry struct {
	// Attempts in all, the first included.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	// +warren:default=5
	Attempts *int32 `json:"attempts,omitempty"`
	// Backoff between the attempts.
	// +warren:default:baseInterval=1s
	// +warren:default:maxInterval=5m
	Backoff *Backoff `json:"backoff,omitempty"`
	// Strategy says where an event waits for its next attempt, when ordering is None.
	// DelayQueues: in a queue for each delay. BrokerDelay: in its own queue, where
	// RabbitMQ 4.3 or later delays it by baseInterval after each attempt.
	// +kubebuilder:validation:Enum=DelayQueues;BrokerDelay
	// +warren:default=DelayQueues
	Strategy string `json:"strategy,omitempty"`
	// MaxElapsed is how long an event may hold up its key before it is dead-lettered,
	// even if attempts are left. Only with ordering PerKey.
	// +warren:range=1s..10m
	// +warren:default:text=5m with ordering PerKey
	MaxElapsed *metav1.Duration `json:"maxElapsed,omitempty"`
}

// DeadLetter says where dead letters go.
type DeadLetter struct {
	// Queue of the dead letters. It is not the queue of a subscription. Several
	// subscriptions may share it.
	// +warren:format=amqp-name
	// +warren:default:text=<name of the subscription's queue>.dead
	Queue string `json:"queue,omitempty"`
	// KeyPolicy says what happens to a key after one of its events was dead-lettered.
	// Continue delivers the next event; Hold dead-letters later events until the key is
	// released. Only with ordering PerKey.
	// +kubebuilder:validation:Enum=Continue;Hold
	// +warren:default:text=Continue with ordering PerKey
	KeyPolicy string `json:"keyPolicy,omitempty"`
}

// Dedupe bounds the memory of acknowledged events. Each sidecar has its own memory and
// loses it when it ends. Two events are the same when their source and id are equal.
type Dedupe struct {
	// Window is how long an event is remembered.
	// +warren:range=1s..24h
	// +warren:default=10m
	Window *metav1.Duration `json:"window,omitempty"`
	// MaxEntries is how many events are remembered; the oldest are forgotten first.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000000
	// +warren:default=100000
	MaxEntries *int32 `json:"maxEntries,omitempty"`
}

// SelectorMatches compiles a label selector. The returned function never blocks and is
// safe for concurrent use. An empty selector matches nothing: Validate refuses it, and
// a match of everything would be the worse mistake.
func SelectorMatches(selector LabelSelector) (func(labels map[string]string) bool, error) {
	if emptySelector(selector) {
		return func(map[string]string) bool { return false }, nil
	}
	compiled, err := metav1.LabelSelectorAsSelector(&selector)
	if err != nil {
		return nil, fmt.Errorf("compile label selector: %w", err)
	}
	return func(l map[string]string) bool { return compiled.Matches(labels.Set(l)) }, nil
}

func emptySelector(s LabelSelector) bool {
	return len(s.MatchLabels) == 0 && len(s.MatchExpressions) == 0
}

func (c *checker) subscription(s *EventSubscriptionSpec, p Path) {
	c.ref(p.Child("topicRef"), s.TopicRef, KindEventTopic)
	c.selector(p.Child("selector"), s.Selector)
	c.filters(p.Child("filters"), s.Filters, 1)
	if s.Queue != nil {
		c.queue(s.Queue, p.Child("queue"))
	}
	if s.Queue != nil && s.Retry != nil {
		c.derivedNames(s, p.Child("queue").Child("name"))
	}
	c.oneOf(p.Child("ordering"), s.Ordering, OrderingNone, OrderingPerKey)
	c.oneOf(p.Child("contentEncoding"), s.ContentEncoding, EncodingKeep, EncodingDecode)
	if s.Delivery != nil && s.Delivery.Push != nil {
		c.between(p.Child("delivery").Child("push").Child("port"), int64(s.Delivery.Push.Port), 1, MaxPort)
	}
	c.within(p.Child("ackDeadline"), s.AckDeadline, MinAckDeadline, MaxAckDeadline)
	if s.Retry != nil {
		c.subscriptionRetry(s.Retry, s.Ordering, p.Child("retry"))
		c.waits(s, p.Child("retry").Child("backoff"))
	}
	if s.DeadLetter != nil {
		c.deadLetter(s, p.Child("deadLetter"))
	}
	if s.Dedupe != nil {
		c.dedupe(s.Dedupe, p.Child("dedupe"))
	}
}

func (c *checker) queue(q *Queue, p Path) {
	c.amqpName(p.Child("name"), q.Name, "queue")
	if q.Type != "" {
		c.oneOf(p.Child("type"), q.Type, QueueQuorum, QueueClassic)
	}
	if q.Prefetch != nil {
		c.between(p.Child("prefetch"), int64(*q.Prefetch), 1, MaxPrefetch)
	}
	if q.PrefetchBytes != nil {
		c.between(p.Child("prefetchBytes"), *q.PrefetchBytes, MinPrefetchBytes, MaxPrefetchBytes)
	}
}

// deadSuffix is the suffix that mesh.Queue.DeadLetters adds.
const deadSuffix = ".dead"

// derivedNames refuses a queue name that is too long for the names derived from it.
// Otherwise a sidecar would find out only when it declares or fills those queues.
func (c *checker) derivedNames(s *EventSubscriptionSpec, p Path) {
	q := mesh.Queue{Name: s.Queue.Name}
	if q.Name == "" || len(q.Name) > maxShortString || s.Ordering == OrderingPerKey && len(q.Name) > mesh.MaxPartitionedQueue {
		return // reported already, or checked where the topic's partitions are known
	}
	what, longest := "dead letters", q.DeadLetters()
	for _, d := range delays(s) {
		if name := q.Delay(d); len(name) > len(longest) {
			what, longest = "retries", name
		}
	}
	if len(longest) > maxShortString {
		c.invalid(p, "has %d bytes, and the queue of its %s is named after it, with %q at the end, and AMQP allows %d: want at most %d",
			len(q.Name), what, longest[len(q.Name):], maxShortString, maxShortString-(len(longest)-len(q.Name)))
	}
}

// delays lists the delays of the retry queues; none when the retry policy is invalid.
func delays(s *EventSubscriptionSpec) []time.Duration {
	r := s.Retry
	if s.Ordering != OrderingNone || r.Strategy != RetryDelayQueues || r.Attempts == nil || *r.Attempts < 1 || *r.Attempts > MaxAttempts ||
		r.Backoff == nil || r.Backoff.BaseInterval == nil || r.Backoff.MaxInterval == nil || r.Backoff.BaseInterval.Duration <= 0 {
		return nil
	}
	sub := mesh.Subscription{
		Attempts: uint32(*r.Attempts),
		Backoff:  mesh.Backoff{Base: r.Backoff.BaseInterval.Duration, Max: r.Backoff.MaxInterval.Duration},
	}
	return sub.Delays()
}

// waits refuses delays that no queue of RabbitMQ may have: a sidecar would find out only
// when it declares one.
func (c *checker) waits(s *EventSubscriptionSpec, p Path) {
	all := delays(s)
	if len(all) == 0 || all[len(all)-1] <= maxTTL {
		return
	}
	field := "maxInterval"
	if s.Retry.Backoff.BaseInterval.Duration > maxTTL {
		field = "baseInterval"
	}
	c.invalid(p.Child(field), "makes retries wait %s in a queue: want at most %s", short(all[len(all)-1]), short(maxTTL))
}

func (c *checker) subscriptionRetry(r *SubscriptionRetry, ordering string, p Path) {
	c.attempts(p.Child("attempts"), r.Attempts)
	c.backoff(p.Child("backoff"), r.Backoff)
	c.oneOf(p.Child("strategy"), r.Strategy, RetryDelayQueues, RetryBrokerDelay)
	if r.Strategy == RetryBrokerDelay && ordering == OrderingPerKey {
		c.invalid(p.Child("strategy"), "is BrokerDelay, but with ordering PerKey an event waits in the sidecar, and its key with it: remove it, or set ordering None")
	}
	if r.MaxElapsed != nil && ordering == OrderingNone {
		c.perKeyOnly(p.Child("maxElapsed"))
		return
	}
	c.within(p.Child("maxElapsed"), r.MaxElapsed, MinMaxElapsed, MaxMaxElapsed)
}

func (c *checker) deadLetter(s *EventSubscriptionSpec, p Path) {
	queue := p.Child("queue")
	if s.Queue == nil || s.DeadLetter.Queue != s.Queue.Name+deadSuffix { // otherwise derivedNames has reported it
		c.amqpName(queue, s.DeadLetter.Queue, "queue")
	}
	if s.Queue != nil && s.DeadLetter.Queue == s.Queue.Name {
		c.invalid(queue, "is the subscription's own queue %q: dead letters need another one", s.Queue.Name)
	}
	if s.DeadLetter.KeyPolicy == "" {
		return
	}
	if s.Ordering == OrderingNone {
		c.perKeyOnly(p.Child("keyPolicy"))
		return
	}
	c.oneOf(p.Child("keyPolicy"), s.DeadLetter.KeyPolicy, KeyContinue, KeyHold)
}

// perKeyOnly refuses a field about keys when ordering is None.
func (c *checker) perKeyOnly(p Path) {
	c.invalid(p, "is about events that hold up their key, and without order none does: remove it, or set ordering PerKey")
}

func (c *checker) dedupe(d *Dedupe, p Path) {
	c.within(p.Child("window"), d.Window, MinDedupeWindow, MaxDedupeWindow)
	if d.MaxEntries != nil {
		c.between(p.Child("maxEntries"), int64(*d.MaxEntries), 1, MaxDedupeEntries)
	}
}

func (c *checker) within(p Path, d *Duration, low, high time.Duration) {
	if d != nil && (d.Duration < low || d.Duration > high) {
		c.invalid(p, "is %s: want %s to %s", d.Duration, short(low), short(high))
	}
}

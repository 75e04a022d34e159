package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// EventSubscription declares a workload's durable interest in a topic. It owns one
// queue, or one for each of the topic's partitions.
type EventSubscription struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   EventSubscriptionSpec `json:"spec"`
	Status Status                `json:"status,omitempty"`
}

// EventSubscriptionSpec says which events go to whom, and how.
type EventSubscriptionSpec struct {
	// TopicRef names the topic.
	// +warren:refers=EventTopic
	TopicRef LocalRef `json:"topicRef"`
	// Selector picks the workloads of the subscription's namespace by their labels;
	// they share its events. An empty selector is refused.
	Selector metav1.LabelSelector `json:"selector"`
	// Filters say which events are delivered; all must match. The others are
	// acknowledged unseen.
	// +warren:default:text=none, every event is delivered
	Filters []Filter `json:"filters,omitempty"`
	// Queue of the subscription.
	Queue *Queue `json:"queue,omitempty"`
	// Ordering of the deliveries. PerKey needs a topic with partitions: an event is
	// handed out when all before it of its key are settled, and each partition has a
	// queue of its own. It never changes while the subscription is in force.
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
	// Dedupe suppresses events that the service has acknowledged before.
	// +warren:default:text=none, every delivery reaches the service
	Dedupe *Dedupe `json:"dedupe,omitempty"`
	// ContentEncoding says what happens to compressed data (AMQP's content_encoding):
	// Keep hands it on as it is, and says how it is compressed; Decode undoes gzip,
	// deflate and zstd, up to the topic's maxEventBytes. What cannot be decoded becomes a
	// dead letter.
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
	// PrefetchBytes bounds the payload of those deliveries: prefetch is lowered to as
	// many events of the topic's maxEventBytes as fit, but not below 1.
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

// Push is delivery by OnEvent on a loopback port.
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
	// Strategy says where an event without order waits for its next attempt:
	// DelayQueues in a queue for each delay, BrokerDelay in its own queue, by RabbitMQ
	// 4.3 or later, for baseInterval after each attempt.
	// +kubebuilder:validation:Enum=DelayQueues;BrokerDelay
	// +warren:default=DelayQueues
	Strategy string `json:"strategy,omitempty"`
	// MaxElapsed is how long an event may hold up its key before it is dead-lettered,
	// whatever attempts are left. Only with ordering PerKey.
	// +warren:range=1s..10m
	// +warren:default:text=5m with ordering PerKey
	MaxElapsed *metav1.Duration `json:"maxElapsed,omitempty"`
}

// DeadLetter says where dead letters go.
type DeadLetter struct {
	// Queue of the dead letters, not one that a subscription owns. Several
	// subscriptions may share it.
	// +warren:format=amqp-name
	// +warren:default:text=<name of the subscription's queue>.dead
	Queue string `json:"queue,omitempty"`
	// KeyPolicy says what happens to a key after one of its events was dead-lettered:
	// Continue delivers the next one, Hold dead-letters what follows until the key is
	// released. Only with ordering PerKey.
	// +kubebuilder:validation:Enum=Continue;Hold
	// +warren:default:text=Continue with ordering PerKey
	KeyPolicy string `json:"keyPolicy,omitempty"`
}

// Dedupe bounds the memory of acknowledged events, which each sidecar has for
// itself and loses when it ends. Events are the same when source and id are.
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

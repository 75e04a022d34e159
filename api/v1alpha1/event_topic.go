package v1alpha1

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/warrenmesh/warren/mesh"
)

// EventTopic declares a topic: a name services publish events to.
type EventTopic struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   EventTopicSpec `json:"spec"`
	Status Status         `json:"status,omitempty"`
}

// EventTopicSpec says where a topic's events are put.
type EventTopicSpec struct {
	// BrokerRef names the broker that carries the topic.
	// +warren:refers=EventBroker
	BrokerRef LocalRef `json:"brokerRef"`
	// Exchange the events are published to. Two topics share one only where others
	// declare it.
	Exchange *Exchange `json:"exchange,omitempty"`
	// RoutingKey is a template: text in which {attribute} stands for an attribute
	// of the event, and for nothing when the event does not have it. A routing key
	// has at most 255 bytes.
	// +warren:format=template
	// +warren:default={type}
	RoutingKey string `json:"routingKey,omitempty"`
	// Partitions keep the events of one key in order, for subscriptions with ordering
	// PerKey. A topic in force keeps what it has: no other count, no other key.
	// +warren:default:text=none, the topic has no order
	Partitions *Partitions `json:"partitions,omitempty"`
	// Publish settings.
	Publish *PublishSettings `json:"publish,omitempty"`
}

// Exchange is an AMQP exchange.
type Exchange struct {
	// Name of the exchange.
	// +warren:format=amqp-name
	// +warren:default:text=the topic's name
	Name string `json:"name,omitempty"`
	// Type of the exchange.
	// +kubebuilder:validation:Enum=topic;direct;fanout;headers
	// +warren:default=topic
	Type string `json:"type,omitempty"`
}

// Partitions split a topic by a key.
type Partitions struct {
	// Count of the partitions; it never changes.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1024
	Count int32 `json:"count"`
	// Key is the attribute whose value decides the partition; it never changes. An
	// event without it is in no order.
	// +warren:format=attribute
	// +warren:default=partitionkey
	Key string `json:"key,omitempty"`
}

// PublishSettings say how events are published.
type PublishSettings struct {
	// ConfirmTimeout is how long one try waits for the broker's confirm.
	// +warren:range=1ns..
	// +warren:default=2s
	ConfirmTimeout *metav1.Duration `json:"confirmTimeout,omitempty"`
	// Mandatory makes an event that no queue takes fail as UNROUTABLE; without it
	// such an event is confirmed, and lost.
	// +warren:default=true
	Mandatory *bool `json:"mandatory,omitempty"`
	// Persistent events survive a restart of the broker. Memory cannot keep any.
	// +warren:default:text=true on RabbitMQ, false on Memory
	Persistent *bool `json:"persistent,omitempty"`
	// TTL is how long the broker keeps an event that nobody takes, in whole
	// milliseconds. Memory has none.
	// +warren:range=1ms..1176h
	// +warren:default:text=none, events do not expire
	TTL *metav1.Duration `json:"ttl,omitempty"`
	// Priority of the messages. Memory has none.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=9
	// +warren:default=0
	Priority int32 `json:"priority,omitempty"`
	// MaxEventBytes is the largest payload; a larger event is refused.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=16777216
	// +warren:default=1048576
	MaxEventBytes *int32 `json:"maxEventBytes,omitempty"`
	// Headers that publishers may set beside an event: names, or beginnings of names
	// followed by *. The words reply_to and content_encoding allow those AMQP properties.
	// Attributes (ce-*, cloudEvents*), warren-*, x-*, traceparent, tracestate, baggage, CC
	// and BCC are never allowed.
	// +kubebuilder:validation:MaxItems=100
	// +warren:format=headers
	// +warren:default:text=none, a publish with headers is refused
	Headers []string `json:"headers,omitempty"`
}

func (c *checker) topic(s *EventTopicSpec, p Path) {
	c.ref(p.Child("brokerRef"), s.BrokerRef, KindEventBroker)
	if s.Exchange != nil {
		ep := p.Child("exchange")
		c.amqpName(ep.Child("name"), s.Exchange.Name, "exchange")
		c.oneOf(ep.Child("type"), s.Exchange.Type, exchangeTopic, "direct", "fanout", "headers")
	}
	c.template(p.Child("routingKey"), s.RoutingKey)
	if s.Partitions != nil {
		pp := p.Child("partitions")
		c.between(pp.Child("count"), int64(s.Partitions.Count), 1, MaxPartitions)
		c.attribute(pp.Child("key"), s.Partitions.Key)
	}
	if s.Publish != nil {
		c.publish(s.Publish, p.Child("publish"))
	}
}

func (c *checker) template(p Path, text string) {
	segments, err := mesh.Template(text).Segments()
	if err != nil {
		c.invalid(p, "%s: want text with {attribute} placeholders, such as \"{type}\"", err)
		return
	}
	literal := 0
	for _, s := range segments {
		literal += len(s.Literal)
	}
	if literal > mesh.MaxRoutingKey {
		c.invalid(p, "has %d bytes of literal text: a routing key has at most %d", literal, mesh.MaxRoutingKey)
	}
}

func (c *checker) headers(entries []string, p Path) {
	if len(entries) > MaxHeaders {
		c.invalid(p, "has %d entries: want at most %d", len(entries), MaxHeaders)
		return
	}
	for i, entry := range entries {
		if err := mesh.CheckHeader(entry); err != nil {
			c.invalid(p.Index(i), "%s", err)
		}
	}
}

func (c *checker) publish(s *PublishSettings, p Path) {
	c.positive(p.Child("confirmTimeout"), s.ConfirmTimeout)
	c.between(p.Child("priority"), int64(s.Priority), 0, maxPriority)
	if s.MaxEventBytes != nil {
		c.between(p.Child("maxEventBytes"), int64(*s.MaxEventBytes), 1, MaxEventBytes)
	}
	c.headers(s.Headers, p.Child("headers"))
	if d := s.TTL; d != nil && (d.Duration < time.Millisecond || d.Duration > maxTTL || d.Duration%time.Millisecond != 0) {
		c.invalid(p.Child("ttl"), "is %s: want whole milliseconds from 1ms to %s, or leave it out for no expiration", d.Duration, short(maxTTL))
	}
}

package metrics

import (
	"context"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/warrenmesh/warren/internal/grow"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/tracing/conventions"
	"github.com/warrenmesh/warren/tracing/messaging"
)

// topicKey includes the broker, so that counts from before a change of it stay
// separate.
type topicKey struct {
	name   mesh.Name
	system string
}

// topic holds the counters of one topic.
type topic struct {
	key       topicKey
	own       metric.ObserveOption
	nodes     grow.Map[string, *destination] // by address
	none      *destination                   // of publishes for which no node was found
	retries   *outcomes
	postponed atomic.Int64 // retries for which the retry budget had no room

	inFlight    atomic.Int64 // accepted and not answered
	unconfirmed atomic.Int64 // written and not answered
}

// destination is a topic on one node.
type destination struct {
	sent      *outcomes
	operation *outcomes
}

func newTopic(k topicKey) *topic {
	own := []attribute.KeyValue{messaging.KeySystem.String(k.system), messaging.KeyDestinationTemplate.String(k.name.String())}
	return &topic{
		key: k, own: metric.WithAttributeSet(attribute.NewSet(concat(own)...)),
		none: newDestination(k, ""), retries: newOutcomes(own),
	}
}

func newDestination(k topicKey, address string) *destination {
	attrs := messaging.AppendServer([]attribute.KeyValue{
		messaging.KeySystem.String(k.system),
		messaging.KeyOperationName.String(messaging.OpPublish),
		messaging.KeyDestinationTemplate.String(k.name.String()),
	}, address)
	return &destination{
		sent:      newOutcomes(attrs),
		operation: newOutcomes(concat(attrs, messaging.KeyOperationType.String(messaging.TypeSend))),
	}
}

// Sending measures one event from its acceptance to its answer. The zero value
// measures nothing.
type Sending struct {
	events *Events
	topic  *topic
	to     *destination
	begun  time.Time
}

// Send begins to measure an event on its way to a topic of the configuration, on a
// broker of that messaging.system. The caller ends it with End.
func (e *Events) Send(name mesh.Name, system string) Sending {
	if e == nil {
		return Sending{}
	}
	k := topicKey{name, system}
	t, ok := e.topics.Get(k)
	if !ok {
		t = e.topics.Add(k, func() *topic { return newTopic(k) })
	}
	t.inFlight.Add(1)
	return Sending{events: e, topic: t, to: t.none, begun: time.Now()}
}

// To records the node of the next try, by its address as configured; "" is the broker
// in this process.
func (s *Sending) To(address string) {
	if s.topic == nil {
		return
	}
	d, ok := s.topic.nodes.Get(address)
	if !ok {
		d = s.topic.nodes.Add(address, func() *destination { return newDestination(s.topic.key, address) })
	}
	s.to = d
}

// Written records that the try was written. Answered follows.
func (s *Sending) Written() {
	if s.topic != nil {
		s.topic.unconfirmed.Add(1)
	}
}

// Answered counts a try that was written; a nil err means that it was confirmed. A try
// that waited for the connection and was never written does not count.
func (s *Sending) Answered(err error) {
	if s.topic == nil {
		return
	}
	s.topic.unconfirmed.Add(-1)
	if err == nil || broker.OutcomeOf(err) != broker.NotSent {
		s.to.sent.of(err, conventions.ErrorOther).n.Add(1)
	}
}

// Retry counts a further try, made because of err.
func (s *Sending) Retry(err error) {
	if s.topic != nil {
		s.topic.retries.of(err, conventions.ErrorOther).n.Add(1)
	}
}

// Postponed counts a retry that was put off because too many were under way.
func (s *Sending) Postponed() {
	if s.topic != nil {
		s.topic.postponed.Add(1)
	}
}

// End ends the measurement with the publish's outcome. ctx has its span. It is called
// once.
func (s *Sending) End(ctx context.Context, err error) {
	if s.topic == nil {
		return
	}
	s.topic.inFlight.Add(-1)
	as := s.to.operation.of(err, conventions.ErrorOther)
	as.n.Add(1) // for Totals
	s.events.operation.Record(ctx, seconds(s.begun), as.record...)
}

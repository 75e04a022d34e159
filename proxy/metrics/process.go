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

// subscriptionKey includes topic and broker, so that counts from before a change of
// either stay separate.
type subscriptionKey struct {
	name, topic mesh.Name
	system      string
}

// subscription holds the counters of one subscription.
type subscription struct {
	attrs       []attribute.KeyValue // must not be changed
	own         metric.ObserveOption
	nodes       grow.Map[string, *source] // by address
	deadLetters grow.Map[string, *series]
	taken       grow.Map[string, *series]
	redelivered [2]*series // by cause
	flows       flows

	deduplicated atomic.Int64 // acknowledged unseen
	outstanding  atomic.Int64 // handed out and not settled
}

// source is a subscription on one node.
type source struct {
	consumed   *series
	processing *outcomes
	settling   map[messaging.SettleOp]*outcomes
}

// Values of warren.redelivery.cause, by their place in subscription.redelivered.
const (
	byRetry  = iota // the service asked for it, or did not settle in time
	byBroker        // the broker handed it out again, after a cut or a crash
)

func newSubscription(k subscriptionKey) *subscription {
	attrs := []attribute.KeyValue{
		messaging.KeySystem.String(k.system),
		messaging.KeySubscription.String(k.name.String()),
		messaging.KeyDestinationTemplate.String(k.topic.String()),
	}
	s := &subscription{
		attrs: attrs, own: metric.WithAttributeSet(attribute.NewSet(concat(attrs)...)),
		redelivered: [...]*series{
			byRetry:  newSeries(attrs, keyCause.String("retry")),
			byBroker: newSeries(attrs, keyCause.String("broker")),
		},
	}
	// All causes exist from the start, because an alert on their increase must not
	// miss the first.
	for _, reason := range [...]string{broker.ReasonExpired, broker.ReasonMaxLength, broker.ReasonDeliveryLimit} {
		s.taken.Add(reason, func() *series { return newSeries(attrs, keyReason.String(reason)) })
	}
	return s
}

func (s *subscription) from(address string) *source {
	if src, ok := s.nodes.Get(address); ok {
		return src
	}
	attrs := messaging.AppendServer(concat(s.attrs), address)
	process := concat(attrs, messaging.KeyOperationName.String(messaging.OpProcess))
	src := &source{consumed: newSeries(process), processing: newOutcomes(process), settling: map[messaging.SettleOp]*outcomes{}}
	for _, op := range []messaging.SettleOp{messaging.Ack, messaging.Nack, messaging.Reject} {
		src.settling[op] = newOutcomes(concat(attrs, messaging.KeyOperationName.String(string(op)), messaging.KeyOperationType.String(messaging.TypeSettle)))
	}
	return s.nodes.Add(address, func() *source { return src })
}

func (e *Events) subscription(d Delivery) *subscription {
	k := subscriptionKey{d.Subscription, d.Topic, d.System}
	s, ok := e.subscriptions.Get(k)
	if !ok {
		s = e.subscriptions.Add(k, func() *subscription { return newSubscription(k) })
	}
	return s
}

// Delivery describes a delivery to metrics.
type Delivery struct {
	Subscription mesh.Name
	Topic        mesh.Name
	System       string // messaging.system of the broker
	Address      string // of the node as configured; "" is the broker in this process
	Attempt      uint32 // 1 for the first
	Redelivered  bool   // the broker's flag, or a repeated publish
	Publisher    string // workload that published, as the event says; free text
}

// Processing measures one delivery while the service holds it. The zero value measures
// nothing.
type Processing struct {
	events       *Events
	subscription *subscription
	from         *source
	flow         *flow
	begun        time.Time
}

// Process counts a delivery that is handed to the service now. The caller ends it with
// End.
func (e *Events) Process(d Delivery, now time.Time) Processing {
	if e == nil {
		return Processing{}
	}
	s := e.subscription(d)
	p := Processing{events: e, subscription: s, from: s.from(d.Address), flow: s.flows.of(d.Publisher), begun: now}
	s.outstanding.Add(1)
	p.from.consumed.n.Add(1)
	p.flow.delivered.Add(1)
	switch {
	case d.Attempt > 1:
		p.flow.retried.Add(1)
		s.redelivered[byRetry].n.Add(1)
	case d.Redelivered:
		s.redelivered[byBroker].n.Add(1)
	}
	return p
}

// End ends the measurement at now; a nil err means that the service acknowledged. ctx has the
// delivery's span. It is called once.
func (p Processing) End(ctx context.Context, now time.Time, err error) {
	if p.events == nil {
		return
	}
	p.subscription.outstanding.Add(-1)
	if err != nil {
		p.flow.failed.Add(1)
	}
	p.events.processing.Record(ctx, now.Sub(p.begun).Seconds(), p.from.processing.of(err, conventions.ErrorHandler).record...)
}

// Settle measures a settlement that is done.
func (e *Events) Settle(ctx context.Context, op messaging.SettleOp, d Delivery, took time.Duration, err error) {
	if e == nil {
		return
	}
	if set, ok := e.subscription(d).from(d.Address).settling[op]; ok {
		e.operation.Record(ctx, took.Seconds(), set.of(err, conventions.ErrorOther).record...)
	}
}

// DeadLetter counts a delivery that was put into its subscription's dead-letter queue.
// There are only a few reasons.
func (e *Events) DeadLetter(d Delivery, reason string) {
	if e == nil {
		return
	}
	s := e.subscription(d)
	s.count(&s.deadLetters, reason)
	s.flows.of(d.Publisher).deadLettered.Add(1)
}

// TakenByPolicy counts an event that the broker took out of a subscription's queue
// because of a policy. There are only a few reasons.
func (e *Events) TakenByPolicy(d Delivery, reason string) {
	if e == nil {
		return
	}
	s := e.subscription(d)
	s.count(&s.taken, reason)
	s.flows.of(d.Publisher).taken.Add(1)
}

func (s *subscription) count(by *grow.Map[string, *series], reason string) {
	set, ok := by.Get(reason)
	if !ok {
		set = by.Add(reason, func() *series { return newSeries(s.attrs, keyReason.String(reason)) })
	}
	set.n.Add(1)
}

// Deduplicated counts a delivery the service did not see because it had
// acknowledged the event before.
func (e *Events) Deduplicated(d Delivery) {
	if e != nil {
		e.subscription(d).deduplicated.Add(1)
	}
}

package settler

import (
	"context"
	"errors"
	"time"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/deliver/delivery"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/metrics"
	"github.com/warrenmesh/warren/tracing/messaging"
	"github.com/warrenmesh/warren/tracing/tracecontext"
)

// Attempt is a delivery in the hands of the service.
type Attempt struct {
	*delivery.Delivery
	At time.Time // when it was handed out

	ctx        context.Context //nolint:containedctx // of the span, which outlives the call that begins it
	span       messaging.Span
	unrecorded bool // there is no span; service is the trace context then
	service    tracecontext.Hop
	processing metrics.Processing
}

// ErrEnded ends the spans of deliveries nobody settled.
var ErrEnded = errors.New("stream ended before the delivery was settled")

// Begin begins d's span and counters, for it is handed out now. The span is a child of
// that in ctx.
func (st *Settler) Begin(ctx context.Context, d *delivery.Delivery, now time.Time) Attempt {
	a := Attempt{Delivery: d, At: now, ctx: ctx}
	if a.service, a.unrecorded = st.shared.Tracing.Unrecorded(tracecontext.Hop(d.Trace), ownContext(d.Event)); !a.unrecorded {
		a.ctx, a.span = st.shared.Tracing.StartProcess(ctx, st.process(d))
	}
	a.processing = st.shared.Metrics.Process(st.measured(d), a.At)
	st.showDelivered(d)
	return a
}

// Context is that of the attempt's span.
func (a *Attempt) Context() context.Context {
	if a.unrecorded {
		return a.service.Into(a.ctx)
	}
	return a.ctx
}

// Trace is the trace context of the attempt's span, for the service.
func (a *Attempt) Trace() broker.TraceContext {
	if a.unrecorded {
		return broker.TraceContext(a.service)
	}
	return broker.TraceContext(tracecontext.Of(a.ctx))
}

// End says to telemetry what became of the attempt.
func (a *Attempt) End(err error) { a.EndAt(time.Now(), err) }

// EndAt is End for an attempt that ended at the time given.
func (a *Attempt) EndAt(now time.Time, err error) {
	a.span.End(err)
	a.processing.End(a.ctx, now, err)
}

// Acknowledged notes in the attempt's span that the service acknowledged it.
func (a *Attempt) Acknowledged() { a.span.SetOutcome(effectAck) }

// Ack acknowledges a, in a span of its own, and returns when that was done; it began at
// begun. An error says that this came too late: it was counted, and the event is delivered
// again.
func (st *Settler) Ack(a *Attempt, begun time.Time) (ended time.Time, err error) {
	d := a.Delivery
	st.shared.Ledger.Attempts.Settled(st.id, d.Delivery)
	st.Remember(d)
	var span messaging.Span
	if !a.unrecorded {
		_, span = st.shared.Tracing.StartSettle(a.ctx, messaging.Ack, st.process(d))
	}
	err = d.Ack()
	ended = time.Now()
	st.told(a.ctx, messaging.Ack, d, ended.Sub(begun), err)
	span.End(err)
	st.pass(d, err)
	if err == nil {
		st.showSettled(d, effectAck, "", a.At)
	}
	return ended, err
}

// Acknowledges counts n attempts that Ack is called for.
func (st *Settler) Acknowledges(n int) { st.shared.Metrics.Fast(metrics.DeliverySettle, n) }

// Conclude carries a negative outcome out. It waits until that is durable. After an error
// nothing took effect, and a is back.
func (st *Settler) Conclude(a *Attempt, o Outcome) error {
	o.begun = a.At
	st.shared.Metrics.Slow(metrics.DeliverySettle, 1)
	effect, err := st.fail(a.Delivery, o)
	if err == nil {
		a.span.SetOutcome(effect)
		st.showSettled(a.Delivery, effect, o.why(effect), a.At)
	}
	return err
}

// process describes d to tracing.
func (st *Settler) process(d *delivery.Delivery) messaging.Process {
	sub, e := d.Subscription, d.Event
	return messaging.Process{
		System:           sub.System,
		Exchange:         d.Origin.Name,
		RoutingKey:       d.Origin.Key,
		Queue:            d.Part,
		Topic:            sub.Topic.Name,
		Subscription:     sub.FullName,
		Hop:              tracecontext.Hop(d.Trace),
		EventID:          e.ID,
		EventSource:      e.Source,
		EventType:        e.Type,
		EventSubject:     e.Text(event.AttrSubject),
		EventTraceParent: e.Text(event.AttrTraceParent),
		EventTraceState:  e.Text(event.AttrTraceState),
		DeliveryTag:      d.Tag,
		Attempt:          d.Attempt,
		Redelivered:      d.Redelivered,
		BodySize:         len(e.Data),
		ServerAddress:    st.address,
	}
}

// ownContext is the event's creation context.
func ownContext(e *event.Event) tracecontext.Hop {
	return tracecontext.Hop{Parent: e.Text(event.AttrTraceParent), State: e.Text(event.AttrTraceState)}
}

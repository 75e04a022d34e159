package deliver

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/tracing"
	"github.com/warrenmesh/warren/xds/mesh"
)

// Reasons a dead letter carries.
const (
	reasonInvalidEvent = "invalid-event"      // the message is no event
	reasonExhausted    = "attempts-exhausted" // the last attempt failed
	reasonRejected     = "rejected"           // the service said so
	reasonAckDeadline  = "ack-deadline"       // the last attempt was never settled
)

const (
	maxReason     = 200 // bytes of a service's words that are kept
	settleTimeout = 5 * time.Second
)

// settler carries outcomes out on one broker node, for a stream or a pusher. It is
// safe for concurrent use.
type settler struct {
	service *Service
	name    mesh.Name // of the subscription
	id      string    // unique in this process
	driver  broker.Driver

	// subscription is replaced when the configuration changes.
	subscription atomic.Pointer[Subscription]
}

// wanted settles what the service is not to see, and reports whether it is to see d.
func (st *settler) wanted(ctx context.Context, d *broker.Delivery) bool {
	sub := st.subscription.Load()
	switch {
	case d.Malformed != nil:
		st.showSettled(d, st.bury(ctx, d, reasonInvalidEvent, d.Malformed.Error()), d.Malformed.Error(), time.Time{})
	case !sub.Filter.Matches(d.Event):
		st.ack(d)
	case st.countAttempts(d) > sub.Attempts || d.Returned >= poisonLimit:
		st.showSettled(d, st.bury(ctx, d, reasonExhausted, "the service never settled it"), reasonExhausted, time.Time{})
	default:
		return true
	}
	return false
}

// countAttempts replaces the broker's count of what it took back by ours of what
// the service really had in its hands.
func (st *settler) countAttempts(d *broker.Delivery) uint32 {
	d.Attempt += st.service.unfinished.of(d) - min(d.Returned, d.Attempt-1)
	return d.Attempt
}

// fail carries out a negative outcome: another attempt while some are left and the
// service did not say otherwise, else the dead-letter queue. It returns what took
// effect, "" when d went back to its queue.
func (st *settler) fail(ctx context.Context, d *broker.Delivery, o outcome) (effect string) {
	sub := st.subscription.Load()
	if o.kind == eventsv1.Outcome_OUTCOME_RETRY && d.Attempt < sub.Attempts {
		return st.repeat(ctx, sub, d, o.after)
	}
	return st.bury(ctx, d, o.reason, o.detail)
}

// repeat puts a copy of d with the next attempt's number where it waits for its
// time, then acknowledges d. If the copy is not confirmed d goes back instead: it
// may be delivered twice, but it is not lost.
func (st *settler) repeat(ctx context.Context, sub *Subscription, d *broker.Delivery, after time.Duration) (effect string) {
	m := st.copyOf(d)
	m.RoutingKey = retryQueue(sub.Subscription, d.Attempt, after)
	m.Attempt = d.Attempt + 1
	return st.move(ctx, d, m, effectRetry)
}

// bury puts d into the dead-letter queue, then acknowledges it.
func (st *settler) bury(ctx context.Context, d *broker.Delivery, reason, detail string) (effect string) {
	sub := st.subscription.Load()
	m := st.copyOf(d)
	m.RoutingKey = sub.DeadLetterQueue
	m.Attempt = d.Attempt
	m.DeadLetter = &broker.DeadLetter{
		Reason:       reason,
		Detail:       clip(detail),
		Subscription: sub.Name.String(),
		Exchange:     d.Exchange,
		RoutingKey:   d.RoutingKey,
		Attempts:     d.Attempt,
		Time:         time.Now(),
	}
	return st.move(ctx, d, m, effectDeadLetter)
}

// copyOf starts a message for the default exchange that carries d's event.
func (st *settler) copyOf(d *broker.Delivery) *broker.Message {
	e := d.Event
	if e == nil {
		e = &event.Event{
			ID: fmt.Sprintf("malformed-%s-%d-%d", st.id, d.Epoch, d.Tag), Source: "/warren/" + st.name.String(),
			Type: "io.warrenmesh.malformed", Data: d.Raw,
		}
	}
	return &broker.Message{
		Event: e, Trace: d.Trace, Priority: d.Priority, Mandatory: true, Persistent: true, AppID: d.AppID,
		OriginExchange: d.Exchange, OriginKey: d.RoutingKey,
	}
}

// move publishes m, waits for the confirm, and only then acknowledges d. It returns
// effect, or "" when m was not confirmed and d went back.
func (st *settler) move(ctx context.Context, d *broker.Delivery, m *broker.Message, effect string) string {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	receipt, err := st.driver.Publish(ctx, m)
	if err == nil {
		err = receipt.Wait(ctx)
	}
	if err == nil {
		st.ack(d)
		return effect
	}
	if requeueErr := d.Requeue(); requeueErr == nil || !errors.Is(requeueErr, broker.ErrStale) {
		st.service.opts.Logger.Warn("settle delivery: it goes back to its queue", "subscription", st.name.String(), "queue", m.RoutingKey, "error", errors.Join(err, requeueErr))
	}
	return ""
}

func (st *settler) ack(d *broker.Delivery) {
	st.service.unfinished.forget(d)
	if err := d.Ack(); err != nil {
		st.service.stale.Add(1)
	}
}

// process describes d to tracing.
func (st *settler) process(sub *Subscription, d *broker.Delivery) tracing.Process {
	e := d.Event
	return tracing.Process{
		System:           tracing.SystemRabbitMQ,
		Exchange:         d.Exchange,
		RoutingKey:       d.RoutingKey,
		Queue:            d.Queue,
		Topic:            sub.Topic.Name,
		Subscription:     sub.Name.String(),
		Hop:              tracing.Hop(d.Trace),
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
		ServerAddress:    st.driver.State().Address,
	}
}

// ackSpanned acknowledges d within a span of its own.
func (st *settler) ackSpanned(ctx context.Context, d *broker.Delivery, p tracing.Process) error {
	st.service.unfinished.forget(d)
	_, span := st.service.opts.Tracing.StartSettle(ctx, tracing.Ack, p)
	err := d.Ack()
	span.End(err)
	if err != nil {
		st.service.stale.Add(1)
	}
	return err
}

func clip(s string) string {
	if len(s) <= maxReason {
		return s
	}
	return strings.ToValidUTF8(s[:maxReason], "")
}

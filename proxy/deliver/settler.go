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

// fail carries out a negative outcome: another attempt while some are left and the
// service did not say otherwise, else the dead-letter queue.
func (st *settler) fail(ctx context.Context, d *broker.Delivery, o outcome) {
	sub := st.subscription.Load()
	if o.kind == eventsv1.Outcome_OUTCOME_RETRY && d.Attempt < sub.Attempts {
		st.repeat(ctx, sub, d, o.after)
		return
	}
	st.bury(ctx, d, o.reason, o.detail)
}

// repeat puts a copy of d with the next attempt's number where it waits for its
// time, then acknowledges d. If the copy is not confirmed d goes back instead: it
// may be delivered twice, but it is not lost.
func (st *settler) repeat(ctx context.Context, sub *Subscription, d *broker.Delivery, after time.Duration) {
	m := st.copyOf(d)
	m.RoutingKey = retryQueue(sub.Subscription, d.Attempt, after)
	m.Attempt = d.Attempt + 1
	st.move(ctx, d, m)
}

// bury puts d into the dead-letter queue, then acknowledges it.
func (st *settler) bury(ctx context.Context, d *broker.Delivery, reason, detail string) {
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
	st.move(ctx, d, m)
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

// move publishes m, waits for the confirm, and only then acknowledges d.
func (st *settler) move(ctx context.Context, d *broker.Delivery, m *broker.Message) {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	receipt, err := st.driver.Publish(ctx, m)
	if err == nil {
		err = receipt.Wait(ctx)
	}
	if err == nil {
		st.ack(d)
		return
	}
	if requeueErr := d.Requeue(); requeueErr == nil || !errors.Is(requeueErr, broker.ErrStale) {
		st.service.opts.Logger.Warn("settle delivery: it goes back to its queue", "subscription", st.name.String(), "queue", m.RoutingKey, "error", errors.Join(err, requeueErr))
	}
}

func (st *settler) ack(d *broker.Delivery) {
	if err := d.Ack(); err != nil {
		st.service.stale.Add(1)
	}
}

func clip(s string) string {
	if len(s) <= maxReason {
		return s
	}
	return strings.ToValidUTF8(s[:maxReason], "")
}

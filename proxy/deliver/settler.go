package deliver

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/deliver/internal/sequence"
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
	reasonElapsed      = "retries-elapsed"    // its key has waited for it long enough
	reasonKeyHeld      = "key-held"           // an event of its key before it is a dead letter
)

const (
	maxReason     = 200 // bytes of a service's words that are kept
	settleTimeout = 5 * time.Second
	// requeueDelay is how long a delivery rests that cannot be settled. Given back at
	// once it would come back at once, for as long as the broker takes no publishes.
	requeueDelay = time.Second
	// maxHold bounds how long a delivery may be unsettled, ack deadline, extensions
	// and waiting for another attempt together: RabbitMQ's consumer_timeout, 30 minutes
	// by default, would take the whole channel with it.
	maxHold = 25 * time.Minute
	// maxPark bounds how long a delivery waits unsettled for its next attempt.
	maxPark = 10 * time.Minute
)

// settler carries outcomes out on one broker node, for a stream or a pusher. It is
// safe for concurrent use.
type settler struct {
	// set before anything is consumed
	service *Service
	name    mesh.Name // of the subscription
	id      string    // unique in this process
	driver  broker.Driver
	life    context.Context    //nolint:containedctx // outcomes not carried out when it ends are given up
	leaving <-chan struct{}    // closed when nothing more is consumed
	order   *sequence.Sequence // of a subscription that is ordered by key; nil else

	// subscription is replaced when the configuration changes.
	subscription atomic.Pointer[Subscription]

	// troubled is set while outcomes cannot be carried out, and that was told.
	troubled atomic.Bool
}

// wanted settles what the service is not to see, and reports whether it is to see d.
func (st *settler) wanted(d *broker.Delivery) bool {
	if st.filtered(d) {
		return false
	}
	st.countAttempts(d)
	if reason, detail := st.unfit(d); reason != "" {
		st.reject(d, reason, detail)
		return false
	}
	return !st.suppressed(d)
}

// filtered acknowledges what the subscription does not ask for.
func (st *settler) filtered(d *broker.Delivery) bool {
	if d.Event == nil || st.subscription.Load().Filter.Matches(d.Event) {
		return false
	}
	st.ack(d)
	return true
}

// unfit returns why d is a dead letter before the service sees it, "" when it is none.
func (st *settler) unfit(d *broker.Delivery) (reason, detail string) {
	switch {
	case d.Malformed != nil:
		return reasonInvalidEvent, d.Malformed.Error()
	case d.Attempt > st.subscription.Load().Attempts || st.takenBack(d) >= poisonLimit:
		return reasonExhausted, "the service never settled it"
	default:
		return "", ""
	}
}

// takenBack is how often the broker took d back though no outcome asked for that.
func (st *settler) takenBack(d *broker.Delivery) uint32 {
	if st.subscription.Load().Strategy == mesh.BrokerDelay {
		return d.Returned - min(d.Waited, d.Returned)
	}
	return d.Returned
}

// countAttempts replaces the broker's count of what it took back by ours of what
// the service really had in its hands. It returns when the next attempt may begin.
func (st *settler) countAttempts(d *broker.Delivery) (due time.Time) {
	last := st.service.unfinished.of(d, time.Now())
	d.Attempt += last.number - min(st.takenBack(d), d.Attempt-1)
	if d.FirstFailure.IsZero() {
		d.FirstFailure = last.first
	}
	return last.due
}

// alone reports whether d must be the only event in the service's hands: the service
// went away with it before, and this is its last attempt. It may have been a
// neighbour's fault, and who is dead-lettered for a crash was alone in one.
func (st *settler) alone(d *broker.Delivery) bool {
	return d.Attempt >= st.subscription.Load().Attempts && st.service.unfinished.of(d, time.Now()).crashes > 0
}

// reject buries what is not to be handed out.
func (st *settler) reject(d *broker.Delivery, reason, detail string) {
	if reason == reasonExhausted {
		d.Attempt-- // the one that is not made
	}
	if st.bury(d, reason, detail) == nil {
		st.showSettled(d, effectDeadLetter, reason+": "+detail, time.Time{})
	}
}

// strandedBeside reports whether the settler's node is gone and another is up.
func (st *settler) strandedBeside(brokers Brokers) bool {
	if st.driver.State().Consuming {
		return false
	}
	other, err := brokers.PickConsumer(st.subscription.Load().Broker)
	return err == nil && other != st.driver && other.State().Consuming
}

// fail carries out a negative outcome: another attempt while some are left and the
// service did not say otherwise, else the dead-letter queue. It returns what took
// effect; after an error nothing did, and d is back in its queue.
func (st *settler) fail(d *broker.Delivery, o outcome) (effect string, err error) {
	sub := st.subscription.Load()
	now := time.Now()
	if d.FirstFailure.IsZero() {
		d.FirstFailure = now
	}
	if st.order != nil {
		return st.failInOrder(sub, d, o, now)
	}
	if o.kind == eventsv1.Outcome_OUTCOME_RETRY && d.Attempt < sub.Attempts {
		return effectRetry, st.repeat(sub, d, o)
	}
	return effectDeadLetter, st.bury(d, o.reason, o.detail)
}

// repeat puts a copy of d with the next attempt's number where it waits for its
// time, then acknowledges d. If the copy is not confirmed d goes back instead: it
// may be delivered twice, but it is not lost. A queue that makes retries wait needs
// no copy: d goes back, and is counted there.
//
// Where others declare topology there may be no waiting room. Then d waits here,
// unsettled, and counts against the prefetch; the copy goes straight to the queue.
func (st *settler) repeat(sub *Subscription, d *broker.Delivery, o outcome) error {
	if sub.Strategy == mesh.BrokerDelay {
		st.service.unfinished.failed(d, d.FirstFailure)
		return st.tell(st.life, tracing.Nack, d)
	}
	m := st.copyOf(d)
	queue, delay := retryQueue(sub.Subscription, d.Attempt, o.after)
	m.RoutingKey, m.Attempt = queue, d.Attempt+1
	err := st.put(m)
	if broker.KindOf(err) != broker.Unroutable || queue == sub.Queue.Name {
		return st.finish(d, m, err)
	}
	if !st.hold(min(delay, maxPark, maxHold-time.Since(o.begun))) {
		return err // unsettled: drain gives it back
	}
	m.RoutingKey = sub.Queue.Name
	return st.finish(d, m, st.put(m))
}

// bury puts d into the dead-letter queue, then acknowledges it.
func (st *settler) bury(d *broker.Delivery, reason, detail string) (err error) {
	m := st.letter(d, reason, detail)
	if st.order != nil {
		err = st.finishInOrder(d, m)
	} else {
		err = st.finish(d, m, st.put(m))
	}
	if err == nil {
		st.service.opts.Metrics.DeadLetter(st.measured(d), reason)
	}
	return err
}

func (st *settler) letter(d *broker.Delivery, reason, detail string) *broker.Message {
	sub := st.subscription.Load()
	m := st.copyOf(d)
	m.RoutingKey = sub.DeadLetterQueue
	m.Attempt = d.Attempt
	m.DeadLetter = &broker.DeadLetter{
		Reason:       reason,
		Detail:       clip(detail),
		Subscription: sub.FullName,
		Exchange:     d.Exchange,
		RoutingKey:   d.RoutingKey,
		Attempts:     d.Attempt,
		FirstFailure: d.FirstFailure,
		Time:         time.Now(),
	}
	return m
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
		OriginExchange: d.Exchange, OriginKey: d.RoutingKey, FirstFailure: d.FirstFailure,
		Partition: d.Partition, Partitioned: d.Partitioned,
	}
}

// put publishes m and waits for the confirm.
func (st *settler) put(m *broker.Message) error {
	ctx, cancel := context.WithTimeout(st.life, settleTimeout)
	defer cancel()
	receipt, err := st.driver.Publish(ctx, m)
	if err != nil {
		return err
	}
	return receipt.Wait(ctx)
}

// finish acknowledges d once m, which stands for it, is confirmed. When err says
// that it is not, finish gives d back, after a rest, and returns err.
func (st *settler) finish(d *broker.Delivery, m *broker.Message, err error) error {
	if err == nil {
		st.troubled.Store(false)
		if m.DeadLetter == nil {
			st.service.unfinished.carried(d)
			_ = st.tell(st.life, tracing.Ack, d) // stale: counted, and delivered again
		} else {
			st.ack(d)
		}
		return nil
	}
	st.trouble(m, err)
	st.hold(requeueDelay)
	_ = st.tell(st.life, tracing.Reject, d) // stale: its channel is gone, and it is back already
	return err
}

// trouble says once, until a copy is confirmed again, that m cannot be published.
func (st *settler) trouble(m *broker.Message, err error) {
	if !st.troubled.Swap(true) {
		st.service.opts.Logger.Warn("deliveries cannot be settled: they wait, or go back to their queue",
			"subscription", st.name.String(), "queue", m.RoutingKey, "error", err)
	}
}

// hold reports whether all of delay passed before the settler had to leave.
func (st *settler) hold(delay time.Duration) bool {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-st.leaving:
	case <-st.life.Done():
	}
	return false
}

func (st *settler) ack(d *broker.Delivery) {
	st.service.unfinished.forget(d)
	st.settled(d, st.tell(st.life, tracing.Ack, d)) // stale: counted, and delivered again
}

// process describes d to tracing.
func (st *settler) process(sub *Subscription, d *broker.Delivery) tracing.Process {
	e := d.Event
	return tracing.Process{
		System:           sub.System,
		Exchange:         d.Exchange,
		RoutingKey:       d.RoutingKey,
		Queue:            d.Queue,
		Topic:            sub.Topic.Name,
		Subscription:     sub.FullName,
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
	st.remember(d)
	_, span := st.service.opts.Tracing.StartSettle(ctx, tracing.Ack, p)
	err := st.tell(ctx, tracing.Ack, d)
	span.End(err)
	st.settled(d, err)
	return err
}

func clip(s string) string {
	if len(s) <= maxReason {
		return s
	}
	return strings.ToValidUTF8(s[:maxReason], "")
}

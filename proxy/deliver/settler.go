package deliver

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/deliver/delivery"
	"github.com/warrenmesh/warren/proxy/deliver/keys"
	"github.com/warrenmesh/warren/proxy/deliver/ledger"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/tracing"
)

// Reasons a dead letter carries.
const (
	reasonInvalidEvent = "invalid-event"      // the message is no event
	reasonExhausted    = "attempts-exhausted" // the last attempt failed
	reasonRejected     = "rejected"           // the service said so
	reasonAckDeadline  = "ack-deadline"       // the last attempt was never settled
	reasonTooLarge     = "too-large"          // the message cannot be read, or not be copied
	reasonElapsed      = "retries-elapsed"    // its key has waited for it long enough
	reasonKeyHeld      = "key-held"           // an event of its key before it is a dead letter
)

const (
	maxReason     = 200 // bytes of a service's words that are kept
	settleTimeout = 5 * time.Second
	// restDelay is how long a delivery rests that cannot be settled. Given back at
	// once it would come back at once, for as long as the broker takes no publishes.
	restDelay = time.Second
	// maxHold bounds how long a delivery may be unsettled, ack deadline, extensions
	// and waiting for another attempt together: brokers take back what is held for longer,
	// and all the rest with it (RabbitMQ by its consumer_timeout, 30 minutes by default).
	maxHold = 25 * time.Minute
	// maxPark bounds how long a delivery waits unsettled for its next attempt.
	maxPark = 10 * time.Minute
)

// poisonLimit is how often the broker may take an event back unsettled before it
// is dead-lettered whatever else is known: it may be what kills this sidecar. It is
// high, because everything prefetched behind a bad event is taken back with it.
const poisonLimit = 100

// settler carries outcomes out on one broker node, for a stream or a pusher. It is
// safe for concurrent use.
type settler struct {
	// set before anything is consumed
	service *Service
	name    mesh.Name // of the subscription
	id      string    // unique in this process
	driver  broker.Driver
	life    context.Context //nolint:containedctx // outcomes not carried out when it ends are given up
	leaving <-chan struct{} // closed when nothing more is consumed
	order   *keys.Sequence  // of a subscription that is ordered by key; nil else

	// subscription is the form in force: of whatever begins now. It is replaced when the
	// configuration changes.
	subscription atomic.Pointer[Subscription]

	// troubled is set while outcomes cannot be carried out, and that was told.
	troubled atomic.Bool
}

// wanted settles what the service is not to see, and reports whether it is to see d.
func (st *settler) wanted(d *delivery.Delivery) bool {
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
func (st *settler) filtered(d *delivery.Delivery) bool {
	if d.Event == nil || d.Subscription.Filter.Matches(d.Event) {
		return false
	}
	st.ack(d)
	return true
}

// unfit returns why d is a dead letter before the service sees it, "" when it is none.
func (st *settler) unfit(d *delivery.Delivery) (reason, detail string) {
	switch {
	case d.LeftBehind && d.Malformed != nil:
		return reasonTooLarge, d.Malformed.Error()
	case d.Malformed != nil:
		return reasonInvalidEvent, d.Malformed.Error()
	case d.Attempt > d.Subscription.Attempts || st.takenBack(d) >= poisonLimit:
		return reasonExhausted, "the service never settled it"
	case d.Expired():
		return broker.ReasonExpired, d.ExpiryText()
	default:
		return "", ""
	}
}

// takenBack is how often the broker took d back though no outcome asked for that.
func (st *settler) takenBack(d *delivery.Delivery) uint32 {
	if d.Subscription.Strategy == mesh.BrokerDelay {
		return d.Returned - min(d.Waited, d.Returned)
	}
	return d.Returned
}

// countAttempts replaces the broker's count of what it took back by ours of what
// the service really had in its hands. It returns when the next attempt may begin.
func (st *settler) countAttempts(d *delivery.Delivery) (due time.Time) {
	d.BeginLife()
	d.Attempt -= min(st.takenBack(d), d.Attempt-1)
	return st.service.ledger.Attempts.Claim(st.id, d.Delivery, time.Now())
}

// alone reports whether d must be the only event in flight: the service crashed with it
// before, and this is its last attempt. Another event may have caused the crash, so an
// event is dead-lettered for a crash only if it was the only one in flight.
func (st *settler) alone(d *delivery.Delivery) bool {
	return d.Crashes > 0 && d.Attempt >= d.Subscription.Attempts
}

// reject buries what is not to be handed out.
func (st *settler) reject(d *delivery.Delivery, reason, detail string) {
	if reason == reasonExhausted || reason == broker.ReasonExpired {
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
// service did not say otherwise, else a dead letter. It returns what took
// effect; after an error nothing did, and d is back.
func (st *settler) fail(d *delivery.Delivery, o outcome) (effect string, err error) {
	now := time.Now()
	if d.FirstFailure.IsZero() {
		d.FirstFailure = now
	}
	if st.order != nil {
		return st.failInOrder(d, o, now)
	}
	if o.kind == event.Retry && d.Attempt < d.Subscription.Attempts {
		return st.repeat(d, o)
	}
	return effectDeadLetter, st.bury(d, o.reason, o.detail)
}

// repeat has the broker make d wait for its next attempt. What cannot wait there is a dead
// letter.
func (st *settler) repeat(d *delivery.Delivery, o outcome) (effect string, err error) {
	how := broker.Settlement{Subscription: d.Subscription.Subscription, RetryAfter: &broker.RetryAfter{
		Wish: o.after, Longest: min(maxPark, maxHold-time.Since(o.begun)), Leaving: st.leaving,
	}}
	if d.Subscription.Strategy == mesh.BrokerDelay {
		st.service.ledger.Attempts.Failed(st.id, d.Delivery, time.Now())
		return effectRetry, st.tell(st.life, tracing.Nack, d, func() error { return d.Settle(st.life, how) })
	}
	err = st.carry(d, how)
	if broker.Never(err) {
		return effectDeadLetter, st.bury(d, reasonTooLarge, err.Error())
	}
	return effectRetry, st.concluded(d, err)
}

// concluded returns nil when err says that d has its outcome: what is stale then has a copy
// that stands for it, and is delivered again.
func (st *settler) concluded(d *delivery.Delivery, err error) error {
	if err == nil || errors.Is(err, broker.ErrStale) {
		return nil
	}
	select {
	case <-st.leaving:
		return err // unsettled: drain gives it back
	default:
		return st.refused(d, err)
	}
}

// bury makes d a dead letter.
func (st *settler) bury(d *delivery.Delivery, reason, detail string) (err error) {
	how := broker.Settlement{Bury: &broker.Bury{Reason: reason, Detail: clip(detail)}}
	if st.order != nil {
		err = st.buryInOrder(d, how)
	} else {
		err = st.concluded(d, st.carry(d, how))
	}
	if err == nil {
		st.service.opts.Metrics.DeadLetter(st.measured(d), reason)
		st.report(d, reason, detail)
	}
	return err
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

func (st *settler) ack(d *delivery.Delivery) {
	st.service.ledger.Attempts.Settled(st.id, d.Delivery)
	st.settled(d, st.tell(st.life, tracing.Ack, d, d.Ack)) // stale: counted, and delivered again
}

// process describes d to tracing.
func (st *settler) process(d *delivery.Delivery) tracing.Process {
	sub, e := d.Subscription, d.Event
	return tracing.Process{
		System:           sub.System,
		Exchange:         d.Origin.Name,
		RoutingKey:       d.Origin.Key,
		Queue:            d.Part,
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
func (st *settler) ackSpanned(ctx context.Context, d *delivery.Delivery, p tracing.Process) error {
	st.service.ledger.Attempts.Settled(st.id, d.Delivery)
	st.remember(d)
	_, span := st.service.opts.Tracing.StartSettle(ctx, tracing.Ack, p)
	err := st.tell(ctx, tracing.Ack, d, d.Ack)
	span.End(err)
	st.settled(d, err)
	return err
}

func clipTo(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "")
}

// report counts a dead letter, and logs it unless one of its kind was logged just now.
func (st *settler) report(d *delivery.Delivery, reason, detail string) {
	id := d.MessageID()
	n := st.service.ledger.Reports.Add(ledger.Kind{Subscription: st.name, Reason: reason}, id, time.Now(), st.service.opts.ReportEvery)
	if n > 0 {
		st.service.opts.Logger.Warn("dead letters", "subscription", st.name.String(), "reason", reason, "count", n,
			"queue", d.Subscription.DeadLetterQueue, "event_id", clip(id), "detail", clip(detail))
	}
}

// suppressed acknowledges d unseen when the service acknowledged the same event
// within the subscription's window.
func (st *settler) suppressed(d *delivery.Delivery) bool {
	dedupe := d.Subscription.Dedupe
	if dedupe.Window <= 0 || d.Event == nil || !st.service.ledger.Acknowledged(st.name).Has(d.Event, time.Now(), dedupe) {
		return false
	}
	st.service.opts.Metrics.Deduplicated(st.measured(d))
	st.showSettled(d, effectAck, "the service acknowledged it before", time.Time{})
	st.ack(d)
	return true
}

// remember notes that the service acknowledged d, whether or not the broker hears
// of it: when it does not, it hands the event out again.
func (st *settler) remember(d *delivery.Delivery) {
	if dedupe := d.Subscription.Dedupe; dedupe.Window > 0 {
		st.service.ledger.Acknowledged(st.name).Add(d.Event, time.Now(), dedupe)
	}
}

// received begins the way of a delivery.
func (st *settler) received(d *broker.Delivery) *delivery.Delivery {
	return &delivery.Delivery{Delivery: d, Subscription: st.subscription.Load()}
}

// again is d as its next attempt.
func (st *settler) again(d *delivery.Delivery) *delivery.Delivery {
	next := *d.Delivery
	next.Attempt++
	return &delivery.Delivery{Delivery: &next, Subscription: st.subscription.Load()}
}

// judged is what becomes of d by o: what has expired is not tried again.
func judged(d *delivery.Delivery, o outcome) outcome {
	if o.kind == event.Retry && d.Expired() {
		o.kind, o.reason, o.detail = event.DeadLetter, broker.ReasonExpired, d.ExpiryText()
	}
	return o
}

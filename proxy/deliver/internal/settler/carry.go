package settler

import (
	"errors"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/deliver/delivery"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/metrics"
	"github.com/warrenmesh/warren/tracing/messaging"
)

// carry has the broker do with d what s says. An error other than broker.ErrStale says
// that d is unsettled.
func (st *Settler) carry(d *delivery.Delivery, s broker.Settlement) error {
	s.Subscription = d.Subscription.Subscription
	begun := time.Now()
	err := d.Settle(st.life, s)
	if err != nil && !errors.Is(err, broker.ErrStale) {
		return err
	}
	st.troubled.Store(false)
	st.shared.Ledger.Attempts.Settled(st.id, d.Delivery)
	st.told(st.life, messaging.Ack, d, time.Since(begun), err)
	return err
}

// refused gives d back, which the broker did not settle, after a rest. One that has no
// attempt left is not handed out again.
func (st *Settler) refused(d *delivery.Delivery, err error) error {
	st.trouble(err)
	st.rest(restDelay)
	if d.Event != nil && d.Attempt >= d.Subscription.Attempts {
		st.shared.Ledger.Attempts.Failed(st.id, d.Delivery, time.Now())
	} else {
		st.shared.Ledger.Attempts.Unsettled(st.id, d.Delivery)
	}
	_ = st.tell(st.life, messaging.Reject, d, d.Return) // stale: its epoch is over, and it is back already
	return err
}

// trouble says once, until something is settled again, that nothing can be.
func (st *Settler) trouble(err error) {
	if !st.troubled.Swap(true) {
		st.shared.Logger.Warn("deliveries cannot be settled: they wait, or go back to where they came from",
			"subscription", st.name.String(), "error", err)
	}
}

// Reject buries what is not to be handed out.
func (st *Settler) Reject(d *delivery.Delivery, reason, detail string) {
	if reason == ReasonExhausted || reason == broker.ReasonExpired {
		d.Attempt-- // the one that is not made
	}
	st.shared.Metrics.Slow(metrics.DeliverySettle, 1)
	if st.bury(d, reason, detail) == nil {
		st.showSettled(d, effectDeadLetter, reason+": "+detail, time.Time{})
	}
}

// fail carries out a negative outcome: another attempt while some are left and the
// service did not say otherwise, else a dead letter. It returns what took
// effect; after an error nothing did, and d is back.
func (st *Settler) fail(d *delivery.Delivery, o Outcome) (effect string, err error) {
	now := time.Now()
	if d.FirstFailure.IsZero() {
		d.FirstFailure = now
	}
	if st.order != nil {
		return st.failInOrder(d, o, now)
	}
	if o.Kind == event.Retry && d.Attempt < d.Subscription.Attempts {
		return st.repeat(d, o)
	}
	return effectDeadLetter, st.bury(d, o.Reason, o.Detail)
}

// repeat has the broker make d wait for its next attempt. What cannot wait there is a dead
// letter.
func (st *Settler) repeat(d *delivery.Delivery, o Outcome) (effect string, err error) {
	how := broker.Settlement{Subscription: d.Subscription.Subscription, RetryAfter: &broker.RetryAfter{
		Wish: o.After, Longest: min(MaxPark, MaxHold-time.Since(o.begun)), Leaving: st.leaving,
	}}
	if d.Subscription.Strategy == mesh.BrokerDelay {
		st.shared.Ledger.Attempts.Failed(st.id, d.Delivery, time.Now())
		return effectRetry, st.tell(st.life, messaging.Nack, d, func() error { return d.Settle(st.life, how) })
	}
	err = st.carry(d, how)
	if broker.Never(err) {
		return effectDeadLetter, st.bury(d, reasonTooLarge, err.Error())
	}
	return effectRetry, st.concluded(d, err)
}

// concluded returns nil when err says that d has its outcome: what is stale then has a copy
// that stands for it, and is delivered again.
func (st *Settler) concluded(d *delivery.Delivery, err error) error {
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
func (st *Settler) bury(d *delivery.Delivery, reason, detail string) (err error) {
	how := broker.Settlement{Bury: &broker.Bury{Reason: reason, Detail: Clip(detail)}}
	if st.order != nil {
		err = st.buryInOrder(d, how)
	} else {
		err = st.concluded(d, st.carry(d, how))
	}
	if err == nil {
		st.shared.Metrics.DeadLetter(st.measured(d), reason)
		st.reportDeadLetter(d, reason, detail)
	}
	return err
}

// rest reports whether all of delay passed before the settler had to leave.
func (st *Settler) rest(delay time.Duration) bool {
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

func (st *Settler) ack(d *delivery.Delivery) {
	st.Acknowledges(1)
	st.shared.Ledger.Attempts.Settled(st.id, d.Delivery)
	st.pass(d, st.tell(st.life, messaging.Ack, d, d.Ack)) // stale: counted, and delivered again
}

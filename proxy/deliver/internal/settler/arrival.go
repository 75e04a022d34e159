package settler

import (
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/deliver/delivery"
)

// poisonLimit is how often the broker may take an event back unsettled before it
// is dead-lettered whatever else is known: it may be what kills this sidecar. It is
// high, because everything prefetched behind a bad event is taken back with it.
const poisonLimit = 100

// Received begins the way of a delivery.
func (st *Settler) Received(d *broker.Delivery) *delivery.Delivery {
	return &delivery.Delivery{Delivery: d, Subscription: st.Subscription()}
}

// again is d as its next attempt.
func (st *Settler) again(d *delivery.Delivery) *delivery.Delivery {
	next := *d.Delivery
	next.Attempt++
	return &delivery.Delivery{Delivery: &next, Subscription: st.Subscription()}
}

// Wanted settles what the service is not to see, and reports whether it is to see d.
func (st *Settler) Wanted(d *delivery.Delivery) bool {
	if st.filtered(d) {
		return false
	}
	st.countAttempts(d)
	if reason, detail := st.unfit(d); reason != "" {
		st.Reject(d, reason, detail)
		return false
	}
	return !st.Suppressed(d)
}

// filtered acknowledges what the subscription does not ask for.
func (st *Settler) filtered(d *delivery.Delivery) bool {
	if d.Event == nil || d.Subscription.Filter.Matches(d.Event) {
		return false
	}
	st.ack(d)
	return true
}

// unfit returns why d is a dead letter before the service sees it, "" when it is none.
func (st *Settler) unfit(d *delivery.Delivery) (reason, detail string) {
	switch {
	case d.LeftBehind && d.Malformed != nil:
		return reasonTooLarge, d.Malformed.Error()
	case d.Malformed != nil:
		return ReasonInvalidEvent, d.Malformed.Error()
	case d.Attempt > d.Subscription.Attempts || st.takenBack(d) >= poisonLimit:
		return ReasonExhausted, "the service never settled it"
	case d.Expired():
		return broker.ReasonExpired, d.ExpiryText()
	default:
		return "", ""
	}
}

// takenBack is how often the broker took d back though no outcome asked for that.
func (st *Settler) takenBack(d *delivery.Delivery) uint32 {
	if d.Subscription.Strategy == mesh.BrokerDelay {
		return d.Returned - min(d.Waited, d.Returned)
	}
	return d.Returned
}

// countAttempts replaces the broker's count of what it took back by ours of what
// the service really had in its hands. It returns when the next attempt may begin.
func (st *Settler) countAttempts(d *delivery.Delivery) (due time.Time) {
	d.BeginLife()
	d.Attempt -= min(st.takenBack(d), d.Attempt-1)
	if !d.Returning {
		return time.Time{} // it was never handed out before, and nothing is known of it
	}
	return st.shared.Ledger.Attempts.Claim(st.id, d.Delivery, time.Now())
}

// Alone reports whether d must be the only event in flight: the service crashed with it
// before, and this is its last attempt. Another event may have caused the crash, so an
// event is dead-lettered for a crash only if it was the only one in flight.
func (st *Settler) Alone(d *delivery.Delivery) bool {
	return d.Crashes > 0 && d.Attempt >= d.Subscription.Attempts
}

// Suppressed acknowledges d unseen when the service acknowledged the same event
// within the subscription's window.
func (st *Settler) Suppressed(d *delivery.Delivery) bool {
	dedupe := d.Subscription.Dedupe
	if dedupe.Window <= 0 || d.Event == nil || !st.acknowledged.Has(d.Event, time.Now(), dedupe) {
		return false
	}
	st.shared.Metrics.Deduplicated(st.measured(d))
	st.showSettled(d, effectAck, "the service acknowledged it before", time.Time{})
	st.ack(d)
	return true
}

// Remember notes that the service acknowledged d, whether or not the broker hears
// of it: when it does not, it hands the event out again.
func (st *Settler) Remember(d *delivery.Delivery) {
	if dedupe := d.Subscription.Dedupe; dedupe.Window > 0 {
		st.acknowledged.Add(d.Event, time.Now(), dedupe)
	}
}

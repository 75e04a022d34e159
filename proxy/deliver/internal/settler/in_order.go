package settler

import (
	"cmp"
	"errors"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/deliver/delivery"
	"github.com/warrenmesh/warren/proxy/deliver/internal/keys"
	"github.com/warrenmesh/warren/proxy/event"
)

// defaultMaxElapsed is how long a key waits for its retries when nothing is said.
const defaultMaxElapsed = 5 * time.Minute

// KeepOrder has the settler keep the order of keys in seq from now on. It is called before
// anything is received.
func (st *Settler) KeepOrder(seq *keys.Sequence) { st.order = seq }

// Ordered reports whether the settler keeps the order of keys.
func (st *Settler) Ordered() bool { return st.order != nil }

// Enqueue puts d in the line of its key, unless the subscription does not ask for it. It
// never blocks: what waits is bounded by the prefetch.
func (st *Settler) Enqueue(d *delivery.Delivery) {
	if st.filtered(d) {
		return
	}
	due := st.countAttempts(d)
	st.order.Add(d, st.keyOf(d), time.Now(), due)
}

// Unfit returns why d, whose turn it is, is a dead letter before the service sees it, ""
// when it is none.
func (st *Settler) Unfit(d *delivery.Delivery) (reason, detail string) {
	reason, detail = st.unfit(d)
	if reason == "" && st.held.Has(st.keyOf(d)) {
		return reasonKeyHeld, "an event of its key before it was dead-lettered"
	}
	return reason, detail
}

// keyOf returns the key whose order d keeps, "" when it keeps none.
func (st *Settler) keyOf(d *delivery.Delivery) string {
	if d.Event == nil {
		return ""
	}
	return d.Event.Text(d.Subscription.Partitions.Key)
}

// failInOrder carries out a negative outcome: d waits in its place, and its key
// with it, or becomes a dead letter.
func (st *Settler) failInOrder(d *delivery.Delivery, o Outcome, now time.Time) (effect string, err error) {
	sub := d.Subscription
	if o.Kind != event.Retry || d.Attempt >= sub.Attempts {
		return effectDeadLetter, st.bury(d, o.Reason, o.Detail)
	}
	left := min(cmp.Or(sub.MaxElapsed, defaultMaxElapsed), MaxPark) - now.Sub(d.FirstFailure)
	if left <= 0 {
		return effectDeadLetter, st.bury(d, reasonElapsed, o.Detail)
	}
	delay := o.After
	if delay <= 0 {
		delay = sub.Backoff.Delay(d.Attempt)
	}
	due := now.Add(min(delay, left))
	if end := d.EndOfLife(); !end.IsZero() {
		due = earlier(due, end) // its key need not wait for longer than it lives
	}
	st.shared.Ledger.Attempts.Attempted(st.id, d.Delivery, now, due) // should it come again in another epoch
	if !st.order.Park(d, st.again(d), now, due) {
		return effectRetry, broker.ErrStale
	}
	return effectRetry, nil
}

// buryInOrder makes d a dead letter. d's key waits until that is done: giving d back would
// let others pass it.
func (st *Settler) buryInOrder(d *delivery.Delivery, how broker.Settlement) error {
	for {
		err := st.carry(d, how)
		if err == nil || errors.Is(err, broker.ErrStale) {
			if err == nil {
				st.holdKey(d)
			}
			st.pass(d, err)
			return nil
		}
		st.trouble(err)
		if !st.rest(restDelay) {
			return err // unsettled: drain gives it back
		}
		if _, current := st.order.Taken(d); !current {
			return errors.Join(err, broker.ErrStale)
		}
		how.Again = how.Again || broker.OutcomeOf(err) == broker.Unknown
	}
}

// pass lets the next event of d's key pass. err says that d's epoch is over,
// and with it all that came in it.
func (st *Settler) pass(d *delivery.Delivery, err error) {
	switch {
	case st.order == nil:
	case err != nil:
		st.order.Lost(d.Part, d.Epoch)
	default:
		st.order.Done(d, time.Now())
	}
}

// holdKey holds the key of a dead letter back when the subscription says so.
func (st *Settler) holdKey(d *delivery.Delivery) {
	key := st.keyOf(d)
	if key == "" || d.Subscription.KeyPolicy != mesh.Hold {
		return
	}
	if !st.held.Add(key) {
		st.shared.Logger.Warn("too many keys are held: the next event of this one is delivered",
			"subscription", st.name.String(), "held", keys.MaxHeld)
	}
}

// Arrived returns since when d, which is handed out now, counts against the time it may be
// unsettled, and false when d's epoch is known to be over.
func (st *Settler) Arrived(d *delivery.Delivery, now time.Time) (time.Time, bool) {
	if st.order == nil {
		return now, true
	}
	return st.order.Taken(d)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

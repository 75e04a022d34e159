package deliver

import (
	"cmp"
	"errors"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/deliver/delivery"
	"github.com/warrenmesh/warren/proxy/deliver/keys"
	"github.com/warrenmesh/warren/proxy/event"
)

// defaultMaxElapsed is how long a key waits for its retries when nothing is said.
const defaultMaxElapsed = 5 * time.Minute

// keyOf returns the key whose order d keeps, "" when it keeps none.
func (st *settler) keyOf(d *delivery.Delivery) string {
	if d.Event == nil {
		return ""
	}
	return d.Event.Text(d.Subscription.Partitions.Key)
}

// failInOrder carries out a negative outcome: d waits in its place, and its key
// with it, or becomes a dead letter.
func (st *settler) failInOrder(d *delivery.Delivery, o outcome, now time.Time) (effect string, err error) {
	sub := d.Subscription
	if o.kind != event.Retry || d.Attempt >= sub.Attempts {
		return effectDeadLetter, st.bury(d, o.reason, o.detail)
	}
	left := min(cmp.Or(sub.MaxElapsed, defaultMaxElapsed), maxPark) - now.Sub(d.FirstFailure)
	if left <= 0 {
		return effectDeadLetter, st.bury(d, reasonElapsed, o.detail)
	}
	delay := o.after
	if delay <= 0 {
		delay = sub.Backoff.Delay(d.Attempt)
	}
	due := now.Add(min(delay, left))
	if end := d.EndOfLife(); !end.IsZero() {
		due = earlier(due, end) // its key need not wait for longer than it lives
	}
	st.service.ledger.Attempts.Attempted(st.id, d.Delivery, now, due) // should it come again in another epoch
	if !st.order.Park(d, st.again(d), now, due) {
		return effectRetry, broker.ErrStale
	}
	return effectRetry, nil
}

// buryInOrder makes d a dead letter. d's key waits until that is done: giving d back would
// let others pass it.
func (st *settler) buryInOrder(d *delivery.Delivery, how broker.Settlement) error {
	for {
		err := st.carry(d, how)
		if err == nil || errors.Is(err, broker.ErrStale) {
			if err == nil {
				st.holdKey(d)
			}
			st.settled(d, err)
			return nil
		}
		st.trouble(err)
		if !st.hold(restDelay) {
			return err // unsettled: drain gives it back
		}
		if _, current := st.order.Taken(d); !current {
			return errors.Join(err, broker.ErrStale)
		}
		how.Again = how.Again || broker.OutcomeOf(err) == broker.Unknown
	}
}

// settled lets the next event of d's key pass. err says that d's epoch is over,
// and with it all that came in it.
func (st *settler) settled(d *delivery.Delivery, err error) {
	switch {
	case st.order == nil:
	case err != nil:
		st.order.Lost(d.Part, d.Epoch)
	default:
		st.order.Done(d, time.Now())
	}
}

// holdKey holds the key of a dead letter back when the subscription says so.
func (st *settler) holdKey(d *delivery.Delivery) {
	key := st.keyOf(d)
	if key == "" || d.Subscription.KeyPolicy != mesh.Hold {
		return
	}
	if !st.service.holds.Of(st.name).Add(key) {
		st.service.opts.Logger.Warn("too many keys are held: the next event of this one is delivered",
			"subscription", st.name.String(), "held", keys.MaxHeld)
	}
}

// arrived returns since when d counts against the time it may be unsettled, and
// false when d's epoch is known to be over.
func (st *settler) arrived(d *delivery.Delivery) (time.Time, bool) {
	if st.order == nil {
		return time.Now(), true
	}
	return st.order.Taken(d)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

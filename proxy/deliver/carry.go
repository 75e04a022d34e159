package deliver

import (
	"errors"
	"time"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/deliver/delivery"
	"github.com/warrenmesh/warren/tracing"
)

// carry has the broker do with d what s says. An error other than broker.ErrStale says
// that d is unsettled.
func (st *settler) carry(d *delivery.Delivery, s broker.Settlement) error {
	s.Subscription = d.Subscription.Subscription
	begun := time.Now()
	err := d.Settle(st.life, s)
	if err != nil && !errors.Is(err, broker.ErrStale) {
		return err
	}
	st.troubled.Store(false)
	st.service.ledger.Attempts.Settled(st.id, d.Delivery)
	st.told(st.life, tracing.Ack, d, begun, err)
	return err
}

// refused gives d back, which the broker did not settle, after a rest. One that has no
// attempt left is not handed out again.
func (st *settler) refused(d *delivery.Delivery, err error) error {
	st.trouble(err)
	st.hold(restDelay)
	if d.Event != nil && d.Attempt >= d.Subscription.Attempts {
		st.service.ledger.Attempts.Failed(st.id, d.Delivery, time.Now())
	} else {
		st.service.ledger.Attempts.Unsettled(st.id, d.Delivery)
	}
	_ = st.tell(st.life, tracing.Reject, d, d.Return) // stale: its epoch is over, and it is back already
	return err
}

// trouble says once, until something is settled again, that nothing can be.
func (st *settler) trouble(err error) {
	if !st.troubled.Swap(true) {
		st.service.opts.Logger.Warn("deliveries cannot be settled: they wait, or go back to where they came from",
			"subscription", st.name.String(), "error", err)
	}
}

func clip(s string) string { return clipTo(s, maxReason) }

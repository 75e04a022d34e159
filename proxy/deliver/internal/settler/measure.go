package settler

import (
	"context"
	"time"

	"github.com/warrenmesh/warren/proxy/deliver/delivery"
	"github.com/warrenmesh/warren/proxy/metrics"
	"github.com/warrenmesh/warren/tracing/messaging"
)

// tell settles d with the broker, and counts it when that came too late.
func (st *Settler) tell(ctx context.Context, op messaging.SettleOp, d *delivery.Delivery, settle func() error) error {
	begun := time.Now()
	err := settle()
	st.told(ctx, op, d, time.Since(begun), err)
	return err
}

// told measures a settlement; its error means that it came too late.
func (st *Settler) told(ctx context.Context, op messaging.SettleOp, d *delivery.Delivery, took time.Duration, err error) {
	st.shared.Metrics.Settle(ctx, op, st.measured(d), took, err)
	if err != nil {
		st.shared.stale.Add(1)
	}
}

// measured describes d to metrics.
func (st *Settler) measured(d *delivery.Delivery) metrics.Delivery {
	sub := d.Subscription
	return metrics.Delivery{
		Subscription: st.name,
		Topic:        sub.Topic,
		System:       sub.System,
		Address:      st.address,
		Attempt:      d.Attempt,
		Redelivered:  d.Redelivered,
		Publisher:    d.AppID,
	}
}

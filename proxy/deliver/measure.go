package deliver

import (
	"context"
	"time"

	"github.com/warrenmesh/warren/proxy/deliver/delivery"
	"github.com/warrenmesh/warren/proxy/metrics"
	"github.com/warrenmesh/warren/tracing"
)

// tell settles d with the broker, and counts it when that came too late.
func (st *settler) tell(ctx context.Context, op tracing.SettleOp, d *delivery.Delivery, settle func() error) error {
	begun := time.Now()
	err := settle()
	st.told(ctx, op, d, begun, err)
	return err
}

// told measures a settlement that began at begun; its error means that it came too late.
func (st *settler) told(ctx context.Context, op tracing.SettleOp, d *delivery.Delivery, begun time.Time, err error) {
	st.service.opts.Metrics.Settle(ctx, op, st.measured(d), begun, err)
	if err != nil {
		st.service.stale.Add(1)
	}
}

// measured describes d to metrics.
func (st *settler) measured(d *delivery.Delivery) metrics.Delivery {
	sub := d.Subscription
	return metrics.Delivery{
		Subscription: st.name,
		Topic:        sub.Topic,
		System:       sub.System,
		Address:      st.driver.State().Address,
		Attempt:      d.Attempt,
		Redelivered:  d.Redelivered,
	}
}

package deliver

import (
	"context"

	"github.com/warrenmesh/warren/proxy/deliver/delivery"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/tracing"
)

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

package deliver

import (
	"context"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/event/eventpb"
	"github.com/warrenmesh/warren/tracing"
)

// intake offers the session what the service is to see. The driver calls it for
// one delivery after the other; blocking here holds the flow back.
func (ss *session) intake(ctx context.Context, d *broker.Delivery) {
	if !ss.wanted(d) {
		return
	}
	select {
	case ss.arrivals <- d:
	case <-ctx.Done(): // unsettled: drain gives it back
	}
}

// handOut sends d to the service.
func (ss *session) handOut(d *broker.Delivery) {
	if d.Epoch > ss.epoch {
		// The broker hands out again by itself what older channels held.
		for _, h := range ss.held.before(d.Epoch) {
			ss.service.stale.Add(1)
			h.end(broker.ErrStale)
		}
		ss.epoch = d.Epoch
	}
	sub := ss.subscription.Load()
	now := time.Now()
	h := &handout{Delivery: d, token: ss.token(d), at: now, deadline: now.Add(ss.ackDeadline()), process: ss.process(sub, d)}
	// The span's parent is the event's own history, not this hours-long stream.
	h.spanCtx, h.span = ss.service.opts.Tracing.StartProcess(context.Background(), h.process)
	h.processing = ss.service.opts.Metrics.Process(ss.measured(d))
	ss.held.add(h)
	ss.showDelivered(d)
	ss.credit--
	ss.say(&eventsv1.SubscribeResponse{Response: &eventsv1.SubscribeResponse_Deliveries{
		Deliveries: &eventsv1.SubscribeDeliveries{Deliveries: []*eventsv1.Delivery{{
			Token:        h.token,
			Event:        eventpb.ToProto(d.Event),
			Attempt:      d.Attempt,
			Redelivered:  d.Redelivered || d.Attempt > 1,
			TraceContext: tracing.Inject(h.spanCtx),
			Topic:        sub.TopicName,
			AckDeadline:  timestamppb.New(h.deadline),
		}}},
	}})
}

// token names a delivery of this session; epoch and tag make it unique for ever.
func (ss *session) token(d *broker.Delivery) string {
	b := append(make([]byte, 0, 32), ss.id...)
	b = append(b, '-')
	b = strconv.AppendUint(b, d.Epoch, 36)
	b = append(b, '-')
	return string(strconv.AppendUint(b, d.Tag, 36))
}

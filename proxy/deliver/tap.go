package deliver

import (
	"time"

	"github.com/warrenmesh/warren/proxy/deliver/delivery"
	"github.com/warrenmesh/warren/proxy/tap"
)

// Outcomes as a tap shows them.
const (
	effectAck        = "ack"
	effectRetry      = "retry"
	effectDeadLetter = "dead-letter"
)

// showDelivered and showSettled let operators see a delivery. They cost one atomic
// load while nobody looks.
func (st *settler) showDelivered(d *delivery.Delivery) {
	if st.service.opts.Tap.Active() {
		st.show(&tap.Sight{Stage: tap.Delivered}, d)
	}
}

// showSettled is told what was done; at is when d was handed out, zero when it
// never was. An empty effect says that d went back.
func (st *settler) showSettled(d *delivery.Delivery, effect, detail string, at time.Time) {
	if effect == "" || !st.service.opts.Tap.Active() {
		return
	}
	s := &tap.Sight{Stage: tap.Settled, Outcome: effect, Detail: detail}
	if !at.IsZero() {
		s.Took = time.Since(at)
	}
	st.show(s, d)
}

func (st *settler) show(s *tap.Sight, d *delivery.Delivery) {
	sub := d.Subscription
	s.Event, s.Topic, s.Subscription = d.Event, sub.Topic, sub.Name
	s.Exchange, s.RoutingKey = d.Origin.Name, d.Origin.Key
	s.Attempt, s.TraceParent = d.Attempt, d.Trace.Parent
	st.service.opts.Tap.Emit(s)
}

// why says why a delivery was refused, for people. The reason of the dead letter
// is told only of one.
func (o outcome) why(effect string) string {
	switch {
	case effect != effectDeadLetter:
		return o.detail
	case o.detail == "":
		return o.reason
	default:
		return o.reason + ": " + o.detail
	}
}

package deliver

import (
	"time"

	"github.com/warrenmesh/warren/proxy/deliver/delivery"
	"github.com/warrenmesh/warren/proxy/deliver/ledger"
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

// report counts a dead letter, and logs it unless one of its kind was logged just now.
func (st *settler) report(d *delivery.Delivery, reason, detail string) {
	id := d.MessageID()
	n := st.service.ledger.Reports.Add(ledger.Kind{Subscription: st.name, Reason: reason}, id, time.Now(), st.service.opts.ReportEvery)
	if n > 0 {
		st.service.opts.Logger.Warn("dead letters", "subscription", st.name.String(), "reason", reason, "count", n,
			"queue", d.Subscription.DeadLetterQueue, "event_id", clip(id), "detail", clip(detail))
	}
}

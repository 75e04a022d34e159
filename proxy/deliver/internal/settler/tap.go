package settler

import (
	"time"

	"github.com/warrenmesh/warren/proxy/deliver/delivery"
	"github.com/warrenmesh/warren/proxy/deliver/internal/ledger"
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
func (st *Settler) showDelivered(d *delivery.Delivery) {
	if st.shared.Tap.Active() {
		st.show(&tap.Sight{Stage: tap.Delivered}, d)
	}
}

// showSettled is told what was done; at is when d was handed out, zero when it
// never was. An empty effect says that d went back.
func (st *Settler) showSettled(d *delivery.Delivery, effect, detail string, at time.Time) {
	if effect == "" || !st.shared.Tap.Active() {
		return
	}
	s := &tap.Sight{Stage: tap.Settled, Outcome: effect, Detail: detail}
	if !at.IsZero() {
		s.Took = time.Since(at)
	}
	st.show(s, d)
}

func (st *Settler) show(s *tap.Sight, d *delivery.Delivery) {
	sub := d.Subscription
	s.Event, s.Topic, s.Subscription = d.Event, sub.Topic, sub.Name
	s.Exchange, s.RoutingKey = d.Origin.Name, d.Origin.Key
	s.Attempt, s.TraceParent = d.Attempt, d.Trace.Parent
	st.shared.Tap.Emit(s)
}

// reportDeadLetter counts a dead letter, and logs it unless one of its kind was logged just now.
func (st *Settler) reportDeadLetter(d *delivery.Delivery, reason, detail string) {
	id := d.MessageID()
	n := st.shared.Ledger.Reports.Add(ledger.Kind{Subscription: st.name, Reason: reason}, id, time.Now(), st.shared.ReportEvery)
	if n > 0 {
		st.shared.Logger.Warn("dead letters", "subscription", st.name.String(), "reason", reason, "count", n,
			"queue", d.Subscription.DeadLetterQueue, "event_id", Clip(id), "detail", Clip(detail))
	}
}

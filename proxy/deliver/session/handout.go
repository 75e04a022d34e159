package session

import (
	"context"
	"strconv"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/deliver/delivery"
	"github.com/warrenmesh/warren/proxy/deliver/internal/settler"
	"github.com/warrenmesh/warren/tracing/tracecontext"
)

// offer waits until d may be handed out. It is called for one delivery after the
// other; blocking here holds the flow back.
func (ss *session) offer(ctx context.Context, d *delivery.Delivery) {
	select {
	case ss.arrivals <- d:
	case <-ctx.Done(): // unsettled: drain gives it back
	}
}

// lose tells the session's goroutine of a loss.
func (ss *session) lose(ctx context.Context, l loss) {
	select {
	case ss.losses <- l:
	case <-ctx.Done():
	}
}

// forget ends what was handed out in an epoch that is over: the broker hands it
// out again by itself.
func (ss *session) forget(l loss) {
	if d := ss.suspect; d != nil && d.Part == l.part && d.Epoch == l.epoch {
		ss.suspect = nil
	}
	for _, h := range ss.held.of(l) {
		ss.TooLate()
		if h.Subscription.Dedupe.Window > 0 {
			ss.lapsed.add(h)
		}
		h.End(broker.ErrStale)
	}
}

// receive hands d out, or keeps it until nothing else is held.
func (ss *session) receive(d *delivery.Delivery) {
	switch {
	case ss.Suppressed(d): // acknowledged while d waited here
	case ss.late(d):
	case ss.Alone(d):
		ss.suspect = d
	default:
		ss.handOut(d)
	}
}

// isolate hands out what is to be alone, when it is its turn.
func (ss *session) isolate() {
	if len(ss.held.byToken) > 0 {
		return
	}
	if d := ss.suspect; d != nil {
		ss.suspect = nil
		if !ss.late(d) {
			ss.handOut(d)
		}
	}
	ss.isolated = len(ss.held.byToken) > 0
}

// late buries d if it has expired while it waited here, and reports that.
func (ss *session) late(d *delivery.Delivery) bool {
	if !d.Expired() {
		return false
	}
	ss.settling.Go(func() { ss.Reject(d, broker.ReasonExpired, d.ExpiryText()) })
	return true
}

// handOut sends d to the service.
func (ss *session) handOut(d *delivery.Delivery) {
	arrived, current := ss.Arrived(d)
	if !current {
		return // lost since it was offered
	}
	handed, err := d.Handed()
	if err != nil {
		ss.settling.Go(func() { ss.Reject(d, settler.ReasonInvalidEvent, err.Error()) })
		return
	}
	// The span's parent is the event's own history, not this hours-long stream.
	h := &handout{Attempt: ss.Begin(context.Background(), d), token: ss.token(d), latest: arrived.Add(settler.MaxHold)}
	h.deadline = settler.Deadline(h.At, arrived, ss.ackDeadline(d.Subscription))
	ss.held.add(h)
	ss.credit--
	handed.Token, handed.Deadline, handed.Trace = h.token, h.deadline, tracecontext.Inject(h.Context())
	ss.say(Response{Deliveries: []delivery.Handed{handed}})
}

// token names a delivery of this session; epoch, tag and attempt make it unique for
// ever. A delivery that waited for another attempt in its place keeps its tag.
func (ss *session) token(d *delivery.Delivery) string {
	b := append(make([]byte, 0, 32), ss.ID()...)
	b = append(b, '-')
	b = strconv.AppendUint(b, d.Epoch, 36)
	b = append(b, '-')
	b = strconv.AppendUint(b, d.Tag, 36)
	if ss.Ordered() {
		b = append(b, '-')
		b = strconv.AppendUint(b, uint64(d.Attempt), 36)
	}
	return string(b)
}

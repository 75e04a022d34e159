package session

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/deliver/delivery"
	"github.com/warrenmesh/warren/proxy/deliver/internal/settler"
)

// offer waits until the first of ds may be handed out. It is called for one batch after the
// other; blocking here holds the flow back. ds may be used again after the next call.
func (ss *session) offer(ctx context.Context, ds []*delivery.Delivery) {
	ss.room.Add(-int64(len(ds)))
	select {
	case ss.arrivals <- ds:
	case <-ctx.Done(): // unsettled: drain gives them back
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
	lost := func(d *delivery.Delivery) bool { return d.Part == l.part && d.Epoch == l.epoch }
	if d := ss.suspect; d != nil && lost(d) {
		ss.suspect = nil
	}
	ss.waiting = slices.DeleteFunc(ss.waiting, lost)
	for _, h := range ss.held.of(l) {
		ss.TooLate()
		if h.Subscription.Dedupe.Window > 0 {
			ss.lapsed.add(h)
		}
		h.End(broker.ErrStale)
	}
}

// receive hands out what may be: a batch is as large as there was room, but its bytes, or an
// event that is to be alone, may leave some of it to wait.
func (ss *session) receive(ds []*delivery.Delivery) {
	now := time.Now() // one for all of them: they are told together
	for i, d := range ds {
		if !ss.open() {
			ss.waiting = append(ss.waiting, ds[i:]...)
			break
		}
		ss.receiveOne(d, now)
	}
	ss.deliver()
}

// resume hands out what waits, as far as it may be now.
func (ss *session) resume(draining <-chan struct{}) {
	if len(ss.waiting) == 0 || draining == nil || !ss.open() {
		return
	}
	ds := ss.waiting
	ss.waiting = nil
	ss.receive(ds)
}

// receiveOne hands d out, or keeps it until nothing else is held.
func (ss *session) receiveOne(d *delivery.Delivery, now time.Time) {
	switch {
	case ss.Suppressed(d): // acknowledged while d waited here
	case ss.late(d):
	case ss.Alone(d):
		ss.suspect = d
		ss.isolate()
	default:
		ss.handOut(d, now)
	}
}

// isolate hands out what is to be alone, if nothing is held.
func (ss *session) isolate() {
	if len(ss.held.byToken) > 0 {
		return
	}
	if d := ss.suspect; d != nil {
		ss.suspect = nil
		if !ss.late(d) {
			ss.handOut(d, time.Now())
			ss.deliver()
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

// handOut gives d to the service, which deliver tells.
func (ss *session) handOut(d *delivery.Delivery, now time.Time) {
	arrived, current := ss.Arrived(d, now)
	if !current {
		return // lost since it was offered
	}
	handed, err := d.Handed()
	if err != nil {
		ss.settling.Go(func() { ss.Reject(d, settler.ReasonInvalidEvent, err.Error()) })
		return
	}
	// The span's parent is the event's own history, not this hours-long stream.
	h := ss.held.spare()
	h.token, h.latest = ss.token(d), arrived.Add(settler.MaxHold)
	h.Attempt = ss.Begin(context.Background(), d, now)
	h.deadline = settler.Deadline(h.At, arrived, ss.ackDeadline(d.Subscription))
	ss.held.add(h)
	ss.credit--
	handed.Token, handed.Deadline, handed.Trace = h.token, h.deadline, h.Trace()
	size := handed.Size()
	if ss.out.size+size > maxGathered {
		ss.deliver()
	}
	if ss.out.Deliveries == nil {
		ss.out.Deliveries = ss.spare()
	}
	ss.out.Deliveries = append(ss.out.Deliveries, handed)
	ss.out.size += size
}

// deliver tells the service what was handed out.
func (ss *session) deliver() {
	if len(ss.out.Deliveries) > 0 {
		ss.say(ss.out)
		ss.out = Response{}
	}
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

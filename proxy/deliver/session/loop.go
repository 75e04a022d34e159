package session

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/warrenmesh/warren/proxy/deliver/delivery"
	"github.com/warrenmesh/warren/proxy/deliver/internal/intake"
	"github.com/warrenmesh/warren/proxy/refusal"
	"github.com/warrenmesh/warren/proxy/snapshot"
)

// loop is the session's one goroutine.
func (ss *session) loop(ctx context.Context, stopConsuming func()) error {
	silence := time.NewTimer(ss.server.opts.Heartbeat)
	defer silence.Stop()
	deadline := time.NewTimer(time.Hour)
	defer deadline.Stop()
	draining := ss.server.draining
	nodes := ss.server.intake.Changed()
	if err := ss.look(); err != nil {
		return err
	}
	for {
		sub, changed, err := ss.server.opts.Subscriptions.Subscription(ss.Name())
		if err != nil {
			return err
		}
		if err := ss.update(sub); err != nil {
			return err
		}
		if draining == nil && len(ss.held.byToken) == 0 {
			return errDraining()
		}
		ss.pack()
		ss.isolate()
		ss.resume(draining)
		ss.arm(deadline)
		outbox, next := ss.overflow()
		select {
		case ds := <-ss.gate(draining):
			ss.receive(ds)
		case l := <-ss.losses:
			ss.forget(l)
		case req := <-ss.asks():
			err = ss.handle(req)
		case r := <-ss.concluded:
			ss.note(r)
		case outbox <- next:
			ss.pending = slices.Delete(ss.pending, 0, 1)
		case err = <-ss.readErr:
			ss.deserted = true
			if errors.Is(err, io.EOF) {
				return nil // half-closed: nothing more can be settled
			}
		case err = <-ss.writeErr:
			ss.deserted = true
		case err = <-ss.consumed:
			if err == nil && draining == nil {
				ss.consumed = nil // we stopped it
			} else {
				err = refusal.FromBroker(err)
			}
		case now := <-deadline.C:
			ss.expire(now)
		case now := <-silence.C:
			silence.Reset(ss.beat(now))
		case <-nodes:
			nodes = ss.server.intake.Changed()
			err = ss.look()
		case <-changed:
		case <-draining:
			draining = nil
			stopConsuming()
		case <-ss.server.life.Done():
			return errDraining()
		case <-ctx.Done():
			ss.deserted = true
			return ctx.Err()
		}
		if err != nil {
			return err
		}
	}
}

// gate is where deliveries come from, nil while none may be handed out.
func (ss *session) gate(draining <-chan struct{}) <-chan []*delivery.Delivery {
	if draining == nil || len(ss.waiting) > 0 || !ss.open() {
		return nil
	}
	ss.room.Store(min(int64(ss.credit), int64(ss.limits.messages)-int64(len(ss.held.byToken))))
	return ss.arrivals
}

// open reports whether another delivery may be handed out. One is always allowed through
// the byte bound, however large.
func (ss *session) open() bool {
	n := len(ss.held.byToken)
	full := n >= int(ss.limits.messages) || n > 0 && ss.held.bytes >= ss.limits.bytes
	return ss.credit > 0 && !full && len(ss.pending) == 0 && !ss.isolated && ss.suspect == nil
}

// asks is where requests come from, nil while the client does not read the
// answers to earlier ones.
func (ss *session) asks() <-chan Request {
	if len(ss.pending) >= outboxSize {
		return nil
	}
	return ss.requests
}

// overflow is where the first pending message goes, nil when there is none.
func (ss *session) overflow() (chan<- Response, Response) {
	if len(ss.pending) == 0 {
		return nil, Response{}
	}
	return ss.outbox, ss.pending[0]
}

func (ss *session) arm(t *time.Timer) {
	if at, ok := ss.held.next(); ok {
		t.Reset(time.Until(at))
		return
	}
	t.Stop()
}

// update takes over a changed subscription. What needs another consumer ends the
// stream; the service connects again and gets the new form.
func (ss *session) update(sub *snapshot.Subscription) error {
	old := ss.Subscription()
	if old == sub {
		return nil
	}
	if !intake.SameSource(old, sub) {
		return refusal.Later(refusal.SubscriptionChanged, "the subscription's queue or broker changed; subscribe again")
	}
	ss.Update(sub)
	return nil
}

// beat sends a heartbeat if nothing was sent for so long, and returns when to look again.
func (ss *session) beat(now time.Time) time.Duration {
	every := ss.server.opts.Heartbeat
	silent := now.Sub(ss.lastSent)
	if silent < every {
		return every - silent
	}
	if len(ss.outbox) == 0 {
		ss.say(Response{})
	}
	return every
}

// look ends the stream for another node when this one is gone and another is up.
func (ss *session) look() error {
	if ss.server.intake.Stranded(ss.Driver(), ss.Subscription()) {
		return refusal.Later(refusal.ConnectionLost, "the broker node is gone; subscribe again to use another")
	}
	return nil
}

func (ss *session) ready() {
	sub := ss.Subscription()
	ss.say(Response{Ready: &Ready{
		Subscription: sub.FullName, Topic: sub.TopicName, MaxMessages: ss.limits.messages, AckDeadline: ss.ackDeadline(sub), Others: ss.others,
	}})
}

// say sends r as soon as the client reads. It never blocks.
func (ss *session) say(r Response) {
	r.Credit = ss.credit
	ss.lastSent = time.Now()
	if len(ss.pending) == 0 {
		select {
		case ss.outbox <- r:
			return
		default:
		}
	}
	ss.pending = append(ss.pending, r)
}

// ackDeadline is that of a delivery which meets sub.
func (ss *session) ackDeadline(sub *snapshot.Subscription) time.Duration {
	if ss.limits.ackDeadline > 0 {
		return ss.limits.ackDeadline
	}
	return sub.AckDeadline
}

package send

import (
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/conn"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/frame"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
)

// openWire opens an AMQP channel in confirm mode, whose confirms go to r.
func openWire(s *conn.Session, r *ring) (*frameWire, error) {
	w := &frameWire{
		// Every return belongs to an undecided publish: a window's worth is enough.
		back:      make(chan frame.Returned, s.Options.Window),
		ring:      r,
		frameSize: s.FrameSize(),
	}
	err := s.Call(func() (err error) {
		if w.ch, w.hot, err = s.HotChannel(w, 0); err != nil {
			return err
		}
		w.closed = w.ch.NotifyClose(make(chan *amqp.Error, 1))
		return w.ch.Confirm(false)
	})
	return w, err
}

// frameWire is a wire on a hot channel.
type frameWire struct {
	// Set by openWire.
	ch        *amqp.Channel
	hot       *frame.Channel
	closed    <-chan *amqp.Error
	back      chan frame.Returned
	ring      *ring
	frameSize int
}

// send implements wire.
func (w *frameWire) send(frames, rest []byte) error { return w.hot.Send(frames, rest, w.frameSize) }

// returns implements wire.
func (w *frameWire) returns() <-chan frame.Returned { return w.back }

// isClosed implements wire.
func (w *frameWire) isClosed() bool { return w.ring.isOver() || w.ch.IsClosed() }

// Confirm implements frame.Taker.
func (w *frameWire) Confirm(tag uint64, multiple, ack bool) { w.ring.confirm(tag, multiple, ack) }

// GiveBack implements frame.Taker.
func (w *frameWire) GiveBack(r frame.Returned) {
	select {
	case w.back <- r:
	default: // more returns than publishes: the broker's fault
	}
}

// Deliver implements frame.Taker. Nothing consumes here.
func (w *frameWire) Deliver(*message.Message) {}

// ring has the publishes of a channel from before they are written until the confirmer
// takes them. The broker numbers them from one on, and confirms each, or all up to one.
//
//	add ──▶ open ──confirm, fail──▶ decided ──take──▶ the confirmer
//
// A publish that is decided waits there for those before it.
type ring struct {
	wake chan struct{} // cap 1: there is something to take, or closed is set

	// Guarded by mu.
	mu      sync.Mutex
	first   uint64         // number of the first in open
	open    []*pending     // without gaps
	decided int            // how many at the begin of open are confirmed
	ids     map[uint64]int // how many with an id, by its hash, the confirmer is not done with
	copies  int64
	closed  bool // nothing is added any more
	over    bool // no confirm comes any more
}

func newRing(window int) *ring {
	return &ring{
		wake: make(chan struct{}, 1), first: 1, open: make([]*pending, 0, window), ids: make(map[uint64]int, window),
	}
}

// special is what keeps the last publish that was added from being written as it is encoded.
type special struct {
	copy int64  // the number of its copy header; 0 when it has none
	rest []byte // its body, if that is not among its frames
}

func (s special) none() bool { return s.copy == 0 && s.rest == nil }

// add takes ps, up to the first that is special, and returns how many. It stops before one
// that nobody waits for: n is 0 when that is the first.
func (r *ring) add(ps []pending, now int64) (n int, last special, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return 0, last, amqp.ErrClosed
	}
	for i := range ps {
		p := &ps[i]
		if !p.take() {
			break
		}
		p.written, p.copy = now, 0
		if p.mandatory {
			if p.id == "" || r.ids[p.hash] > 0 {
				r.copies++
				p.copy = r.copies
			}
			r.ids[p.hash]++
		}
		last.copy, last.rest, p.rest = p.copy, p.rest, nil // p is the confirmer's soon
		r.open = append(r.open, p)
		n++
		if !last.none() {
			break
		}
	}
	return n, last, nil
}

// takeBack takes out the last n that were added, which were not written. It returns false
// when they are decided: then the confirmer tells their outcome.
func (r *ring) takeBack(n int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over || len(r.open)-r.decided < n {
		return false
	}
	from := len(r.open) - n
	for _, p := range r.open[from:] {
		r.forgetOne(p)
	}
	clear(r.open[from:])
	r.open = r.open[:from]
	return true
}

// confirm decides one publish, or all up to it. A number that is not open was never given,
// or was told before: the broker's fault, and no reason to believe it.
func (r *ring) confirm(tag uint64, multiple, ack bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if tag == 0 && multiple {
		tag = r.first + uint64(len(r.open)) - 1 // all (AMQP 0-9-1, basic.ack)
	}
	if tag < r.first || tag-r.first >= uint64(len(r.open)) {
		return
	}
	at := int(tag - r.first) //nolint:gosec // less than len(r.open)
	from := at
	if multiple {
		from = r.decided
	}
	for i := from; i <= at; i++ {
		r.open[i].decide(ack)
	}
	r.advance()
}

func (p *pending) decide(ack bool) {
	if !p.confirmed {
		p.confirmed, p.acked = true, ack
	}
}

// fail decides everything that was not confirmed, once the channel is gone.
func (r *ring) fail() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	for _, p := range r.open {
		p.decide(false)
	}
	r.advance()
}

// isOver reports whether no confirm comes any more.
func (r *ring) isOver() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.over
}

// advance is called with mu held.
func (r *ring) advance() {
	before := r.decided
	for r.decided < len(r.open) && r.open[r.decided].confirmed {
		r.decided++
	}
	if r.decided > before {
		r.tell()
	}
}

func (r *ring) tell() {
	select {
	case r.wake <- struct{}{}:
	default: // it is told already
	}
}

// close says that nothing is added any more.
func (r *ring) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.tell()
}

// take waits for publishes that are decided and returns all of them, in order, in the space
// of the last ones; none once the ring is closed and empty. Only the confirmer takes.
func (r *ring) take(space []*pending) []*pending {
	for {
		if ps, done := r.tryTake(space[:0]); len(ps) > 0 || done {
			return ps
		}
		<-r.wake
	}
}

func (r *ring) tryTake(ps []*pending) (taken []*pending, done bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.decided
	ps = append(ps, r.open[:n]...)
	left := copy(r.open, r.open[n:]) // a window's at most
	clear(r.open[left:])
	r.open = r.open[:left]
	r.first, r.decided = r.first+uint64(n), 0 //nolint:gosec // a count
	return ps, r.closed && left == 0
}

// forget is told of publishes whose returns were looked for: a later one with the same id
// is no copy of them any more.
func (r *ring) forget(ps []*pending) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range ps {
		r.forgetOne(p)
	}
}

// forgetOne is called with mu held.
func (r *ring) forgetOne(p *pending) {
	if !p.mandatory {
		return
	}
	if n := r.ids[p.hash]; n > 1 {
		r.ids[p.hash] = n - 1
	} else {
		delete(r.ids, p.hash)
	}
}

// oldest returns when the oldest undecided publish was written; ok is false when there is
// none.
func (r *ring) oldest() (written int64, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.decided == len(r.open) {
		return 0, false
	}
	return r.open[r.decided].written, true
}

package passage

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/metrics"
	"github.com/warrenmesh/warren/proxy/pool"
)

// maxFlight bounds the events that are written together: the first one waits until the last
// one is accepted.
const maxFlight = 64

// flight is one try of consecutive events that have the same rule and backend. One node
// gets all of them in one call, with one context. A repeated publish is a flight of one.
type flight struct {
	first    *Transit
	node     pool.Node
	ctx      context.Context //nolint:containedctx // the life of one try
	cancel   context.CancelFunc
	transits []*Transit
	messages []*broker.Message
	open     atomic.Int64 // calls of landed that are still to come

	tell broker.Told // the method told, bound once: binding it allocates

	// the space for a flight of one
	oneTransit [1]*Transit
	oneMessage [1]*broker.Message
}

// flights are used again: every unary publish is one.
var flights = sync.Pool{New: func() any {
	f := new(flight)
	f.tell = f.told
	return f
}}

// leave gives the flight back to flights. Nobody may use it afterwards.
func (f *flight) leave() {
	f.cancel()
	f.first, f.node, f.ctx, f.cancel, f.transits, f.messages = nil, nil, nil, nil, nil, nil
	clear(f.oneTransit[:])
	clear(f.oneMessage[:])
	flights.Put(f)
}

// begin claims a node for a flight whose first event is t. It returns nil when no node can
// be claimed; t.err says why.
func (s *Sender) begin(t *Transit) *flight {
	f, _ := flights.Get().(*flight)
	f.first = t
	f.ctx, f.cancel = context.WithDeadline(t.ctx, t.tryEnds())
	if f.node, t.err = s.opts.Brokers.Claim(f.ctx, t.Backend.Broker, t.Backend.Resource, t.tried); t.err != nil {
		t.attempt++
		t.flight = nil
		f.leave()
		return nil
	}
	f.transits, f.messages = f.oneTransit[:0], f.oneMessage[:0]
	f.add(t)
	return f
}

// slack is how much of its own time an event may lose in a flight.
const slack = 10 * time.Millisecond

// takes reports whether t can join the flight: same rule, same backend, and as much time as
// a try of its own would have. The flight has less after a slow claim.
func (f *flight) takes(t *Transit) bool {
	if f.first.Backend != t.Backend || f.first.Rule != t.Rule || len(f.transits) == maxFlight {
		return false
	}
	ends, _ := f.ctx.Deadline()
	return t.tryEnds().Sub(ends) <= slack
}

// heldUp reports whether t was not written because an event before it in the flight waited
// for room until the flight's context ended. Such an event gets a try of its own.
func (t *Transit) heldUp(err error) bool {
	return t.follows && broker.KindOf(err) == broker.WindowFull && broker.OutcomeOf(err) == broker.NotSent && !t.over()
}

// tryEnds is when a try of t that begins now is over.
func (t *Transit) tryEnds() time.Time {
	perTry := t.Rule.RetryPolicy.PerTry(t.Backend.ConfirmTimeout)
	return earliest(t.deadline, time.Now().Add(perTry))
}

func (f *flight) add(t *Transit) {
	t.attempt++
	t.err, t.flight, t.follows = nil, f, f.first != t
	t.known.Add(1)
	t.span.SetServerAddress(f.node.Address())
	t.sending.To(f.node.Address())
	t.sending.Written()
	t.tried = append(t.tried, f.node)
	f.transits = append(f.transits, t)
	f.messages = append(f.messages, t.Message)
}

// write gives the events to the node. Each gets its outcome by the end of the context.
func (f *flight) write() {
	f.open.Store(int64(len(f.transits)) + 1) // the driver has the slice until Publish returns
	f.node.Publish(f.ctx, f.messages, f.tell)
	f.landed()
}

func (f *flight) told(from, to int, err error) {
	for _, t := range f.transits[from:to] {
		t.outcome = err
		t.known.Done()
	}
}

// landed ends the flight once it has been called for Publish and for every event. The
// goroutine that waits for an event calls it: told runs in the driver's goroutine, which
// all events of a connection share.
func (f *flight) landed() {
	if f.open.Add(-1) == 0 {
		f.leave()
	}
}

// Gathering gathers first tries into flights. Code that is about to block calls Write
// before it does, so that no gathered event waits for another one's room.
type Gathering struct {
	sender *Sender
	flight *flight // nil when nothing is gathered
}

// Gather begins a Gathering, for one goroutine.
func (s *Sender) Gather() Gathering { return Gathering{sender: s} }

// first makes the first try of t, at once or with those that follow.
func (g *Gathering) first(t *Transit) {
	if g.flight != nil && !g.flight.takes(t) {
		g.Write()
	}
	if g.flight == nil {
		g.flight = g.sender.begin(t)
		return
	}
	g.flight.add(t)
}

// Write writes the gathered events. A nil Gathering has none.
func (g *Gathering) Write() {
	if g != nil && g.flight != nil {
		g.sender.opts.Metrics.Fast(metrics.PublishTry, len(g.flight.transits))
		g.flight.write()
		g.flight = nil
	}
}

package publish

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/pool"
)

// maxFlight bounds the events that are written together: the first of them waits until
// the last one is accepted.
const maxFlight = 64

// flight is one try of events that one after the other go the same way: they are given
// to one node at once, and have one context. A repeat is a flight of one.
type flight struct {
	first    *transit
	node     pool.Node
	ctx      context.Context //nolint:containedctx // the life of one try
	cancel   context.CancelFunc
	transits []*transit
	messages []*broker.Message
	open     atomic.Int64 // events without an outcome

	// the space for a flight of one
	oneTransit [1]*transit
	oneMessage [1]*broker.Message
}

// begin claims a node for t and others like it. It returns nil when t has failed.
func (s *Service) begin(t *transit) *flight {
	f := &flight{first: t}
	f.ctx, f.cancel = context.WithDeadline(t.ctx, t.tryEnds())
	if f.node, t.err = s.opts.Brokers.Claim(f.ctx, t.backend.Broker, t.backend.Resource, t.tried); t.err != nil {
		t.attempt++
		t.flight = nil
		f.cancel()
		return nil
	}
	f.transits, f.messages = f.oneTransit[:0], f.oneMessage[:0]
	f.add(t)
	return f
}

// slack is how much less time than of its own an event may have in a flight.
const slack = 10 * time.Millisecond

// takes reports whether t goes the same way, and has its time: the claim of a node may
// have taken long.
func (f *flight) takes(t *transit) bool {
	if f.first.backend != t.backend || f.first.rule != t.rule || len(f.transits) == maxFlight {
		return false
	}
	ends, _ := f.ctx.Deadline()
	return t.tryEnds().Sub(ends) <= slack
}

// heldUp reports whether t was not written, by err, because another event of its flight
// waited for room until its time was up: it deserves a try of its own.
func (t *transit) heldUp(err error) bool {
	return t.flight != nil && t.flight.first != t && broker.KindOf(err) == broker.WindowFull && broker.OutcomeOf(err) == broker.NotSent && !t.over()
}

// tryEnds is when a try of t that begins now is over.
func (t *transit) tryEnds() time.Time {
	perTry := t.rule.RetryPolicy.PerTry(t.backend.ConfirmTimeout)
	return earliest(t.deadline, time.Now().Add(perTry))
}

func (f *flight) add(t *transit) {
	t.attempt++
	t.err, t.flight = nil, f
	t.span.SetServerAddress(f.node.Address())
	t.sending.To(f.node.Address())
	t.sending.Written()
	t.tried = append(t.tried, f.node)
	f.transits = append(f.transits, t)
	f.messages = append(f.messages, t.message)
}

// write gives the events to the node. Each has its outcome when the context ends, at the
// latest.
func (f *flight) write() {
	f.open.Store(int64(len(f.transits)))
	f.node.Publish(f.ctx, f.messages, f.told)
}

func (f *flight) told(from, to int, err error) {
	for _, t := range f.transits[from:to] {
		t.outcome <- err
	}
}

// landed ends the context when all events have their outcomes. Whoever waited for one
// calls it, and not told: the driver's goroutine has better things to do.
func (f *flight) landed() {
	if f.open.Add(-1) == 0 {
		f.cancel()
	}
}

// gathering gathers first tries into flights. Whoever is about to block writes what was
// gathered before. A nil one gathers nothing: each event is written at once.
type gathering struct {
	service *Service
	flight  *flight // nil when nothing is gathered
}

// first makes the first try of t, at once or with those that follow.
func (g *gathering) first(t *transit) {
	if g.flight != nil && !g.flight.takes(t) {
		g.write()
	}
	if g.flight == nil {
		g.flight = g.service.begin(t)
		return
	}
	g.flight.add(t)
}

// write writes what was gathered.
func (g *gathering) write() {
	if g != nil && g.flight != nil {
		g.flight.write()
		g.flight = nil
	}
}

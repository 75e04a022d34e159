package send

import (
	"errors"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/envelope"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/fault"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/frame"
)

// confirm decides each publish in the order they were written, and tells at once what the
// broker confirmed at once. It ends when the writer has and nothing is in flight.
func (c *channel) confirm() {
	defer close(c.drained)
	var space []*pending
	for ps := c.ring.take(space); len(ps) > 0; ps = c.ring.take(space) {
		space = ps
		for rest := ps; len(rest) > 0; {
			n := c.confirmed(rest)
			if n == 0 {
				c.refused(rest[0])
				n = 1
			}
			rest = rest[n:]
		}
		clear(ps)
	}
}

// confirmed ends those of ps, at the begin, that a queue has, and returns how many.
func (c *channel) confirmed(ps []*pending) int {
	c.collectReturns()
	n := 0
	for n < len(ps) && ps[n].acked && (len(c.returned) == 0 || !c.isReturned(ps[n])) {
		n++
	}
	c.ring.forget(ps[:n])
	for range n {
		<-c.slots
	}
	var g gathered
	for _, p := range ps[:n] {
		if p.finish() {
			g.add(p)
		}
	}
	g.flush()
	return n
}

// refused ends p, which the broker has not taken, or no queue.
func (c *channel) refused(p *pending) {
	err := c.verdict(p)
	c.ring.forget([]*pending{p})
	<-c.slots
	p.fail(err)
}

// verdict is the outcome of p, which is decided.
func (c *channel) verdict(p *pending) error {
	if r, ok := c.takeReturn(p); ok {
		return &broker.Error{Kind: broker.Unroutable, Outcome: broker.Failed, Op: p.op(), Err: errors.New(r.Reason)}
	}
	if p.acked {
		return nil
	}
	if c.wire.isClosed() {
		return c.lost(p, amqp.ErrClosed)
	}
	// It may be poisoned: nacked for as long as a dead node is away.
	c.condemned.Store(true)
	if time.Since(c.opened) >= retireAge {
		c.retire()
	}
	return &broker.Error{Kind: broker.Nacked, Outcome: broker.Unknown, Op: p.op()}
}

// lost is the outcome of a publish whose channel was closed before its confirm.
// What the writer had not reached is not told apart: it is next to nothing.
func (c *channel) lost(p *pending, err error) error {
	e := &broker.Error{Kind: broker.Closed, Outcome: broker.Unknown, Op: p.op(), Err: err}
	<-c.ended
	if c.cause == nil {
		return e
	}
	e.Err = c.cause
	if exchange, kind, ok := fault.Exchange(c.cause); ok && exchange == p.exchange {
		e.Kind = kind
		if len(c.slots) == 1 {
			// The last one that was written: the broker refused it before routing it, or one
			// before it, and then it read no further.
			e.Outcome = broker.NotSent
		}
	}
	if limit, ok := fault.Limit(c.cause); ok && p.size > limit {
		e.Kind, e.Outcome = broker.TooLarge, broker.Failed // it takes no such message, on any channel
	}
	return e
}

// isReturned reports whether p's return is among those that have come.
func (c *channel) isReturned(p *pending) bool {
	if !p.mandatory {
		return false
	}
	for i := range c.returned {
		if p.matches(&c.returned[i]) {
			return true
		}
	}
	return false
}

// takeReturn takes p's return out of those that have come.
func (c *channel) takeReturn(p *pending) (frame.Returned, bool) {
	if !p.mandatory {
		return frame.Returned{}, false
	}
	c.collectReturns()
	for i, r := range c.returned {
		if p.matches(&r) {
			// Returns come in the order of publishes: what is before it has no owner.
			c.returned = c.returned[i+1:]
			return r, true
		}
	}
	return frame.Returned{}, false
}

// collectReturns takes what the library's reader has enqueued, without blocking.
func (c *channel) collectReturns() {
	for {
		select {
		case r, ok := <-c.wire.returns():
			if !ok {
				return
			}
			c.returned = append(c.returned, r)
		default:
			return
		}
	}
}

// matches reports whether r is the return of p.
func (p *pending) matches(r *frame.Returned) bool {
	var number int64
	if f, ok := r.Properties.Headers.Lookup(envelope.CopyHeader); ok {
		number, _ = f.Int()
	}
	return r.Properties.Headers.Text(envelope.IDHeader) == p.id && number == p.copy && r.Exchange == p.exchange && r.Key == p.key
}

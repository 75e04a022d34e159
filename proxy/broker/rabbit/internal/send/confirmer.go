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
	var g gathered
	defer g.flush()
	for {
		p, ok := c.next(&g)
		if !ok {
			return
		}
		if !p.confirmed.Acked() {
			g.flush() // the verdict may take long
		}
		err := c.verdict(p)
		<-c.slots
		switch told := p.finish(); {
		case !told:
		case err == nil:
			g.add(p)
		default:
			g.flush()
			p.batch.tell(p.number, p.number+1, err)
		}
	}
}

// next returns the next publish when it is confirmed, and before it waits for that it
// tells what was gathered.
func (c *channel) next(g *gathered) (*pending, bool) {
	var p *pending
	var ok bool
	select {
	case p, ok = <-c.inflight:
	default:
		g.flush()
		p, ok = <-c.inflight
	}
	if !ok {
		return nil, false
	}
	select {
	case <-p.confirmed.Done():
	default:
		g.flush()
		c.since.Store(max(int64(p.written.Sub(c.opened)), 1))
		<-p.confirmed.Done()
		c.since.Store(0)
	}
	return p, true
}

// verdict is the outcome of p, whose confirmation is done.
func (c *channel) verdict(p *pending) error {
	if r, ok := c.takeReturn(p); ok {
		return &broker.Error{Kind: broker.Unroutable, Outcome: broker.Failed, Op: p.op(), Err: errors.New(r.Reason)}
	}
	if p.confirmed.Acked() {
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

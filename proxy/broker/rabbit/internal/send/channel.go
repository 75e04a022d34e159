package send

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/conn"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/envelope"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/fault"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/frame"
)

// wire is what a publish channel needs of AMQP.
type wire interface {
	// publish writes p. After an error it may have been written or not.
	publish(p *pending) (confirmation, error)
	// returns has every return before the confirmation of its publish is done.
	returns() <-chan frame.Returned
	isClosed() bool
}

// confirmation is what a publish channel needs of an amqp.DeferredConfirmation.
type confirmation interface {
	Done() <-chan struct{}
	Acked() bool
}

// channel is one AMQP channel that publishes, with its window, its writer and its
// settler.
//
//	accept ──queue──▶ write ──inflight──▶ settle ──▶ told
//
// Both queues hold a window, and every publish in them holds a slot of it, so
// sending to them never blocks.
type channel struct {
	// Set at construction.
	wire     wire
	window   int
	alarm    *conn.Alarm
	slots    chan struct{}
	queue    chan *pending
	inflight chan *pending
	retired  chan struct{} // closed when it takes no more publishes
	flushed  chan struct{} // closed when it writes no more
	drained  chan struct{} // closed when everything is settled
	ended    chan struct{} // closed when the AMQP channel is gone
	opened   time.Time
	cause    error // why the broker closed it, or nil; set before ended is closed

	since     atomic.Int64 // when the oldest unsettled publish was written, since opened; 0: none
	condemned atomic.Bool  // it is retired as soon as it has retireAge

	// Guarded by mu.
	mu     sync.Mutex
	closed bool

	// Owned by the settler.
	returned []frame.Returned

	// Owned by the writer.
	recent map[string]*pending // mandatory publishes by event id
	copies int64
}

// retireAge is how old a channel gets before a nack retires it: a queue that nacks
// everything must not make a new channel for each event.
const retireAge = 100 * time.Millisecond

func newChannel(w wire, window int, a *conn.Alarm) *channel {
	return &channel{
		wire: w, window: window, alarm: a, opened: time.Now(),
		slots: make(chan struct{}, window), queue: make(chan *pending, window), inflight: make(chan *pending, window),
		retired: make(chan struct{}), flushed: make(chan struct{}), drained: make(chan struct{}), ended: make(chan struct{}),
		recent: map[string]*pending{},
	}
}

// start runs the channel's goroutines in the session; false when that is closing.
// learn is told why the broker closed the channel.
func (c *channel) start(s *conn.Session, w *frameWire, learn func(*amqp.Error)) bool {
	return s.Spawn(func() {
		e, ok := <-w.closed
		if ok {
			learn(e)
			c.end(e)
		} else {
			c.end(nil)
		}
		w.fail() // only now: why is asked for as soon as a confirm fails
	}) && s.Spawn(c.write) && s.Spawn(c.refuseBlocked) && s.Spawn(func() {
		c.settle()
		_ = s.Call(w.ch.Close) // returns at once when it is closed already
	})
}

// end records that the AMQP channel is gone, and why.
func (c *channel) end(cause error) {
	c.cause = cause
	close(c.ended)
	c.retire()
}

// accept queues p to the writer. It returns false without an error when the
// channel was retired meanwhile and another one must be asked.
func (c *channel) accept(ctx context.Context, p *pending) (bool, error) {
	select {
	case c.slots <- struct{}{}:
	default:
		select {
		case c.slots <- struct{}{}:
		case <-c.retired:
			return false, nil
		case <-c.alarm.Signal():
			_, reason := c.alarm.State()
			return false, fault.NotSent(broker.Blocked, p.op(), errors.New(reason))
		case <-ctx.Done():
			return false, fault.NotSent(broker.WindowFull, p.op(), context.Cause(ctx))
		}
	}
	if c.condemned.Load() && time.Since(c.opened) >= retireAge {
		c.retire()
	}
	if !c.enqueue(p) {
		<-c.slots
		return false, nil
	}
	if ctx.Err() != nil {
		p.expire(ctx) // the end of ctx may have come just before, and passed it over
	}
	return true, nil
}

// enqueue gives p, which has a slot, to the writer; false means that the channel is retired.
func (c *channel) enqueue(p *pending) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	p.stage.Store(queued)
	c.queue <- p
	return true
}

// retire makes the channel take no more publishes. What it took goes on.
func (c *channel) retire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.closed = true
	close(c.retired)
	close(c.queue)
}

func (c *channel) isRetired() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// settled waits until everything is settled, at most for d.
func (c *channel) settled(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-c.drained:
	case <-t.C:
	}
}

// waited is how long the oldest unsettled publish has waited for its confirm.
func (c *channel) waited() time.Duration {
	since := c.since.Load()
	if since == 0 {
		return 0
	}
	return time.Since(c.opened) - time.Duration(since)
}

// write is the one writer of the channel. It ends when the channel is retired and
// the queue is empty.
func (c *channel) write() {
	defer close(c.flushed)
	defer close(c.inflight)
	for p := range c.queue {
		if err := c.writeOne(p); err != nil {
			<-c.slots
			p.fail(err)
		}
	}
}

// writeOne writes p and hands it to the settler. An error is p's outcome.
func (c *channel) writeOne(p *pending) error {
	if !p.take() {
		return fault.NotSent(broker.WindowFull, p.op(), nil) // nobody waits for it: this is told to none
	}
	if on, reason := c.alarm.State(); on {
		return fault.NotSent(broker.Blocked, p.op(), errors.New(reason))
	}
	c.markCopy(p)
	confirmed, err := c.wire.publish(p)
	if err != nil {
		return c.lost(p, err)
	}
	p.confirmed, p.written = confirmed, time.Now()
	p.body = nil
	c.inflight <- p
	return nil
}

// alarmCheck is how often a channel looks whether an alarm is over.
const alarmCheck = 50 * time.Millisecond

// refuseBlocked ends, while the broker has raised an alarm, what the writer has not
// reached: RabbitMQ reads nothing then, and the writer stands still. It ends with the
// writer.
func (c *channel) refuseBlocked() {
	for {
		select {
		case <-c.alarm.Signal():
		case <-c.flushed:
			return
		}
		c.refuseQueued()
		select {
		case <-time.After(alarmCheck):
		case <-c.flushed:
			return
		}
	}
}

// refuseQueued ends what the writer has not reached.
func (c *channel) refuseQueued() {
	for {
		select {
		case p, ok := <-c.queue:
			if !ok {
				return
			}
			<-c.slots
			p.fail(fault.NotSent(broker.Blocked, p.op(), fault.ErrBlocked))
		default:
			return
		}
	}
}

func (c *channel) markCopy(p *pending) {
	if !p.mandatory {
		return
	}
	if other := c.recent[p.id]; p.id == "" || other != nil && !other.settled() {
		c.copies++
		p.copy = c.copies
		p.properties.Headers.AddInt(envelope.CopyHeader, p.copy)
	}
	if len(c.recent) >= 2*c.window {
		for id, other := range c.recent {
			if other.settled() {
				delete(c.recent, id)
			}
		}
	}
	c.recent[p.id] = p
}

// settle decides each publish in the order they were written, and tells at once what the
// broker confirmed at once. It ends when the writer has and nothing is in flight.
func (c *channel) settle() {
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

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
// confirmer.
//
//	accept ──queue──▶ write ──inflight──▶ confirm ──▶ told
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
	drained  chan struct{} // closed when everything is decided
	ended    chan struct{} // closed when the AMQP channel is gone
	opened   time.Time
	cause    error // why the broker closed it, or nil; set before ended is closed

	since     atomic.Int64 // when the oldest undecided publish was written, since opened; 0: none
	condemned atomic.Bool  // it is retired as soon as it has retireAge

	// Guarded by mu.
	mu     sync.Mutex
	closed bool

	// Owned by the confirmer.
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
		c.confirm()
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

// decided waits until everything is decided, at most for d.
func (c *channel) decided(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-c.drained:
	case <-t.C:
	}
}

// waited is how long the oldest undecided publish has waited for its confirm.
func (c *channel) waited() time.Duration {
	since := c.since.Load()
	if since == 0 {
		return 0
	}
	return time.Since(c.opened) - time.Duration(since)
}

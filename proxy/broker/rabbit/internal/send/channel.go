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
	// send writes frames, and then rest as a body. After an error they may have been written
	// or not.
	send(frames, rest []byte) error
	// returns has every return before the confirmation of its publish is done.
	returns() <-chan frame.Returned
	isClosed() bool
}

// channel is one AMQP channel that publishes, with its window, its writer and its
// confirmer.
//
//	accept ──queue──▶ write ──ring──▶ confirm ──▶ told
//
// The queue holds a window, and every publish in it holds a slot of it, so sending to it
// never blocks.
type channel struct {
	// Set at construction.
	wire    wire
	ring    *ring // what is written, for the confirmer
	alarm   *conn.Alarm
	slots   chan struct{}
	queue   chan run
	retired chan struct{} // closed when it takes no more publishes
	flushed chan struct{} // closed when it writes no more
	drained chan struct{} // closed when everything is decided
	ended   chan struct{} // closed when the AMQP channel is gone
	opened  time.Time
	cause   error // why the broker closed it, or nil; set before ended is closed

	condemned atomic.Bool // it is retired as soon as it has retireAge

	// Guarded by mu.
	mu     sync.Mutex
	closed bool

	// Owned by the confirmer.
	returned []frame.Returned

	// Owned by the writer.
	buffer []byte // for publishes that are not written as they were encoded
}

// retireAge is how old a channel gets before a nack retires it: a queue that nacks
// everything must not make a new channel for each event.
const retireAge = 100 * time.Millisecond

// newChannel makes the channel of a wire whose confirms go to r.
func newChannel(w wire, r *ring, window int, a *conn.Alarm) *channel {
	return &channel{
		wire: w, ring: r, alarm: a, opened: time.Now(),
		slots: make(chan struct{}, window), queue: make(chan run, window),
		retired: make(chan struct{}), flushed: make(chan struct{}), drained: make(chan struct{}), ended: make(chan struct{}),
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
		c.ring.fail() // only now: why is asked for as soon as a confirm fails
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

// accept takes the messages of r, in their order, as the window has room, and returns how many.
// It returns fewer without an error when the channel was retired meanwhile and another one
// must be asked.
func (c *channel) accept(ctx context.Context, r run) (n int, err error) {
	for all := r; r.from < r.to; {
		took, err := c.take(ctx, r)
		if took == 0 {
			return r.from - all.from, err
		}
		if c.condemned.Load() && time.Since(c.opened) >= retireAge {
			c.retire()
		}
		part := run{r.batch, r.from, r.from + took, r.frames}
		if !c.enqueue(part) {
			for range took {
				<-c.slots
			}
			return r.from - all.from, nil
		}
		r.from += took
		n = r.from - all.from
		if ctx.Err() != nil {
			ps := part.pendings()
			for i := range ps {
				ps[i].expire(ctx) // the end of ctx may have come just before, and passed it over
			}
		}
	}
	return n, nil
}

// take takes slots for r: as many as there are, or one that it waits for. None without an
// error means that the channel is retired.
func (c *channel) take(ctx context.Context, r run) (n int, err error) {
	for n < r.to-r.from {
		select {
		case c.slots <- struct{}{}:
			n++
			continue
		default:
		}
		break
	}
	if n > 0 {
		return n, nil
	}
	select {
	case c.slots <- struct{}{}:
		return 1, nil
	case <-c.retired:
		return 0, nil
	case <-c.alarm.Signal():
		_, reason := c.alarm.State()
		return 0, fault.NotSent(broker.Blocked, r.first().op(), errors.New(reason))
	case <-ctx.Done():
		return 0, fault.NotSent(broker.WindowFull, r.first().op(), context.Cause(ctx))
	}
}

// enqueue gives r, which has its slots, to the writer; false means that the channel is retired.
func (c *channel) enqueue(r run) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	ps := r.pendings()
	for i := range ps {
		ps[i].stage.Store(queued)
	}
	r.batch.held.Add(1)
	c.queue <- r
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

// now is the time since the channel was opened.
func (c *channel) now() int64 { return int64(time.Since(c.opened)) }

// waited is how long the oldest undecided publish has waited for its confirm.
func (c *channel) waited() time.Duration {
	written, ok := c.ring.oldest()
	if !ok {
		return 0
	}
	return time.Duration(c.now() - written)
}

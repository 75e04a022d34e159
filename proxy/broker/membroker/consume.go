package membroker

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/membroker/store"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
)

// Consume implements queueing.Consumer. It calls sink in the caller's goroutine.
func (n *Node) Consume(ctx context.Context, opts queueing.ConsumeOptions, sink func([]*queueing.Delivery)) (drain func(), err error) {
	op := fmt.Sprintf("consume from queue %q", opts.Queue)
	if opts.Prefetch < 1 {
		return func() {}, &broker.Error{Kind: broker.Invalid, Op: op, Err: fmt.Errorf("prefetch %d: want at least 1", opts.Prefetch)}
	}
	for {
		s := n.awaitSession(ctx)
		if s == nil {
			return func() {}, nil // ctx ended while the node was down
		}
		q := n.broker.queue(opts.Queue)
		if q == nil {
			return func() {}, notFound(op, "the queue does not exist")
		}
		if q.Delay > 0 {
			return func() {}, &broker.Error{Kind: broker.Refused, Op: op, Err: errors.New("it is a delay queue")}
		}
		c := s.openChannel(q, opts.Prefetch)
		if c == nil {
			continue // cut since awaitSession
		}
		c.maxBytes = opts.MaxBytes
		if c.deliver(ctx, opts.AtOnce, sink) {
			return c.close, nil
		}
		if opts.Lost != nil {
			opts.Lost(c.epoch)
		}
	}
}

// Inspect implements queueing.Driver.
func (n *Node) Inspect(ctx context.Context, queue string) (queueing.QueueState, error) {
	op := fmt.Sprintf("inspect queue %q", queue)
	if n.awaitSession(ctx) == nil {
		return queueing.QueueState{}, &broker.Error{Kind: broker.Unavailable, Op: op, Err: ctx.Err()}
	}
	q := n.broker.queue(queue)
	if q == nil {
		return queueing.QueueState{}, notFound(op, "the queue does not exist")
	}
	ready, _ := q.Len()
	return queueing.QueueState{Messages: ready, Consumers: q.Consumers()}, nil
}

// channel is one consumer's hold on one queue; it settles what it delivered.
type channel struct {
	// Set at construction.
	session *session
	queue   *store.Queue
	epoch   uint64
	// maxBytes is ConsumeOptions.MaxBytes; set before deliver.
	maxBytes int
	slots    chan struct{} // one per unsettled delivery
	place    *store.Consumer
	done     chan struct{} // closed by close, when everything is back in the queue

	// Guarded by mu.
	mu        sync.Mutex
	closed    bool
	tag       uint64
	unsettled map[uint64]*store.Entry
}

func newChannel(s *session, q *store.Queue, prefetch int) *channel {
	return &channel{
		session: s, queue: q, epoch: s.node.epoch.Add(1),
		slots: make(chan struct{}, prefetch), place: store.NewConsumer(), done: make(chan struct{}),
		unsettled: map[uint64]*store.Entry{},
	}
}

// deliver calls sink until ctx ends, which it reports, or the channel is closed.
func (c *channel) deliver(ctx context.Context, atOnce int, sink func([]*queueing.Delivery)) (ended bool) {
	c.queue.Join(c.place)
	defer c.queue.Stop()
	select {
	case <-c.place.Turn():
	case <-c.done:
		return ctx.Err() != nil
	case <-ctx.Done():
		return true
	}
	// A token taken on the way out belongs to the other consumers.
	defer c.queue.Signal()
	var batch []*queueing.Delivery
	for {
		select {
		case c.slots <- struct{}{}:
		case <-c.done:
			return ctx.Err() != nil
		case <-ctx.Done():
			return true
		}
		d := c.next(ctx)
		if d == nil {
			return ctx.Err() != nil
		}
		batch = c.gather(append(batch, d), atOnce)
		sink(batch)
		clear(batch)
		batch = batch[:0]
	}
}

// gather adds what else is ready, as far as the sink takes it at once. Where others
// consume too, each takes one at a time, so that all get their share.
func (c *channel) gather(batch []*queueing.Delivery, atOnce int) []*queueing.Delivery {
	for len(batch) < atOnce && c.queue.Consumers() <= 1 {
		select {
		case c.slots <- struct{}{}:
		default:
			return batch
		}
		d := c.take()
		if d == nil {
			<-c.slots
			return batch
		}
		batch = append(batch, d)
	}
	return batch
}

// next blocks until there is a delivery; nil means that ctx or the channel ended.
func (c *channel) next(ctx context.Context) *queueing.Delivery {
	for {
		if ctx.Err() != nil {
			return nil
		}
		if d := c.take(); d != nil {
			return d
		}
		select {
		case <-c.queue.Wake():
		case <-c.done:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

func (c *channel) take() *queueing.Delivery {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	e := c.queue.Take()
	if e == nil {
		return nil
	}
	c.tag++
	c.unsettled[c.tag] = e
	return c.delivery(e)
}

func (c *channel) delivery(e *store.Entry) *queueing.Delivery {
	d := delivery(e, c.queue.Name)
	d.Epoch, d.Tag, d.Channel = c.epoch, c.tag, c
	if c.maxBytes > 0 && d.Size > c.maxBytes {
		d.Event, d.Raw, d.Original, d.ID = nil, nil, nil, (*store.Original)(e.Message).ID()
		d.Malformed = fmt.Errorf("the message has %d bytes, at most %d are read", d.Size, c.maxBytes)
	}
	return d
}

// delivery is e without what settles it.
func delivery(e *store.Entry, queue string) *queueing.Delivery {
	m := e.Message
	exchange, key := m.Origin()
	return &queueing.Delivery{Original: (*store.Original)(m), Delivery: broker.Delivery{
		Event:       m.Event,
		Raw:         m.Event.Data,
		Size:        len(m.Event.Data),
		Headers:     m.Headers,
		ReplyTo:     m.ReplyTo,
		Lifetime:    m.Lifetime,
		Expires:     m.Expires,
		Crashes:     m.Crashes,
		Trace:       m.Trace,
		Origin:      broker.Origin{Name: exchange, Key: key},
		Part:        queue,
		Attempt:     e.Attempt,
		Returned:    e.Attempt - max(m.Attempt, 1),
		Waited:      e.Waited,
		Redelivered: e.Redelivered || m.Republished,
		Returning:   e.Redelivered,
		AppID:       m.AppID,
		Priority:    m.Priority,

		FirstFailure: m.FirstFailure,
		Partition:    m.Partition,
		Partitioned:  m.Partitioned,
		DeadLetter:   m.DeadLetter,

		ContentEncoding: m.ContentEncoding,
	}}
}

// Ack implements queueing.Settler.
func (c *channel) Ack(tag uint64) error { return c.settle(tag, c.queue.Forget) }

// Reject implements queueing.Settler.
func (c *channel) Reject(tag uint64) error { return c.settle(tag, c.queue.Reject) }

// Requeue implements queueing.Settler.
func (c *channel) Requeue(tag uint64) error {
	return c.settle(tag, c.queue.Requeue)
}

func (c *channel) settle(tag uint64, how func(*store.Entry)) error {
	c.mu.Lock()
	e := c.unsettled[tag]
	if e == nil {
		c.mu.Unlock()
		c.session.node.stale.Add(1)
		return broker.ErrStale
	}
	delete(c.unsettled, tag)
	how(e)
	c.mu.Unlock()
	<-c.slots
	return nil
}

// close gives everything unsettled back to the queue, in order. It is idempotent.
//
// done is closed last: it lets the consumer go, whose next channel would otherwise
// take what lies behind the unsettled deliveries before they are back.
func (c *channel) close() {
	c.mu.Lock()
	defer c.session.forget(c)
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.closed = true
	entries := make([]*store.Entry, 0, len(c.unsettled))
	for _, e := range c.unsettled {
		entries = append(entries, e)
	}
	clear(c.unsettled)
	c.queue.Return(entries...)
	c.queue.Leave(c.place)
	close(c.done)
}

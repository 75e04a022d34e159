package rabbit

import (
	"sync"
	"sync/atomic"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/proxy/broker"
)

// epochs numbers every consumer channel of the process.
var epochs atomic.Uint64

// consumerChannel is what an inbound needs of an amqp.Channel.
type consumerChannel interface {
	Ack(tag uint64, multiple bool) error
	Nack(tag uint64, multiple, requeue bool) error
	Cancel(consumer string, noWait bool) error
	IsClosed() bool
	Close() error
}

// inbound is one consumer channel. It implements broker.Settler.
type inbound struct {
	// Set by attach.
	session    *session
	channel    consumerChannel
	queue      string
	single     bool // the queue has one active consumer at a time
	epoch      uint64
	tag        string
	deliveries <-chan amqp.Delivery
	closes     <-chan *amqp.Error
	stale      *atomic.Uint64 // the node's counter

	// Guarded by mu, which is held while settling: a settlement that is sent after
	// the channel's close closes the connection.
	mu        sync.Mutex
	closed    bool
	unsettled map[uint64]struct{} // tags; at most the prefetch
}

// Ack implements broker.Settler.
func (c *inbound) Ack(tag uint64) error {
	return c.settle(tag, func() error { return c.channel.Ack(tag, false) })
}

// Requeue implements broker.Settler. It nacks: from RabbitMQ 4.3 on that alone is
// told apart from what a closed channel gives back.
func (c *inbound) Requeue(tag uint64) error {
	return c.settle(tag, func() error { return c.channel.Nack(tag, false, true) })
}

func (c *inbound) track(tag uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unsettled[tag] = struct{}{}
}

// settle sends one settlement, once. The library never reuses a channel object,
// so a tag cannot reach another channel.
func (c *inbound) settle(tag uint64, send func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.unsettled[tag]
	delete(c.unsettled, tag)
	if !ok || c.closed || c.channel.IsClosed() || send() != nil {
		// An error of send means that the connection is gone with the settlement: the
		// broker hands the message out again.
		c.stale.Add(1)
		return broker.ErrStale
	}
	return nil
}

// stop ends the flow. What was handed out can still be settled.
//
// A single active consumer only stops reading: RabbitMQ gives the next one its turn
// as soon as this one is cancelled, with what comes after the events that are
// unsettled here. The prefetch bounds what the library keeps until the close.
func (c *inbound) stop() {
	if c.single {
		return
	}
	if err := c.session.call(func() error { return c.channel.Cancel(c.tag, false) }); err != nil {
		c.close() // it is closed already, or useless
	}
	for range c.deliveries {
		// Prefetched and never handed out: close gives them back.
	}
}

// forgotten reports whether the queue is gone, or has no consumer at all. With
// something unsettled the answer is no: attaching anew would repeat it.
func (c *inbound) forgotten() bool {
	c.mu.Lock()
	busy := len(c.unsettled) > 0
	c.mu.Unlock()
	if busy {
		return false
	}
	q, err := c.session.inspect(c.queue)
	return kindOf(err) == broker.NotFound || err == nil && q.Consumers == 0
}

// close gives everything unsettled back to the queue in order, by closing the
// channel: a requeue would put it behind what is ready. It is idempotent.
func (c *inbound) close() {
	c.mu.Lock()
	done := c.closed
	c.closed = true
	clear(c.unsettled)
	c.mu.Unlock()
	if !done {
		c.session.consumers.Add(-1)
		_ = c.session.call(c.channel.Close)
	}
}

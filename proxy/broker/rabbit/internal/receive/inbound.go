package receive

import (
	"runtime"
	"sync"
	"sync/atomic"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/conn"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/fault"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/frame"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/layout"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
)

// epochs numbers every consumer channel of the process.
var epochs atomic.Uint64

// consumerChannel is what an inbound needs of an amqp.Channel.
type consumerChannel interface {
	Cancel(consumer string, noWait bool) error
	IsClosed() bool
	Close() error
}

// acknowledger writes settlements; frame.Channel does, because the library flushes each.
type acknowledger interface {
	Ack(tag uint64, multiple bool) error
	Nack(tag uint64, multiple, requeue bool) error
}

// inbound is one consumer channel. It implements queueing.Settler.
type inbound struct {
	// Set by attach.
	session    *conn.Session
	channel    consumerChannel
	acks       acknowledger
	single     bool // the queue has one active consumer at a time
	epoch      uint64
	tag        string
	arrivals   chan *message.Message
	deliveries <-chan amqp.Delivery // never has any; closed when the consumer has ended
	closes     <-chan *amqp.Error
	options    queueing.ConsumeOptions
	stale      *atomic.Uint64 // the node's counter

	// Guarded by mu.
	mu          sync.Mutex
	closed      bool // nothing more is settled
	sending     bool // a goroutine sends what was settled
	idle        sync.Cond
	settlements settlements
}

func newInbound(s *conn.Session, o queueing.ConsumeOptions, single bool, stale *atomic.Uint64) *inbound {
	c := &inbound{session: s, options: o, single: single, stale: stale, arrivals: make(chan *message.Message, o.Prefetch)}
	c.idle.L = &c.mu
	return c
}

// Deliver implements frame.Taker. The prefetch bounds what can come before something is
// settled: a broker that does not keep to it is not to be trusted.
func (c *inbound) Deliver(m *message.Message) {
	select {
	case c.arrivals <- m:
	default:
		c.session.Kill()
	}
}

// Confirm implements frame.Taker. Nothing is published here.
func (c *inbound) Confirm(uint64, bool, bool) {}

// GiveBack implements frame.Taker. Nothing is published here.
func (c *inbound) GiveBack(frame.Returned) {}

// Ack implements queueing.Settler.
func (c *inbound) Ack(tag uint64) error { return c.settle(settlement{tag: tag}) }

// Requeue implements queueing.Settler. It nacks: from RabbitMQ 4.3 on that alone is
// told apart from what a closed channel gives back.
func (c *inbound) Requeue(tag uint64) error {
	return c.settle(settlement{tag: tag, refused: true, requeue: true})
}

// Reject implements queueing.Settler.
func (c *inbound) Reject(tag uint64) error { return c.settle(settlement{tag: tag, refused: true}) }

func (c *inbound) track(tag uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settlements.track(tag)
}

// settle takes one settlement, once. The library never reuses a channel object, so a
// tag cannot reach another channel.
//
// It is sent by a goroutine that lives while there is something to send: what is
// settled while it writes goes out together. Should the connection be lost before, the
// broker hands the message out again, as when it is lost on the way.
func (c *inbound) settle(x settlement) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.channel.IsClosed() || !c.settlements.settle(x) {
		c.stale.Add(1)
		return broker.ErrStale
	}
	if !c.sending {
		c.sending = true
		go c.send() // close waits for it
	}
	return nil
}

// send sends until nothing is left.
func (c *inbound) send() {
	for {
		runtime.Gosched() // who is about to settle something may do so first
		c.mu.Lock()
		single, upTo, n := c.settlements.take()
		if len(single)+n == 0 {
			c.sending = false
			c.idle.Broadcast()
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		c.sendAll(single, upTo, n)
	}
}

// sendAll sends settlements one by one, then one that stands for n. An error means
// that the connection is gone with them.
func (c *inbound) sendAll(single []settlement, upTo uint64, n int) {
	var lost uint64
	for _, x := range single {
		if c.sendOne(x) != nil {
			lost++
		}
	}
	if n > 0 && c.acks.Ack(upTo, n > 1) != nil {
		lost += uint64(n) //nolint:gosec // a count
	}
	c.stale.Add(lost)
}

func (c *inbound) sendOne(x settlement) error {
	if x.refused {
		return c.acks.Nack(x.tag, false, x.requeue)
	}
	return c.acks.Ack(x.tag, false)
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
	if err := c.session.Call(func() error { return c.channel.Cancel(c.tag, false) }); err != nil {
		c.close() // it is closed already, or useless
	}
	for range c.deliveries {
		// It ends when the broker has cancelled. What has arrived close gives back.
	}
}

// forgotten reports whether the queue is gone, or has no consumer at all. With
// something unsettled the answer is no: attaching anew would repeat it.
func (c *inbound) forgotten() bool {
	c.mu.Lock()
	busy := len(c.settlements.open) > 0 || c.sending
	c.mu.Unlock()
	if busy {
		return false
	}
	q, err := layout.Inspect(c.session, c.options.Queue)
	return fault.KindOf(err) == broker.NotFound || err == nil && q.Consumers == 0
}

// close gives everything unsettled back to the queue in order, by closing the
// channel: a requeue would put it behind what is ready. What was settled is sent
// before: a settlement that is sent after the close would end the connection. It is
// idempotent.
func (c *inbound) close() {
	c.mu.Lock()
	done := c.closed
	c.closed = true
	c.mu.Unlock()
	c.await()
	if !done {
		c.session.Consumers.Add(-1)
		_ = c.session.Call(c.channel.Close)
	}
}

// await waits until everything that was settled is sent.
func (c *inbound) await() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.sending {
		c.idle.Wait()
	}
}

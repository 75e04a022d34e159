package send

import (
	"errors"
	"time"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/envelope"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/fault"
)

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

// writeOne writes p and hands it to the confirmer. An error is p's outcome.
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
	if other := c.recent[p.id]; p.id == "" || other != nil && !other.decided() {
		c.copies++
		p.copy = c.copies
		p.properties.Headers.AddInt(envelope.CopyHeader, p.copy)
	}
	if len(c.recent) >= 2*c.window {
		for id, other := range c.recent {
			if other.decided() {
				delete(c.recent, id)
			}
		}
	}
	c.recent[p.id] = p
}

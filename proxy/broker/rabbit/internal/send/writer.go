package send

import (
	"errors"
	"time"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/envelope"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/fault"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/frame"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
)

// write is the one writer of the channel. It ends when the channel is retired and the queue
// is empty.
func (c *channel) write() {
	defer close(c.flushed)
	defer c.ring.close()
	for r := range c.queue {
		c.writeRun(&r)
		r.batch.letGo()
	}
}

// writeRun writes what somebody still waits for.
func (c *channel) writeRun(r *run) {
	for ps := r.pendings(); len(ps) > 0; {
		n, err := c.writeSome(ps, r.frames)
		switch {
		case n == 0: // nobody waits for it: this is told to none
			n = 1
			ps[0].fail(fault.NotSent(broker.WindowFull, ps[0].op(), nil))
			<-c.slots
		case err != nil:
			for i := range ps[:n] {
				err := c.failed(&ps[i], err)
				<-c.slots
				ps[i].fail(err)
			}
		}
		ps = ps[n:]
	}
}

// failed is the outcome of p, which was not written because of err.
func (c *channel) failed(p *pending, err error) error {
	if errors.Is(err, errAlarm) {
		_, reason := c.alarm.State()
		return fault.NotSent(broker.Blocked, p.op(), errors.New(reason))
	}
	return c.lost(p, err)
}

// errAlarm says that the broker takes no publishes.
var errAlarm = errors.New("alarm")

// writeSome writes as many of ps, at the begin, as can be written together. After an error n
// of them have not been.
func (c *channel) writeSome(ps []pending, frames []byte) (n int, err error) {
	if on, _ := c.alarm.State(); on {
		if !ps[0].take() {
			return 0, nil
		}
		return 1, errAlarm
	}
	n, last, err := c.ring.add(ps, c.now())
	if err != nil {
		if !ps[0].take() {
			return 0, nil
		}
		return 1, err
	}
	if n == 0 {
		return 0, nil
	}
	end := &ps[n-1]
	plain := frames[ps[0].from:end.to]
	if last.copy != 0 {
		c.buffer = append(c.buffer[:0], frames[ps[0].from:end.from]...)
		c.buffer = frame.AppendWithHeader(c.buffer, frames[end.from:end.to], copyHeader(last.copy))
		plain = c.buffer
	}
	if err := c.wire.send(plain, last.rest); err != nil {
		if c.ring.takeBack(n) {
			return n, err
		}
	}
	if cap(c.buffer) > maxBuffer {
		c.buffer = nil
	}
	return n, nil // after an error the confirmer tells
}

func copyHeader(number int64) message.Field {
	var t message.Table
	t.AddInt(envelope.CopyHeader, number)
	return t.Fields[0]
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
		case r, ok := <-c.queue:
			if !ok {
				return
			}
			ps := r.pendings()
			for i := range ps {
				<-c.slots
				ps[i].fail(fault.NotSent(broker.Blocked, ps[i].op(), fault.ErrBlocked))
			}
			r.batch.letGo()
		default:
			return
		}
	}
}

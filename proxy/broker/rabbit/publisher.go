package rabbit

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/conn"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/fault"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/layout"
)

// Publish implements queueing.Publisher. It returns when each message has a place in
// the window of its channel and is queued to that channel's writer, so it never
// blocks on the socket.
func (n *Node) Publish(ctx context.Context, messages []queueing.Message, told broker.Told) {
	if len(messages) == 0 {
		return
	}
	b := newBatch(ctx, len(messages), told)
	var to *publisher
	if n.publish.Live() != nil {
		to = n.publisher.Load()
	}
	for i := range messages {
		p := &b.pendings[i]
		if err := n.accept(ctx, to, p, &messages[i]); err != nil {
			p.fail(err)
		}
	}
}

// accept queues p, which becomes m. An error is its outcome.
func (n *Node) accept(ctx context.Context, to *publisher, p *pending, m *queueing.Message) error {
	if to == nil {
		return fault.NotSent(broker.Unavailable, fault.PublishOp(m.Exchange), errors.New(n.publish.Why()))
	}
	if err := p.encode(m, &n.limits); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return fault.NotSent(broker.WindowFull, p.op(), context.Cause(ctx))
	}
	if limit := n.largest.Load(); limit > 0 && p.size > limit {
		return fault.NotSent(broker.TooLarge, p.op(), fmt.Errorf("data of %d bytes: the broker takes at most %d", p.size, limit))
	}
	return to.publish(ctx, p)
}

// publisher is the publishing side of one session.
type publisher struct {
	session   *conn.Session
	exchanges *exchanges
	largest   *atomic.Int64 // the node's
	lanes     *lanes
}

func newPublisher(s *conn.Session, o *layout.Objects, largest *atomic.Int64) *publisher {
	p := &publisher{session: s, exchanges: newExchanges(s, o), largest: largest}
	p.lanes = newLanes(s, p.learn)
	return p
}

// learn keeps what the end of a channel says about later publishes.
func (p *publisher) learn(e *amqp.Error) {
	p.exchanges.fault(e)
	if limit, ok := fault.Limit(e); ok {
		p.largest.Store(limit)
	}
}

func (p *publisher) publish(ctx context.Context, m *pending) error {
	if on, reason := p.session.Alarm.State(); on {
		return fault.NotSent(broker.Blocked, m.op(), errors.New(reason))
	}
	if limit := p.session.FrameSize() - frameOverhead; m.headerBytes > limit {
		return fault.NotSent(broker.TooLarge, m.op(), fmt.Errorf("headers of %d bytes do not fit the connection's frames of %d bytes", m.headerBytes, limit))
	}
	if err := p.exchanges.know(ctx, m.exchange); err != nil {
		return err
	}
	return p.lanes.of(m).publish(ctx, m)
}

// frameOverhead is what a header frame holds beside the header table: its own
// head, flags, and nine properties of at most 256 bytes.
const frameOverhead = 64 + 9*256

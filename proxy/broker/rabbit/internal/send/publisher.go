package send

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/conn"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/fault"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/layout"
)

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

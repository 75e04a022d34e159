package rabbit

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/proxy/broker"
)

// Publish implements broker.Publisher. It returns when the message has a place in
// the window of its channel and is queued to that channel's writer, so it never
// blocks on the socket.
func (n *Node) Publish(ctx context.Context, m *broker.Message) (broker.Receipt, error) {
	s := n.publish.live.Load()
	if s == nil {
		return nil, notSent(broker.Unavailable, publishOp(m.Exchange), errors.New(n.publish.why()))
	}
	p, err := encode(m, &n.opts)
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, notSent(broker.WindowFull, publishOp(m.Exchange), context.Cause(ctx))
	}
	if err := s.pub.publish(ctx, p); err != nil {
		return nil, err
	}
	return p, nil
}

func publishOp(exchange string) string {
	if exchange == "" {
		return "publish to the default exchange"
	}
	return fmt.Sprintf("publish to exchange %q", exchange)
}

// publisher is the publishing side of one session.
type publisher struct {
	session   *session
	exchanges *exchanges
	lanes     []*lane
}

func newPublisher(s *session, topology *memory) *publisher {
	p := &publisher{session: s, exchanges: newExchanges(s, topology)}
	for range s.opts.Channels {
		p.lanes = append(p.lanes, &lane{session: s, exchanges: p.exchanges, changed: make(chan struct{})})
	}
	return p
}

// start opens every lane's first channel, then lets the lanes look after
// themselves.
func (p *publisher) start(ctx context.Context) error {
	for _, l := range p.lanes {
		err := p.session.do(ctx, l.open)
		if err != nil {
			return fmt.Errorf("open publish channel: %w", err)
		}
		p.session.spawn(l.run)
	}
	p.session.spawn(p.watch)
	return nil
}

func (p *publisher) publish(ctx context.Context, m *pending) error {
	if on, reason := p.session.alarm.state(); on {
		return notSent(broker.Blocked, m.op(), errors.New(reason))
	}
	if limit := p.session.conn.Config.FrameSize - frameOverhead; m.headerBytes > limit {
		return notSent(broker.TooLarge, m.op(), fmt.Errorf("headers of %d bytes do not fit the connection's frames of %d bytes", m.headerBytes, limit))
	}
	if err := p.exchanges.know(ctx, m.exchange); err != nil {
		return err
	}
	return p.lane(m.exchange).publish(ctx, m)
}

// frameOverhead is what a header frame holds beside the header table: its own
// head, flags, and nine properties of at most 256 bytes.
const frameOverhead = 64 + 9*256

// laneSeed makes an exchange's lane the same for all sessions of the process.
var laneSeed = maphash.MakeSeed()

func (p *publisher) lane(exchange string) *lane {
	return p.lanes[maphash.String(laneSeed, exchange)%uint64(len(p.lanes))]
}

// drain retires every channel and waits until what was published is settled, or
// ctx ends.
func (p *publisher) drain(ctx context.Context) {
	for _, l := range p.lanes {
		l.shut(ctx)
	}
}

// watch finds a connection that is dead without saying so: publishes wait for
// their confirms, and the broker sends nothing at all, not even an answer to a
// question. Under an alarm it need not answer.
func (p *publisher) watch() {
	limit := p.session.opts.ConfirmWatch / 2
	tick := time.NewTicker(max(limit/4, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-p.session.done:
			return
		}
		if on, _ := p.session.alarm.state(); on || p.session.socket.silence() < limit || !p.waiting(limit) {
			continue
		}
		// The answer does not matter: without one in time the call ends the connection.
		_ = p.session.callWithin(limit, func() error {
			ch, err := p.session.conn.Channel()
			if err != nil {
				return err
			}
			return ch.Close()
		})
	}
}

// waiting reports whether a publish has waited for its confirm longer than d.
func (p *publisher) waiting(d time.Duration) bool {
	for _, l := range p.lanes {
		if c := l.current(); c != nil && c.waited() > d {
			return true
		}
	}
	return false
}

// openWire opens an AMQP channel in confirm mode.
func openWire(s *session) (*amqpWire, error) {
	w := &amqpWire{}
	err := s.call(func() (err error) {
		if w.ch, err = s.conn.Channel(); err != nil {
			return err
		}
		w.closed = w.ch.NotifyClose(make(chan *amqp.Error, 1))
		// Every return belongs to an unsettled publish: a window's worth is enough.
		w.back = w.ch.NotifyReturn(make(chan amqp.Return, s.opts.Window))
		return w.ch.Confirm(false)
	})
	return w, err
}

// amqpWire is a wire on a real channel.
type amqpWire struct {
	ch     *amqp.Channel
	closed <-chan *amqp.Error
	back   <-chan amqp.Return
}

func (w *amqpWire) publish(p *pending) (confirmation, error) {
	c, err := w.ch.PublishWithDeferredConfirm(p.exchange, p.key, p.mandatory, false, p.message)
	if err != nil {
		return nil, err // not c: a nil pointer in an interface is not nil
	}
	return c, nil
}

func (w *amqpWire) returns() <-chan amqp.Return { return w.back }

func (w *amqpWire) isClosed() bool { return w.ch.IsClosed() }

package send

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/conn"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/envelope"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/fault"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/layout"
)

// Sender publishes over a link, on whichever session is up. It is safe for concurrent use.
type Sender struct {
	// Set at construction.
	link    *conn.Link
	objects *layout.Objects
	limits  envelope.Limits

	live    atomic.Pointer[publisher] // of the session that is up or was last
	largest atomic.Int64              // data the broker takes, as it said; 0 until then
}

// New returns one that publishes over link. Exchanges in o are known to be there.
func New(link *conn.Link, o *layout.Objects, opts *conn.Options) *Sender {
	limits := envelope.Limits{HeaderBytes: opts.MaxHeaderBytes, DataBytes: opts.MaxDataBytes, Now: opts.Now}
	return &Sender{link: link, objects: o, limits: limits}
}

// Begin makes a session ready to be published on, before the link raises it. drain retires
// its channels and waits until what was published is decided, or its context ends.
func (s *Sender) Begin(session *conn.Session) (drain func(context.Context)) {
	p := newPublisher(session, s.objects, &s.largest)
	s.live.Store(p)
	session.Spawn(func() { session.Guard(p.lanes.waited) })
	return p.lanes.drain
}

// Learn tells that exchanges are there.
func (s *Sender) Learn(exchanges []mesh.Exchange) {
	p := s.live.Load()
	if p == nil {
		return
	}
	for _, x := range exchanges {
		p.exchanges.learn(x.Name)
	}
}

// Publish implements queueing.Publisher. It returns when each message has a place in
// the window of its channel and is queued to that channel's writer, so it never
// blocks on the socket.
func (s *Sender) Publish(ctx context.Context, messages []queueing.Message, told broker.Told) {
	if len(messages) == 0 {
		return
	}
	b := newBatch(ctx, len(messages), told)
	defer b.letGo()
	var to *publisher
	if s.link.Live() != nil {
		to = s.live.Load()
	}
	from := 0 // of those that are encoded and not given on
	for i := range messages {
		p, m := &b.pendings[i], &messages[i]
		if i > from && !b.pendings[from].leads(m) {
			to.publish(ctx, b.run(from, i))
			b.cut()
			from = i
		}
		if err := s.encode(ctx, to, p, m); err != nil {
			if i > from {
				to.publish(ctx, b.run(from, i))
				b.cut()
			}
			p.fail(err)
			from = i + 1
		}
	}
	if from < len(messages) {
		to.publish(ctx, b.run(from, len(messages)))
	}
}

// leads reports whether m goes the way of p.
func (p *pending) leads(m *queueing.Message) bool {
	return p.exchange == m.Exchange && p.shard == shardOf(m)
}

// encode makes p the form of m. An error is its outcome.
func (s *Sender) encode(ctx context.Context, to *publisher, p *pending, m *queueing.Message) error {
	if to == nil {
		return fault.NotSent(broker.Unavailable, fault.PublishOp(m.Exchange), errors.New(s.link.Why()))
	}
	if err := p.encode(m, &s.limits, to.session.FrameSize()); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return fault.NotSent(broker.WindowFull, p.op(), context.Cause(ctx))
	}
	if limit := s.largest.Load(); limit > 0 && p.size > limit {
		return fault.NotSent(broker.TooLarge, p.op(), fmt.Errorf("data of %d bytes: the broker takes at most %d", p.size, limit))
	}
	return nil
}

// tooManyHeaders is the outcome of p, whose headers do not fit a frame.
func (p *pending) tooManyHeaders(limit int) error {
	return fault.NotSent(broker.TooLarge, p.op(), fmt.Errorf("headers of %d bytes do not fit the connection's frames of %d bytes", p.headerBytes, limit))
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

// publish publishes r, whose messages go the same way.
func (p *publisher) publish(ctx context.Context, r run) {
	n, err := p.give(ctx, r)
	if err == nil {
		return
	}
	ps := r.pendings()[n:]
	for i := range ps {
		ps[i].fail(err)
	}
}

// give gives the messages of r to their channel, and returns how many it took before the error.
func (p *publisher) give(ctx context.Context, r run) (n int, err error) {
	first := r.first()
	if on, reason := p.session.Alarm.State(); on {
		return 0, fault.NotSent(broker.Blocked, first.op(), errors.New(reason))
	}
	if err := p.exchanges.know(ctx, first.exchange); err != nil {
		return 0, err
	}
	return p.lanes.of(first).publish(ctx, r)
}

// frameOverhead is what a header frame holds beside the header table: its own
// head, flags, and nine properties of at most 256 bytes.
const frameOverhead = 64 + 9*256

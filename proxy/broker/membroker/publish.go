package membroker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/membroker/store"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
)

// Limits of AMQP that are kept here too, so that what works here works there.
const (
	maxRoutingKey = 255
	maxHeaders    = 64 << 10
)

// Publish implements queueing.Publisher.
func (n *Node) Publish(ctx context.Context, batch []queueing.Message, told broker.Told) {
	var waiting []held
	sure := 0 // where the messages begin that are confirmed, which nobody has been told yet
	tell := func(upTo int) {
		if sure < upTo {
			told(sure, upTo, nil)
		}
		sure = upTo
	}
	for i := range batch {
		if n.broker.options.Faults.Held() != nil {
			tell(i) // it may have to wait for a place in the window
		}
		outcome, hold, err := n.publish(ctx, &batch[i])
		switch {
		case err == nil && hold == nil && outcome == nil:
		case err == nil && hold != nil:
			tell(i)
			sure = i + 1
			waiting = append(waiting, held{i, outcome, publishOp(&batch[i]), *hold})
		default:
			tell(i)
			sure = i + 1
			told(i, i+1, cmp.Or(err, outcome))
		}
	}
	tell(len(batch))
	if len(waiting) > 0 {
		n.held.Go(func() {
			for _, h := range waiting {
				told(h.number, h.number+1, h.wait(ctx))
			}
		})
	}
}

// publish publishes one message. Without an error and a hold outcome is what the confirm
// says; with a hold it says so when that is over.
func (n *Node) publish(ctx context.Context, m *queueing.Message) (outcome error, h *hold, err error) {
	if err := n.check(m); err != nil {
		return nil, nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, notSent(broker.WindowFull, m, err)
	}
	s := n.live()
	if s == nil {
		return nil, nil, notSent(broker.Unavailable, m, nil)
	}
	if n.broker.options.Faults.Blocked() {
		return nil, nil, notSent(broker.Blocked, m, nil)
	}
	if over := n.broker.options.Faults.Held(); over != nil {
		h = &hold{over, s}
		if err := s.enterWindow(ctx, over, m); err != nil {
			return nil, nil, err
		}
	}
	m, err = n.fitted(m)
	if err != nil {
		return nil, nil, err
	}
	outcome, err = n.broker.publish(m)
	return outcome, h, err
}

// fitted is m if it is no copy, or one that fits; a dead letter is cut for that.
func (n *Node) fitted(m *queueing.Message) (*queueing.Message, error) {
	of, ok := m.Of.(*store.Original)
	if !ok || n.options.MaxCopyBytes == 0 || of.Size() <= n.options.MaxCopyBytes {
		return m, nil
	}
	cut := *of
	cut.Headers = nil
	if m.DeadLetter == nil || m.Whole || cut.Size() > n.options.MaxCopyBytes {
		return nil, notSent(broker.TooLarge, m, fmt.Errorf("a copy of %d bytes, at most %d are taken", of.Size(), n.options.MaxCopyBytes))
	}
	fits, said := *m, *m.DeadLetter
	said.Cut = fmt.Sprintf("%d headers", len(of.Headers))
	fits.Of, fits.DeadLetter = &cut, &said
	return &fits, nil
}

// check refuses what AMQP could not carry. A copy is as large as what it was made of.
func (n *Node) check(m *queueing.Message) error {
	switch {
	case m.Of != nil:
		if _, ok := m.Of.(*store.Original); !ok {
			return notSent(broker.Invalid, m, fmt.Errorf("a %T is no message of this broker", m.Of))
		}
	case m.Event == nil:
		return notSent(broker.Invalid, m, errors.New("the message has no event"))
	case len(m.RoutingKey) > maxRoutingKey:
		return notSent(broker.Invalid, m, fmt.Errorf("the routing key has %d bytes, at most %d are allowed", len(m.RoutingKey), maxRoutingKey))
	case len(m.Exchange) > maxRoutingKey:
		return notSent(broker.Invalid, m, fmt.Errorf("the exchange name has %d bytes, at most %d are allowed", len(m.Exchange), maxRoutingKey))
	case m.Of == nil && len(m.Event.Data) > n.options.MaxDataBytes:
		return notSent(broker.TooLarge, m, fmt.Errorf("the data has %d bytes, at most %d are allowed", len(m.Event.Data), n.options.MaxDataBytes))
	}
	if m.Of != nil {
		return nil
	}
	size := len(m.Event.ID) + len(m.Event.Source) + len(m.Event.Type) + len(m.Trace.Parent) + len(m.Trace.State) + len(m.Trace.Baggage)
	for i := range m.Event.Attrs {
		size += len(m.Event.Attrs[i].Name) + len(m.Event.Attrs[i].Value.String())
	}
	if size > maxHeaders {
		return notSent(broker.TooLarge, m, fmt.Errorf("the attributes have %d bytes, at most %d are allowed", size, maxHeaders))
	}
	return nil
}

// publish puts a copy of m into every queue it is routed to. outcome is what the
// confirm will say; err means that nothing was done.
func (b *Broker) publish(m *queueing.Message) (outcome, err error) {
	var space [8]*store.Queue
	b.mu.RLock()
	queues, err := b.route(space[:0], m)
	b.mu.RUnlock()
	if err != nil {
		return nil, err
	}
	if len(queues) == 0 {
		if m.Mandatory {
			return &broker.Error{Kind: broker.Unroutable, Outcome: broker.Failed, Op: publishOp(m)}, nil
		}
		return nil, nil
	}
	own, full := store.Keep(m), ""
	for _, q := range queues {
		e := &store.Entry{Message: own, Attempt: max(m.Attempt, 1)}
		if own.TTL > 0 {
			e.Expires = time.Now().Add(own.TTL)
		}
		if !q.Put(e) {
			full = q.Name
		}
	}
	if full != "" {
		return &broker.Error{Kind: broker.Nacked, Outcome: broker.Unknown, Op: publishOp(m), Err: fmt.Errorf("queue %q is full", full)}, nil
	}
	return nil, nil
}

// hold is why a confirm is withheld.
type hold struct {
	over    <-chan struct{}
	session *session
}

// held is a publish whose confirm is withheld.
type held struct {
	number  int // in its batch
	outcome error
	op      string
	hold    hold
}

// wait returns the outcome. A return needs no confirm to be known, but the outcome is
// told in one piece, as RabbitMQ does.
func (h *held) wait(ctx context.Context) error {
	select {
	case <-h.hold.over:
		return h.outcome // known, whatever happened since
	default:
	}
	select {
	case <-h.hold.session.done:
		return &broker.Error{Kind: broker.Closed, Outcome: broker.Unknown, Op: h.op}
	case <-h.hold.over:
		return h.outcome
	case <-ctx.Done():
		return &broker.Error{Kind: broker.ConfirmTimeout, Outcome: broker.Unknown, Op: h.op, Err: ctx.Err()}
	}
}

// window counts the publishes of one session that one hold keeps unconfirmed.
// They all end together, so a place is never given back.
type window struct {
	hold  <-chan struct{}
	taken int
}

// enterWindow takes a place in the window. It blocks while the window is full.
func (s *session) enterWindow(ctx context.Context, h <-chan struct{}, m *queueing.Message) error {
	s.mu.Lock()
	if s.window == nil || s.window.hold != h {
		s.window = &window{hold: h}
	}
	if s.window.taken < s.node.options.Window {
		s.window.taken++
		s.mu.Unlock()
		return nil
	}
	s.mu.Unlock()
	select {
	case <-h:
		return nil
	case <-s.done:
		return notSent(broker.Unavailable, m, nil)
	case <-ctx.Done():
		return notSent(broker.WindowFull, m, ctx.Err())
	}
}

func notSent(kind broker.Kind, m *queueing.Message, cause error) error {
	return &broker.Error{Kind: kind, Outcome: broker.NotSent, Op: publishOp(m), Err: cause}
}

func publishOp(m *queueing.Message) string {
	if m.Exchange == "" {
		return fmt.Sprintf("publish to queue %q", m.RoutingKey)
	}
	return fmt.Sprintf("publish to exchange %q", m.Exchange)
}

package rabbit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/conn"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/fault"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/layout"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/receive"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/send"
)

// Node is the driver for one RabbitMQ node. It implements queueing.Driver.
type Node struct {
	// Set at construction.
	opts    Options
	objects *layout.Objects
	publish *conn.Link
	consume *conn.Link

	sender   *send.Sender
	receiver *receive.Receiver

	problem atomic.Pointer[string] // what of the topology could not be declared again
}

var _ queueing.Driver = (*Node)(nil)

// New makes a Node. Nothing happens before Run.
func New(o Options) *Node {
	n := &Node{opts: o.WithDefaults()}
	n.objects = layout.New(n.opts.Logger)
	n.publish = conn.NewLink("publish", &n.opts, n.preparePublish)
	n.consume = conn.NewLink("consume", &n.opts, n.prepareConsume)
	n.sender = send.New(n.publish, n.objects, &n.opts)
	n.receiver = receive.New(n.consume, n.objects, &n.opts)
	return n
}

// Run implements queueing.Driver. When ctx ends it refuses new publishes, waits for
// confirms at most CloseTimeout and closes both connections. It returns nil.
func (n *Node) Run(ctx context.Context) error {
	var links sync.WaitGroup
	links.Go(func() { n.publish.Run(ctx) })
	links.Go(func() { n.consume.Run(ctx) })
	links.Wait()
	return nil
}

// Publish implements queueing.Publisher. It returns when each message has a place in
// the window of its channel and is queued to that channel's writer, so it never
// blocks on the socket.
func (n *Node) Publish(ctx context.Context, messages []queueing.Message, told broker.Told) {
	n.sender.Publish(ctx, messages, told)
}

// Consume implements queueing.Consumer. It calls sink in the caller's goroutine. A
// queue that was declared under Manage and is deleted meanwhile is declared again;
// another one ends Consume with NotFound.
func (n *Node) Consume(ctx context.Context, opts queueing.ConsumeOptions, sink func([]*queueing.Delivery)) (drain func(), err error) {
	return n.receiver.Consume(ctx, opts, sink)
}

// Watch implements queueing.Driver. Beside the dead-letter queue it binds a queue of this
// connection's own, which is gone with it.
func (n *Node) Watch(ctx context.Context, deadLetterQueue string, told func(*queueing.Delivery)) error {
	return n.receiver.Watch(ctx, deadLetterQueue, told)
}

// State implements queueing.Driver.
func (n *Node) State() broker.State {
	st := broker.State{Address: n.opts.Address, Stale: n.receiver.Stale(), Gone: n.objects.Gone()}
	pub, con := n.publish.Live(), n.consume.Live()
	st.Publishing, st.Consuming = pub != nil, con != nil
	switch {
	case pub == nil:
		st.Reason = "publish connection: " + n.publish.Why()
	case con == nil:
		st.Reason = "consume connection: " + n.consume.Why()
	}
	if con != nil {
		st.Server = con.Server
	}
	if pub != nil {
		st.Server = pub.Server
		if on, reason := pub.Alarm.State(); on {
			st.Publishing, st.Blocked = false, true
			st.Reason = "the broker raised an alarm: " + reason
		}
	}
	if p := n.problem.Load(); p != nil && st.Reason == "" {
		st.Reason = *p
	}
	return st
}

func (n *Node) preparePublish(ctx context.Context, s *conn.Session) (drain func(context.Context), err error) {
	if err := n.restoreTopology(ctx, s); err != nil {
		return nil, err
	}
	return n.sender.Begin(s), nil
}

func (n *Node) prepareConsume(ctx context.Context, s *conn.Session) (drain func(context.Context), err error) {
	if err := n.restoreTopology(ctx, s); err != nil {
		return nil, err
	}
	s.Spawn(func() { s.Guard(s.Consumed) })
	s.Spawn(func() { n.keepTopology(s) })
	return nil, nil
}

// keepTopology declares what is remembered again and again. An exchange that somebody
// deletes takes the bindings of everybody's queues with it, and the broker tells
// nobody: whoever publishes can declare the exchange again, but only those who
// receive know what was bound to it. And a declaration is a use of a queue: a
// classic one that nobody consumes lives on under a policy with expires that is longer than
// TopologyCheck. A quorum queue does not (3.10.8, 4.3.6); see layout.Objects.Gone.
func (n *Node) keepTopology(s *conn.Session) {
	tick := time.NewTicker(n.opts.TopologyCheck)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			n.complete(n.objects.Restore(s))
		case <-s.Done():
			return
		}
	}
}

// restoreTopology declares what is remembered. What the broker refuses is shown in
// State and does not keep the rest from working; only a lost connection is an
// error.
func (n *Node) restoreTopology(ctx context.Context, s *conn.Session) error {
	err := s.Do(ctx, func() error { return n.objects.Restore(s) })
	if err != nil && (s.Lost() || ctx.Err() != nil) {
		return err
	}
	n.complete(err)
	return nil
}

// complete shows in State whether all that is remembered is there, and tells news.
func (n *Node) complete(err error) {
	if err == nil {
		if n.problem.Swap(nil) != nil {
			n.opts.OnState()
		}
		return
	}
	text := "declare topology: " + err.Error()
	if old := n.problem.Swap(&text); old == nil || *old != text {
		n.opts.Logger.Warn("topology is not complete", "broker_node", n.opts.Address, "error", err)
		n.opts.OnState()
	}
}

// EnsureTopology implements queueing.Driver. What it has declared under Manage is
// added to what is declared again after each reconnect. While the node is down it
// waits, at most until ctx ends; for the publish connection too, because who waits
// for topology is about to publish, and the two connections come up one by one.
func (n *Node) EnsureTopology(ctx context.Context, t queueing.Topology) error {
	for {
		s, err := n.consume.Wait(ctx)
		if err != nil {
			return fault.NotSent(broker.Unavailable, "declare topology", errors.Join(err, errors.New(n.consume.Why())))
		}
		err = s.Do(ctx, func() error { return n.objects.Declare(s, t) })
		switch {
		case err == nil:
			n.remember(t)
			if _, err := n.publish.Wait(ctx); err != nil {
				return fault.NotSent(broker.Unavailable, "declare topology", errors.Join(err, errors.New(n.publish.Why())))
			}
			return nil
		case ctx.Err() != nil:
			return fault.NotSent(broker.Unavailable, "declare topology", err)
		case !s.Lost():
			return err
		}
	}
}

func (n *Node) remember(t queueing.Topology) {
	n.objects.Remember(t)
	if t.Policy == mesh.Ignore {
		return // nobody knows whether its exchanges are there
	}
	n.sender.Learn(t.Exchanges)
}

// Inspect implements queueing.Driver by a passive declare.
func (n *Node) Inspect(ctx context.Context, queue string) (queueing.QueueState, error) {
	op := fmt.Sprintf("inspect queue %q", queue)
	s, err := n.consume.Wait(ctx)
	if err != nil {
		return queueing.QueueState{}, fault.NotSent(broker.Unavailable, op, errors.Join(err, errors.New(n.consume.Why())))
	}
	var found amqp.Queue
	err = s.Do(ctx, func() (err error) {
		found, err = layout.Inspect(s, queue)
		return err
	})
	if err != nil {
		kind := fault.KindOf(err)
		if kind == broker.Refused {
			err = fmt.Errorf("%w (RabbitMQ 4.2.6 and 4.3.0 want the configure permission for a passive declare)", err)
		}
		return queueing.QueueState{}, fault.NotSent(kind, op, err)
	}
	return queueing.QueueState{Messages: found.Messages, Consumers: found.Consumers}, nil
}

// Backed implements queueing.Driver.
func (n *Node) Backed(queue string) bool { return n.objects.Backed(queue) }

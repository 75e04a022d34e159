package queueing

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
)

// Node is a node of a broker with exchanges and queues. It implements broker.Driver,
// broker.KeyOrder, broker.Letters, broker.Watcher and broker.Gauge.
type Node struct {
	on     Driver
	topics sync.Map // exchange → the topic that is published there, both strings

	mu    sync.Mutex // held while something is declared
	made  []Topology // guarded by mu; what Ensure has declared and Keep has not forgotten
	named int        // guarded by mu; how many topics has
}

// NewNode makes a node of a driver that nobody else uses.
func NewNode(d Driver) *Node { return &Node{on: d} }

// Run implements broker.Runner.
func (n *Node) Run(ctx context.Context) error { return n.on.Run(ctx) }

// State implements broker.Runner.
func (n *Node) State() broker.State { return n.on.State() }

// batches are for Publish, of which one goes by for every batch.
var batches = sync.Pool{New: func() any { return new([]Message) }}

// Publish implements broker.Publisher: a message goes to its topic's exchange.
func (n *Node) Publish(ctx context.Context, batch []*broker.Message, told broker.Told) {
	out, _ := batches.Get().(*[]Message)
	defer batches.Put(out)
	*out = (*out)[:0]
	for _, m := range batch {
		to := m.To
		*out = append(*out, Message{
			Exchange: to.Exchange.Name, RoutingKey: m.Key,
			Event: m.Event, Headers: m.Headers, ReplyTo: m.ReplyTo, ContentEncoding: m.ContentEncoding,
			Trace: m.Trace, Mandatory: to.Mandatory, Persistent: to.Persistent, Priority: to.Priority,
			TTL: m.TTL, Expires: m.Expires, AppID: m.AppID, Republished: m.Republished,
			Partition: m.Partition, Partitioned: m.Partitioned,
		})
	}
	n.on.Publish(ctx, *out, told)
	clear(*out) // nothing of them is kept here
}

// Receive implements broker.Receiver.
func (n *Node) Receive(ctx context.Context, r broker.Receiving, sink func([]*broker.Delivery)) (drain func(), err error) {
	s := r.Subscription
	opts := ConsumeOptions{
		Queue: s.Queue.Name, Prefetch: r.Prefetch, AtOnce: r.AtOnce, Tag: r.Tag, Uncounted: uncounted(s),
	}
	if s.Ordering == mesh.PerKey {
		if !slices.Contains(n.Parts(s), r.Part) {
			return nil, &broker.Error{Kind: broker.Invalid, Op: "receive " + s.Name.String(), Err: fmt.Errorf("it has no part %q", r.Part)}
		}
		opts.Queue, opts.SingleActive = r.Part, true
	}
	if r.Lost != nil {
		opts.Lost = func(epoch uint64) { r.Lost(opts.Queue, epoch) }
	}
	opts.MaxBytes = n.maxBytes(opts.Queue, r.Largest)
	var out []*broker.Delivery // of one sink at a time
	return n.on.Consume(ctx, opts, func(ds []*Delivery) {
		for _, d := range ds {
			out = append(out, n.handed(d, s))
		}
		sink(out)
		clear(out)
		out = out[:0]
	})
}

// handed makes d what the seam hands out of s. Its topic is another one's if it came by
// the exchange of that one, as after the subscription has moved.
func (n *Node) handed(d *Delivery, s *mesh.Subscription) *broker.Delivery {
	d.Settler, d.Handle = n, d
	d.LeftBehind = d.Event == nil && d.Original == nil
	if d.Origin.Name != s.Exchange.Name {
		if topic, ok := n.topics.Load(d.Origin.Name); ok {
			d.Topic, _ = topic.(string)
		}
	}
	return &d.Delivery
}

// uncounted reports whether a subscription's queues do not count what comes back.
func uncounted(s *mesh.Subscription) bool { return s.Queue.Type == "classic" }

// largestEvent is the most data that any topic takes, and beside room for the rest.
const (
	largestEvent = 16 << 20
	beside       = 128 << 10
)

// maxBytes is the largest message that is read from a queue, 0 meaning any. Where
// the queue itself can move what is larger to its dead-letter queue, that costs no memory
// here. Where the topic's size is known the bound leaves room for an event in structured
// mode, whose data is in base64; else it is that of the largest topic.
func (n *Node) maxBytes(queue string, largest uint32) int {
	switch {
	case !n.on.Backed(queue):
		return 0
	case largest == 0:
		return largestEvent + beside
	default:
		return int(largest) + int(largest)/2 + beside
	}
}

// Parts implements broker.KeyOrder: a part is a queue.
func (n *Node) Parts(s *mesh.Subscription) []string { return Queues(s) }

// Join implements broker.KeyOrder: members consume from a queue that nobody publishes to.
// Where others declare the topology there may be none.
func (n *Node) Join(ctx context.Context, s *mesh.Subscription, tag string) error {
	opts := ConsumeOptions{Queue: s.Queue.Members(), Prefetch: 1, Tag: tag, Uncounted: uncounted(s)}
	drain, err := n.on.Consume(ctx, opts, func([]*Delivery) {})
	if drain != nil {
		drain()
	}
	return err
}

// Members implements broker.KeyOrder.
func (n *Node) Members(ctx context.Context, s *mesh.Subscription) (int, error) {
	state, err := n.on.Inspect(ctx, s.Queue.Members())
	return state.Consumers, err
}

// Gauge implements broker.Gauge: a place is a queue.
func (n *Node) Gauge(ctx context.Context, place string) (broker.Fill, error) {
	state, err := n.on.Inspect(ctx, place)
	return broker.Fill(state), err
}

// Watch implements broker.Watcher. What a policy of the broker takes out of a queue goes
// to the dead-letter queue that the queue names itself.
func (n *Node) Watch(ctx context.Context, s *mesh.Subscription, told func(*broker.Delivery)) error {
	queues := Queues(s)
	if !slices.ContainsFunc(queues, n.on.Backed) {
		return nil // what is taken there is gone, which the driver has logged
	}
	return n.on.Watch(ctx, s.DeadLetterQueue, func(d *Delivery) {
		if d.DeadLetter != nil && slices.Contains(queues, d.DeadLetter.Part) {
			told(n.handed(d, s))
		}
	})
}

// Unkept implements broker.Watcher.
func (n *Node) Unkept(s *mesh.Subscription) []string {
	return slices.DeleteFunc(Queues(s), n.on.Backed)
}

package queueing

import (
	"context"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/event"
)

// Driver is one broker node as a Node uses it. Implementations are safe for concurrent
// use.
type Driver interface {
	broker.Runner
	Topologist
	Publisher
	Consumer
	Watcher
}

// Topologist makes exchanges and queues exist, and looks at them.
type Topologist interface {
	// EnsureTopology makes the exchanges, queues and bindings of t exist and
	// returns when they do. It is idempotent. An object that exists with another
	// type is an Error of kind Conflict naming both. The driver remembers t and
	// declares it again after each reconnect, before publishers and consumers go on.
	//
	// Under Verify nothing is declared: what is missing is an Error of kind NotFound
	// that says what to declare, and bindings are not looked at. Whether another type
	// is noticed is the driver's to say. Under Ignore nothing happens at all. Either
	// way, what t names is remembered no more.
	EnsureTopology(ctx context.Context, t Topology) error
	// Inspect returns what the broker says of a queue. A missing queue is an Error of
	// kind NotFound.
	Inspect(ctx context.Context, queue string) (QueueState, error)
	// Backed reports whether what queue gives up goes to its dead-letter queue: it was
	// declared here with Queue.DeadLetter, and is like that. A queue that existed without
	// one stays as it is, which is no Conflict, and is not backed. It does not block.
	Backed(queue string) bool
}

// Watcher tells what the broker gives up by itself.
type Watcher interface {
	// Watch calls told for each message that the broker itself puts into a dead-letter
	// queue of Queue.DeadLetter, as a Delivery with DeadLetter set, Event or Malformed,
	// and without a body if that is large, until ctx ends. It is best effort: what is
	// given up while the connection is down is not told. told is called by one goroutine
	// at a time. nil is returned when ctx has ended; an error means that trying again by
	// itself will not help.
	Watch(ctx context.Context, deadLetterQueue string, told func(*Delivery)) error
}

// Publisher puts messages onto the node.
type Publisher interface {
	// Publish writes the messages of a batch, as broker.Publisher has it. They, and the
	// slice, are the caller's again when Publish returns; their events, headers and data
	// must not be changed until their outcomes are told. Messages that one goroutine gives
	// reach one exchange in that order; those of different partitions need not wait for
	// each other.
	Publish(ctx context.Context, batch []Message, told broker.Told)
}

// Consumer receives from queues of the node.
type Consumer interface {
	// Consume delivers messages of a queue to sink until ctx ends; then it stops
	// the flow, and returns nil after sink has returned for the last time. It
	// survives reconnects: sink sees later epochs then. sink is called by one
	// goroutine at a time and may block; it gets what has arrived, in order, all of one
	// epoch, and the slice is the driver's again when it returns. At most opts.Prefetch
	// deliveries are unsettled at once. Deliveries that are unsettled when Consume returns can
	// still be settled until the returned drain function is called; drain gives
	// everything unsettled back to the queue in order by closing the channel, and
	// is idempotent. An error means that the queue cannot be consumed and trying
	// again by itself will not help (missing, forbidden, Conflict).
	Consume(ctx context.Context, opts ConsumeOptions, sink func([]*Delivery)) (drain func(), err error)
}

// ConsumeOptions says what to consume.
type ConsumeOptions struct {
	Queue    string
	Prefetch int        // at least 1
	AtOnce   func() int // as in broker.Receiving
	Tag      string     // shows up in the broker's tools; made unique by the driver
	// SingleActive says that the queue lets one consumer at a time receive, as
	// Queue.SingleActive has it. A driver knows by itself only of queues that were
	// declared through it, and a broker's queue may have been by another node's.
	SingleActive bool
	// MaxBytes is the largest body that is read. Of a larger one only the size is told,
	// and it costs no memory here. 0 means that any is read.
	MaxBytes int
	// Uncounted says that the queue does not count what comes back (its type is classic):
	// what a message says of that is its publisher's.
	Uncounted bool
	// Letters says that the queue is a dead-letter queue: what the broker put there by
	// itself is read as a dead letter, whose reason is one of those below.
	Letters bool
	// Lost, when set, is called when a channel of the consumer is gone and before the
	// next one is opened, with its epoch: what came by it is stale. It is not called
	// for the channel that is open when Consume returns.
	Lost func(epoch uint64)
}

// Message is an event on its way to an exchange, or a copy of a message that was handed
// out.
type Message struct {
	Exchange   string // "" is the default exchange: RoutingKey names the queue
	RoutingKey string
	// Of, when set, makes m a copy. The message goes on whole, whether or not it is an
	// event: every property, header and byte of the body, but for what Warren writes
	// itself, which is written anew as m says. Event, Headers, ReplyTo, ContentEncoding,
	// Trace, Priority and AppID are the message's own then, and those of m are not looked
	// at. Only the driver that handed it out takes it.
	Of Original
	// Revived, with Of, puts the message back as it was published first: what Warren added
	// to earlier copies is gone, and properties that a copy cannot have are there again.
	Revived bool
	Event   *event.Event
	// Headers, ReplyTo and ContentEncoding travel beside the event, as the like of Delivery.
	Headers         []broker.Header
	ReplyTo         string
	ContentEncoding string
	Trace           broker.TraceContext
	Mandatory       bool
	Persistent      bool
	Priority        uint8
	// TTL is how long the broker keeps the message in a queue; 0 means for ever.
	TTL time.Duration
	// Expires is when the message's life ends wherever it waits until then, retries
	// included; the zero value means never. It is carried with the message, for whoever
	// receives it: the broker itself goes by TTL.
	Expires time.Time
	AppID   string // workload that publishes
	// Republished marks a repeat after an unknown outcome of this hop.
	Republished bool
	// Attempt is the number the next delivery of this message has, 0 and 1 both
	// meaning a first delivery.
	Attempt uint32
	// OriginExchange and OriginKey say where the event was first published. They
	// are set on copies that go straight to a queue, so that a later Delivery shows
	// them as its Exchange and RoutingKey. Both empty: Exchange and RoutingKey are
	// the origin.
	OriginExchange string
	OriginKey      string
	// FirstFailure is when the first attempt to deliver the event failed; the zero
	// value means that none has.
	FirstFailure time.Time
	// Crashes counts the attempts in which the service went away with the event in its
	// hands.
	Crashes uint32
	// Partition is the event's, when Partitioned is set.
	Partition   uint32
	Partitioned bool
	// DeadLetter, when set, marks m as a dead letter.
	DeadLetter *broker.DeadLetter
	// Whole, with DeadLetter, says that nothing may be cut: a letter that does not fit is
	// TooLarge.
	Whole bool
}

// Original is a message as its broker handed it out, whole. Its driver makes it; the
// rest of Warren passes it on, in Message.Of. It is read-only and shares the bytes of
// Delivery.Raw.
type Original interface {
	// Size is how many bytes it takes, headers and body.
	Size() int
}

// Delivery is one message handed out from a queue, which is its Part.
type Delivery struct {
	broker.Delivery

	// Original is the message for Message.Of, nil if its body was left behind.
	Original Original
	// Channel settles it.
	Channel Settler
}

// Settler settles deliveries of one channel. It is safe for concurrent use.
type Settler interface {
	// Ack removes the message from its queue. ErrStale when the channel is gone or
	// the tag was settled before. It does not wait for the broker, nor for the network:
	// a connection that is lost right after it may bring the message again.
	Ack(tag uint64) error
	// Requeue gives the message back, at once unless its queue makes retries wait; the
	// broker counts the attempt. ErrStale as for Ack.
	Requeue(tag uint64) error
	// Reject removes the message from its queue, which gives it to its dead-letter queue,
	// whole, as Queue.DeadLetter has it; a queue without one drops it. ErrStale as for Ack.
	Reject(tag uint64) error
}

// Gatherer is a Settler that can tell the broker of several settlements together.
type Gatherer interface {
	// Gather holds back what is settled on the channel until release is called, which must be
	// soon: it delays what others settle there.
	Gather() (release func())
}

// Ack removes the message from its queue; see Settler.
func (d *Delivery) Ack() error { return d.Channel.Ack(d.Tag) }

// Requeue gives the message back; see Settler.
func (d *Delivery) Requeue() error { return d.Channel.Requeue(d.Tag) }

// Reject gives the message to its queue's dead-letter queue; see Settler.
func (d *Delivery) Reject() error { return d.Channel.Reject(d.Tag) }

// Topology is what must exist on the broker.
type Topology struct {
	Policy    mesh.TopologyPolicy
	Exchanges []mesh.Exchange
	Queues    []Queue
	Bindings  []Binding
	// Partitioners are declared after the queues they lead to.
	Partitioners []Partitioner
	// Gone are bindings, and GonePartitioners what leads from an exchange to a
	// partitioner, that were wanted before and are removed, under Manage. What is not
	// there is gone already, its exchange or queue too.
	Gone             []Binding
	GonePartitioners []Partitioner
}

// Partitioner leads what is published to an exchange into one of several queues:
// a message of partition i (Message.Partition) into Queues[i], and one without a
// partition, or with one that no queue stands for, into Queues[0]. Confirms and
// Mandatory work through it.
type Partitioner struct {
	Name     string   // of the broker's object that does it; exchanges have names of the same kind
	Exchange string   // the topic's; not of type direct, which has no binding for all keys
	Queues   []string // at least one
}

// QueueState is a queue as the broker sees it.
type QueueState struct {
	Messages  int // ready to be handed out
	Consumers int // attached; those standing by are counted or not, as the broker does
}

// Queue is a queue to declare. It is durable.
type Queue struct {
	Name string
	Type string // quorum, classic
	// SingleActive lets one consumer at a time receive; the others stand by. The next
	// one's turn comes when everything the one before has not settled is back in the
	// queue: at its drain, if EnsureTopology has named the queue, and when its
	// connection is lost.
	SingleActive bool
	// Delay, when set, makes this a waiting room: every message leaves it after
	// Delay for the queue Forward. Nobody consumes from it.
	Delay   time.Duration
	Forward string
	// RetryDelay, when set, makes what is requeued wait in the queue. What comes back
	// by a drain or a lost connection does not wait. It needs RabbitMQ 4.3 or later,
	// and is a Conflict on others. Being part of what the queue is, it makes one that
	// exists without it a Conflict, too.
	RetryDelay time.Duration
	// DeadLetter, when set, names the queue that gets what this one gives up, at least
	// once: what is rejected, what expires, and what a limit or a policy of the broker
	// takes out of it. It is for queues that are declared with it; see Driver.Backed.
	DeadLetter string
	// Kept is for dead-letter queues: what a limit or a TTL of a policy takes out of it
	// stays with the broker, out of sight, as far as the broker can do that.
	Kept bool
}

// Binding binds a queue to an exchange.
type Binding struct {
	Exchange string
	Queue    string
	Key      string
}

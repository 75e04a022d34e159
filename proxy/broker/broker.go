package broker

import (
	"context"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/event"
)

// Driver is one node of a broker as a sidecar sees it. Implementations are safe for
// concurrent use. What some brokers can do and others cannot is in interfaces of its own,
// which a driver may have besides: KeyOrder, Letters, Watcher, Gauge.
type Driver interface {
	Runner
	Declarer
	Publisher
	Receiver
}

// Runner keeps a node's connections.
type Runner interface {
	// Run keeps the node's connections up until ctx ends, rebuilding them with
	// backoff for ever, and returns after everything is closed. It is called once.
	// Before Run, and while a connection is down, Publish fails with Unavailable
	// (not sent) and Receive waits.
	Run(ctx context.Context) error
	// State tells whether events can be published and received now. It does not
	// block.
	State() State
}

// Declarer makes what the configuration names exist on the broker.
type Declarer interface {
	// Ensure makes o exist, and returns when it does. It is idempotent. What exists in
	// another form is an Error of kind Conflict that names both. The driver remembers o
	// and declares it again after each reconnect, before publishers and receivers go on.
	//
	// Under Verify nothing is declared: what is missing is an Error of kind NotFound
	// that says what to declare. Under Ignore nothing happens at all. Either way, o is
	// remembered no more.
	Ensure(ctx context.Context, o Object) error
	// Keep forgets what Ensure has made and is not among objects, and ends what led to
	// those that are and is not part of them any more: a subscription that has moved to
	// another topic gets nothing more of the old one. Nothing that holds events is
	// removed. After an error it is called again, with the same objects.
	Keep(ctx context.Context, objects []Object) error
	// Same reports whether two objects look the same on the broker: one that does needs
	// no Ensure.
	Same(a, b Object) bool
}

// Object is a topic or a subscription; one of the two is set.
type Object struct {
	Topic        *mesh.Destination
	Subscription *mesh.Subscription
	Policy       mesh.TopologyPolicy // of its broker
}

// Publisher puts events onto topics.
type Publisher interface {
	// Publish writes the messages of a batch in their order, each to its topic, and does
	// not wait for their confirms. It blocks while the window of unconfirmed publishes is
	// full, at most until ctx ends. Every message has one outcome, which told is told
	// during the call or after it, and at the latest when ctx ends: then that of a message
	// that was not written is NotSent, by the kind WindowFull or, if it waited for a
	// connection, Unavailable; that of any other is Unknown, by ConfirmTimeout. The slice is the caller's again when Publish
	// returns; a message, its event and its data must not be changed until its outcome is
	// told. Messages that one goroutine gives, in one batch or in several, reach one topic
	// in that order; those of different partitions need not wait for each other.
	Publish(ctx context.Context, batch []*Message, told Told)
}

// Told is told what became of the messages of a batch, many at a time where the broker
// answered many at a time: those numbered from from up to, and not including, to. A nil
// err means that the broker has confirmed them, and that a subscription takes each, where
// its topic asks for that; else it is an Error. It must not block. It may be called by
// several goroutines at a time, never twice for one message.
type Told func(from, to int, err error)

// Receiver receives the events of subscriptions.
type Receiver interface {
	// Receive gives a subscription's deliveries to sink until ctx ends; then it stops
	// the flow, and returns nil after sink has returned for the last time. It
	// survives reconnects: sink sees later epochs then. sink is called by one
	// goroutine at a time and may block; it gets what has arrived, in order, all of one
	// epoch, and the slice is the driver's again when it returns. At most r.Prefetch
	// deliveries are unsettled at once. Deliveries that are unsettled when Receive returns can
	// still be settled until the returned drain function is called; drain gives
	// everything unsettled back, in order, and is idempotent. An error means that
	// nothing can be received and trying again by itself will not help (missing,
	// forbidden, Conflict).
	Receive(ctx context.Context, r Receiving, sink func([]*Delivery)) (drain func(), err error)
}

// Receiving says what to receive, and how.
type Receiving struct {
	Subscription *mesh.Subscription
	Part         string // of a subscription that is ordered by key: one of KeyOrder.Parts
	Prefetch     int    // at least 1
	Tag          string // shows up in the broker's tools; made unique by the driver
	// AtOnce is asked before each call of sink for the most deliveries that it gets, and must
	// not block; nil, or less than one, means one. A sink that would block should get one: the
	// deliveries behind it become stale when their epoch ends, and the next epoch begins only
	// when sink returns.
	AtOnce func() int
	// Largest is the most data that an event of the subscription's topic has, 0 when
	// that is not known. Of what is larger than such an event can be only the size is
	// told, and it costs no memory here, where the broker can set it aside by itself.
	Largest uint32
	// Lost, when set, is called when an epoch of a part is over and before the next one
	// begins: what came in it is stale. It is not called for the one that lasts when
	// Receive returns.
	Lost func(part string, epoch uint64)
}

// KeyOrder is what a driver can do that keeps the order of events with one key. The
// events of a key are in one part of a subscription; whoever receives a part has all
// of its keys, until its Receive has ended and drained.
type KeyOrder interface {
	// Parts names the parts of a subscription.
	Parts(s *mesh.Subscription) []string
	// Join makes this one a member of those who share the parts, until ctx ends. An error
	// says that nobody is counted there.
	Join(ctx context.Context, s *mesh.Subscription, tag string) error
	// Members counts those who have joined, on any node.
	Members(ctx context.Context, s *mesh.Subscription) (int, error)
}

// Letters is what a driver can do that lets its dead letters be read and sent back.
type Letters interface {
	// CountLetters counts the dead letters of s.
	CountLetters(ctx context.Context, s *mesh.Subscription) (LetterCount, error)
	// ReadLetters visits dead letters in their order, each once, at most r.Most, until
	// there are none left. Those that visit settles, by Delivery.Ack, are gone; the others
	// have their places again when ReadLetters returns. visit's error ends it.
	ReadLetters(ctx context.Context, s *mesh.Subscription, r Reading, visit Visitor) error
	// ReviveLetter publishes the message that d was before its first attempt, to s alone or
	// to the whole topic it came from, and waits for the confirm. d is not settled by it.
	ReviveLetter(ctx context.Context, s *mesh.Subscription, d *Delivery, toTopic bool) error
}

// LetterCount is how many letters there are to read, and how many receive them: what
// those hold is hidden from others.
type LetterCount struct {
	Place   string // where they are, as the broker names it
	Letters int
	Readers int
}

// Reading says which letters are read.
type Reading struct {
	Most   int
	Shared bool // others read at the same time
}

// Visitor looks at a letter and reports whether it settled it. An error ends the reading.
type Visitor func(d *Delivery) (settled bool, err error)

// Watcher is what a driver can do whose broker makes dead letters by itself.
type Watcher interface {
	// Watch calls told for each message of s that the broker itself makes a dead letter,
	// as a Delivery with DeadLetter set, Event or Malformed, and without a body if that is
	// large, until ctx ends. It is best effort: what is given up while the connection is
	// down is not told. told is called by one goroutine at a time. nil is returned when
	// ctx has ended, or when the broker keeps nothing of s that could be told; an error
	// means that trying again by itself will not help.
	Watch(ctx context.Context, s *mesh.Subscription, told func(*Delivery)) error
	// Unkept names the parts of s of which the broker keeps nothing that it takes out by
	// itself. It does not block.
	Unkept(s *mesh.Subscription) []string
}

// Gauge is what a driver can do whose broker tells how much is where.
type Gauge interface {
	// Gauge returns what the broker has at a place, as the broker names it. A missing place
	// is an Error of kind NotFound, one that this one must not look at of kind Refused.
	Gauge(ctx context.Context, place string) (Fill, error)
}

// Fill is what is at a place of a broker.
type Fill struct {
	Messages  int // ready to be handed out
	Consumers int // attached
}

// Message is an event on its way to a topic.
type Message struct {
	To *mesh.Destination
	// Key is what the topic's template makes of the event, for brokers that route by keys.
	Key   string
	Event *event.Event
	// Headers, ReplyTo and ContentEncoding travel beside the event, as the like of Delivery.
	Headers         []Header
	ReplyTo         string
	ContentEncoding string
	Trace           TraceContext
	// TTL is how long the broker keeps the message; 0 means for ever.
	TTL time.Duration
	// Expires is when the message's life ends wherever it waits until then, retries
	// included; the zero value means never. It is carried with the message, for whoever
	// receives it: the broker itself goes by TTL.
	Expires time.Time
	AppID   string // workload that publishes
	// Republished marks a repeat after an unknown outcome of this hop.
	Republished bool
	// Partition is the event's, when Partitioned is set.
	Partition   uint32
	Partitioned bool
}

// State is a driver's condition at one moment.
type State struct {
	Publishing bool   // a publish would be written
	Consuming  bool   // receivers are attached or could be
	Blocked    bool   // the broker raised an alarm and takes no publishes
	Reason     string // why not, for people; "" when all is well
	Server     string // product and version as the broker reports them
	Address    string // node, host:port; "" in memory
	Stale      uint64 // stale settlements dropped since the start
	Gone       uint64 // objects since the start that were declared here and were found gone
}

package broker

import (
	"context"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/event"
)

// Delivery is one message handed out by the broker.
type Delivery struct {
	// Event is the decoded event. It is nil when the message cannot be one; then
	// Malformed says why, and only DeadLetter makes sense.
	Event     *event.Event
	Malformed error
	// ID names a message that is no event: it is made of its content, as it was first
	// published, so that it is the same after a restart, in every replica and in copies,
	// and another one for another message. It is "" for an event, which has its own.
	ID string
	// Raw is the body as it came. It is nil, and Size says more, for a body that was left
	// behind because it is too large: the message can be acknowledged, given back or made
	// a dead letter, and Malformed says how large it is.
	Raw  []byte
	Size int
	// LeftBehind says that there is nothing of it that could be copied.
	LeftBehind bool
	// Headers are those beside the event, in the order the broker has them: some sort them.
	// ReplyTo and ContentEncoding say whom to answer, and how Raw is compressed.
	Headers         []Header
	ReplyTo         string
	ContentEncoding string
	// Lifetime is the TTL that the message was published with, 0 for none. Expires is what
	// Message.Expires was; whoever published by other means than Warren sets none.
	Lifetime time.Duration
	Expires  time.Time
	Trace    TraceContext
	Origin   Origin // where it was first published
	// Topic is the one with that origin, "namespace/name", if it is known to be another
	// than the subscription's; else "".
	Topic string
	// Part is the part of the subscription that it came by, as the broker names it: one of
	// KeyOrder.Parts, or the only one.
	Part    string
	Attempt uint32 // 1 for the first
	// Returned is how often the broker took the message back unsettled; it is part
	// of Attempt. 0 where the broker does not count.
	Returned uint32
	// Waited is how often of those it waited for another attempt with the broker.
	Waited      uint32
	Redelivered bool // the broker's flag, or a repeated publish
	// Returning is the broker's flag alone: this very message was handed out before.
	Returning bool
	AppID     string // workload that published, as in Message
	Priority  uint8
	// FirstFailure is when the first attempt to deliver the event failed, Crashes how many
	// attempts ended with the service, as far as copies carry it.
	FirstFailure time.Time
	Crashes      uint32
	Partition    uint32 // as in Message
	Partitioned  bool
	// DeadLetter says that the message is a dead letter, and why.
	DeadLetter *DeadLetter
	Epoch      uint64 // of the flow it came by; see Receiving.Lost
	Tag        uint64 // its number in that epoch
	// Settler is set by the driver, and what Handle is to it is the driver's.
	Settler Settler
	Handle  any
}

// MessageID is the event's id, or, of a message that is none, that of the message.
func (d *Delivery) MessageID() string {
	if d.Event != nil {
		return d.Event.ID
	}
	return d.ID
}

// Settler carries the outcomes of deliveries out. Use Delivery's methods.
type Settler interface {
	Ack(d *Delivery) error
	Return(d *Delivery) error
	Settle(ctx context.Context, d *Delivery, s Settlement) error
}

// Ack removes the message. ErrStale when its epoch is over or it was settled before. It
// does not wait for the broker, nor for the network: a connection that is lost right
// after it may bring the message again.
func (d *Delivery) Ack() error { return d.Settler.Ack(d) }

// Return gives the message back, to be handed out again at once. ErrStale as for Ack.
func (d *Delivery) Return() error { return d.Settler.Return(d) }

// Settle carries s out, and returns nil when that is durable: whatever stops then, the
// message is where s puts it, and not lost. After an error d is unsettled, unless that is
// ErrStale; a copy of it may be where it was to go, of which Error's outcome tells. An
// Error of kind TooLarge or Invalid says that it can never go there.
func (d *Delivery) Settle(ctx context.Context, s Settlement) error {
	return d.Settler.Settle(ctx, d, s)
}

// Gatherer is a Settler that can tell the broker of several settlements together.
type Gatherer interface {
	// Gather is Delivery.Gather.
	Gather(d *Delivery) (release func())
}

// Gather holds back what is settled of d's flow until release is called, so that the broker
// is told of it together, where the driver can do that. release must be called, soon and
// once: it delays what others settle there. It may be called when the flow is over.
func (d *Delivery) Gather() (release func()) {
	if g, ok := d.Settler.(Gatherer); ok {
		return g.Gather(d)
	}
	return func() {}
}

// Settlement is what is to become of a delivery that is not acknowledged; one of
// RetryAfter and Bury is set.
type Settlement struct {
	// Subscription is in the form that the delivery meets.
	Subscription *mesh.Subscription
	RetryAfter   *RetryAfter
	Bury         *Bury
	// Again says that an earlier Settle of the same may have left a copy: it is marked.
	Again bool
}

// RetryAfter asks for another attempt.
type RetryAfter struct {
	// Wish is how long the service would like to wait, 0 leaving that to the subscription.
	Wish time.Duration
	// Longest is how long the message may wait in this process, unsettled, where its broker
	// has no place for it to wait; it ends early when Leaving is closed.
	Longest time.Duration
	Leaving <-chan struct{}
}

// Bury makes a dead letter.
type Bury struct {
	Reason string
	Detail string // the service's words, at most 200 bytes
}

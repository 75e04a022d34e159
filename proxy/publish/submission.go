package publish

import (
	"context"
	"fmt"
	"iter"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/refusal"
	"github.com/warrenmesh/warren/proxy/route"
	"github.com/warrenmesh/warren/tracing/tracecontext"
)

// Submission is one event that a service publishes, with what travels beside it.
type Submission struct {
	Event *event.Event
	// Headers, ReplyTo and ContentEncoding travel beside the event, as far as its topic
	// allows. HeaderBytes is about how much memory Headers take.
	Headers         []broker.Header
	HeaderBytes     int64
	ReplyTo         string
	ContentEncoding string
}

// Entry is one event of a batch or of a stream.
type Entry struct {
	ID    uint64           // the client's name for it in a stream
	Topic string           // "" means that of the request
	Trace tracecontext.Hop // W3C trace context of the event
	// Submission is the event, unless Err says why there is none.
	Submission Submission
	Err        error
}

func (e *Entry) idLen() int {
	if e.Submission.Event == nil {
		return 0
	}
	return len(e.Submission.Event.ID)
}

// Batch is the events of one call, in order.
type Batch struct {
	Topic string
	Len   int
	// Entries is gone through once, and an Entry is good until the next one is asked for.
	// Decoding each only when it is its turn keeps one event at a time in two forms.
	Entries iter.Seq[*Entry]
}

// Receipt says where an event went that the broker has confirmed.
type Receipt struct {
	EventID  string
	Route    string
	Topic    string
	Attempts uint32
}

// Result is a receipt, or the refusal of an event.
type Result struct {
	Receipt Receipt
	Err     error
}

// Request is what a stream's client sends at once.
type Request struct {
	Batch
	// Held is what it takes of Options.Held until all of its events are written; 0 for a
	// small one.
	Held int64
}

// StreamResult is the result of the event that the client named so.
type StreamResult struct {
	ID     uint64
	Result Result
}

// Stream is the client's end of a stream. Receive is called by one goroutine, Send by
// another, which keeps nothing of results. Receive returns io.EOF when the client has said all; both fail when the stream
// is over.
type Stream interface {
	Context() context.Context
	Receive() (Request, error)
	Send(results []StreamResult) error
}

// directReply is RabbitMQ's pseudo-queue for answers to the same channel: a message that
// names it closes a channel that does not consume from it.
const directReply = "amq.rabbitmq.reply-to"

// check refuses what no topic could allow.
func (b *Submission) check() error {
	switch {
	case len(b.ReplyTo) > mesh.MaxHeader:
		return tooLong(mesh.PropertyReplyTo, b.ReplyTo)
	case len(b.ContentEncoding) > mesh.MaxHeader:
		return tooLong(mesh.PropertyContentEncoding, b.ContentEncoding)
	case b.ReplyTo == directReply:
		return refusal.Field(refusal.InvalidRequest, mesh.PropertyReplyTo, "must name a queue; RabbitMQ's direct reply-to works on one channel only")
	default:
		return nil
	}
}

func tooLong(field, s string) error {
	return refusal.Field(refusal.InvalidRequest, field, fmt.Sprintf("has %d bytes; AMQP allows %d", len(s), mesh.MaxHeader))
}

// addTo puts b beside the event of m as far as m's topic allows it; what it does not
// allow is an error that names the field.
func (b *Submission) addTo(m *broker.Message, to *route.Backend) error {
	for i := range b.Headers {
		name := b.Headers[i].Name
		switch {
		case name == "" || len(name) > mesh.MaxHeader:
			return refusal.Field(refusal.InvalidRequest, "headers."+refusal.Clip(name), fmt.Sprintf("its name has %d bytes; AMQP allows 1 to %d", len(name), mesh.MaxHeader))
		case mesh.ReservedHeader(name):
			return refusal.Field(refusal.InvalidRequest, "headers."+name, "is reserved, and never set by publishers")
		case !to.Headers.Allows(name):
			return notAllowed("headers."+name, name, to)
		}
	}
	if b.ReplyTo != "" && !to.Headers.Allows(mesh.PropertyReplyTo) {
		return notAllowed(mesh.PropertyReplyTo, mesh.PropertyReplyTo, to)
	}
	if b.ContentEncoding != "" && !to.Headers.Allows(mesh.PropertyContentEncoding) {
		return notAllowed(mesh.PropertyContentEncoding, mesh.PropertyContentEncoding, to)
	}
	m.Headers, m.ReplyTo, m.ContentEncoding = b.Headers, b.ReplyTo, b.ContentEncoding
	return nil
}

func notAllowed(field, entry string, to *route.Backend) error {
	return refusal.Field(refusal.InvalidRequest, field, fmt.Sprintf("is not allowed by EventTopic %s; its publish.headers must list %q", to.Topic, entry))
}

package publish

import (
	"context"
	"iter"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/event"
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
	ID    uint64            // the client's name for it in a stream
	Topic string            // "" means that of the request
	Trace map[string]string // W3C trace context of the event; nil means that of the call
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

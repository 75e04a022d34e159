package session

import (
	"context"
	"time"

	"github.com/warrenmesh/warren/proxy/deliver/delivery"
	"github.com/warrenmesh/warren/proxy/event"
)

// Stream is the client's end of a stream of deliveries, as its door has it. Receive is
// called by one goroutine, Send by another. Receive returns io.EOF when the client has
// said all; both fail when the stream is over.
type Stream interface {
	Context() context.Context
	Receive() (Request, error)
	Send(r Response) error
}

// Request is what a client asks for: an Init, first; then Credit, Settlements, Extend;
// Wrong for what its door cannot make one of these of. There are no others.
type Request interface{ request() }

// Init opens a stream.
type Init struct {
	Subscription string // "name" or "namespace/name"
	Credit       uint32 // 0 means as many as may be unsettled, unless AwaitCredit is set
	AwaitCredit  bool   // nothing is delivered before the first Credit
	// MaxMessages and MaxBytes bound what may be unsettled; 0 leaves that to the
	// subscription.
	MaxMessages uint32
	MaxBytes    uint64
	AckDeadline time.Duration // 0 means the subscription's
	Results     bool          // tell of settlements that took effect, too
}

// Credit is how many more deliveries the client takes.
type Credit uint32

// Settlements say what became of deliveries; there are at most MaxTokens.
type Settlements []Settlement

// Settlement is one delivery's.
type Settlement struct {
	Token   string
	Outcome event.Outcome
	After   time.Duration // with Retry: when the service would like it; 0 leaves it to the policy
	Reason  string        // the service's words
}

// Extend gives deliveries a deadline that is By from now, 0 meaning that of the stream;
// there are at most MaxTokens.
type Extend struct {
	Tokens []string
	By     time.Duration
}

// Wrong is a request that is none; it ends the stream.
type Wrong struct{ Err error }

func (Init) request()        {}
func (Credit) request()      {}
func (Settlements) request() {}
func (Extend) request()      {}
func (Wrong) request()       {}

// Response is what a client is told. One without anything but credit is a heartbeat.
type Response struct {
	Credit     uint32            // that remains
	Ready      *Ready            // the stream has begun
	Deliveries []delivery.Handed // events to deal with; not to be kept after Send
	Settled    []Settled

	size int // of Deliveries on the wire, 0 when it is not known
}

// Ready is what a stream has become.
type Ready struct {
	Subscription string // "namespace/name"
	Topic        string // as well
	MaxMessages  uint32
	AckDeadline  time.Duration
	Others       uint32 // other receivers at this sidecar: streams, and the service that is pushed to
}

// Settled is what a settlement or an extension came to: Err is nil when it took effect.
type Settled struct {
	Token string
	Err   error
}

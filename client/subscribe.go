package client

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
)

// drainTimeout bounds how long a stream that stops waits for its sidecar to take the
// last settlements, or to give the last answers.
const drainTimeout = 3 * time.Second

// maxReason is how many bytes of a reason the sidecar takes.
const maxReason = 200

// Handler works on one delivery. Nil acknowledges it. An error makes it come again
// after the subscription's backoff, or after RetryAfter, while attempts are left; one
// of Reject dead-letters it at once. The error's text is the reason that dead letters
// show, cut to 200 bytes.
//
// ctx carries the trace context of the delivery and ends with its stream: the outcome
// could not be reported any more, and the event comes again. It does not end with the
// context of Subscribe, so that what is under way is settled. An event may come twice,
// with the same source and id. A panic is not recovered.
type Handler func(ctx context.Context, delivery *eventsv1.Delivery) error

// decided is a handler's error that says more than "again".
type decided struct {
	error
	outcome eventsv1.Outcome
	after   time.Duration
}

// Unwrap returns the cause.
func (d *decided) Unwrap() error { return d.error }

// Reject makes a Handler dead-letter its delivery: no later attempt could succeed. It
// returns nil for nil.
func Reject(err error) error {
	if err == nil {
		return nil
	}
	return &decided{error: err, outcome: eventsv1.Outcome_OUTCOME_DEAD_LETTER}
}

// RetryAfter makes a Handler's delivery come again after a delay, which the sidecar
// rounds up to one of the subscription's backoff. A delay of 0 or less leaves it to the
// subscription. It returns nil for a nil error, whatever the delay.
func RetryAfter(delay time.Duration, err error) error {
	if err == nil {
		return nil
	}
	return &decided{error: err, outcome: eventsv1.Outcome_OUTCOME_RETRY, after: delay}
}

// settlementOf turns what a handler returned into the API's words.
func settlementOf(token string, err error) *eventsv1.Settlement {
	s := &eventsv1.Settlement{Token: token, Outcome: eventsv1.Outcome_OUTCOME_ACK}
	if err == nil {
		return s
	}
	s.Outcome = eventsv1.Outcome_OUTCOME_RETRY
	s.Reason = strings.ToValidUTF8(err.Error(), "?")
	if len(s.Reason) > maxReason {
		s.Reason = strings.ToValidUTF8(s.Reason[:maxReason], "")
	}
	var d *decided
	if errors.As(err, &d) {
		s.Outcome = d.outcome
		if d.after > 0 {
			s.RetryAfter = durationpb.New(d.after)
		}
	}
	return s
}

// SubscribeOptions tune a Subscribe. The zero value is ready to use.
type SubscribeOptions struct {
	// Window bounds the deliveries held at once, all of them in handlers; 0 means 64.
	// Deliveries of one key come one after the other when the subscription has
	// ordering PerKey, so that several handlers keep that order; without it, only a
	// window of 1 keeps any.
	Window uint32
	// Backoff before the first reconnection; it doubles up to 20 times that, with
	// jitter. 0 means 100 ms.
	Backoff time.Duration
	// Ready is called each time the stream is open and the subscription consumed; nil
	// means that nobody wants to know.
	Ready func(*eventsv1.SubscribeReady)
	// Lost is told of each stream that ended, why, and how long until the next; nil
	// means that nobody wants to know.
	Lost func(err error, again time.Duration)
	// Ineffective is told of each settlement that came too late: the event comes
	// again unless it was settled before. Nil means that nobody wants to know.
	Ineffective func(*Error)
}

// Subscribe keeps a subscription open and calls handle for each delivery, at most
// Window at once, each on a goroutine of its own. The name is "billing" in the
// service's own namespace, or "shop/billing". A stream that breaks is opened again
// after a backoff, and a subscription that is not there is waited for, because it may
// be declared later. The callbacks of the options are called by Subscribe's goroutine,
// one at a time, and hold up the stream.
//
// When ctx ends, Subscribe takes no more deliveries, waits for the handlers under way,
// reports their outcomes and returns nil. It returns an *Error when the sidecar refuses
// the subscription in a way that a repetition cannot change.
func (c *Client) Subscribe(ctx context.Context, subscription string, handle Handler, o SubscribeOptions) error {
	if o.Window == 0 {
		o.Window = 64
	}
	s := &subscriber{SubscribeOptions: o, client: c, subscription: subscription, handle: handle}
	wait := newBackoff(o.Backoff)
	for ctx.Err() == nil {
		opened, err := s.openAndServe(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it was to end
		}
		if errors.Is(err, io.EOF) {
			err = errEnded
		}
		failure := Explain(err, opened)
		if failure.refused() {
			return failure
		}
		if opened {
			wait.Reset()
		}
		delay := max(wait.NextBackOff(), failure.RetryAfter)
		if s.Lost != nil {
			s.Lost(failure, delay)
		}
		_ = sleep(ctx, delay) // the loop looks whether ctx ended
	}
	return nil
}

// errEnded is the end of a stream that the sidecar chose.
var errEnded = errors.New("the sidecar ended the stream")

// refused reports that another stream would fare no better.
func (e *Error) refused() bool {
	switch e.Code {
	case codes.InvalidArgument, codes.PermissionDenied, codes.Unauthenticated, codes.Unimplemented:
		return true
	default:
		return false
	}
}

// subscriber opens one stream after the other.
type subscriber struct {
	SubscribeOptions
	client       *Client
	subscription string
	handle       Handler
}

// openAndServe lives as long as one stream. It reports whether the sidecar said
// ready.
func (s *subscriber) openAndServe(ctx context.Context) (opened bool, err error) {
	// The stream outlives ctx: handlers at work shall be able to settle.
	streamCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	opening := context.AfterFunc(ctx, cancel) // else it would wait for a sidecar that is away
	stream, err := s.client.api.Subscribe(streamCtx)
	if err != nil {
		return false, err
	}
	opening()
	if err := stream.Send(s.init()); err != nil {
		_, err = stream.Recv() // Send knows that the stream broke, Recv knows why
		return false, err
	}
	return newSession(s, stream, cancel).serve(ctx)
}

func (s *subscriber) init() *eventsv1.SubscribeRequest {
	return &eventsv1.SubscribeRequest{Request: &eventsv1.SubscribeRequest_Init{Init: &eventsv1.SubscribeInit{
		Subscription:           s.subscription,
		MaxOutstandingMessages: s.Window,
		InitialCredit:          s.Window,
	}}}
}

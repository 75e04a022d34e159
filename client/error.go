package client

import (
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Unreachable is the Reason of a call that no sidecar answered: there was no
// connection, so nothing was sent.
const Unreachable = "UNREACHABLE"

// domain of the sidecar's ErrorInfo.
const domain = "warrenmesh.io"

// Outcome says what a failed publish did.
type Outcome int

// Outcomes of a failed call.
const (
	// Unsaid: nothing was said about an event; the call was not about one, or never
	// left this process.
	Unsaid Outcome = iota
	// NotSent: the broker does not have the event. It may be repeated.
	NotSent
	// Unknown: the broker may have the event. Repeat it with the same id: a consumer
	// may see it twice.
	Unknown
	// Failed: the broker certainly does not have the event, and repeating it helps
	// only after the cause is removed.
	Failed
)

var outcomes = [...]string{Unsaid: "", NotSent: "not_sent", Unknown: "unknown", Failed: "failed"}

// String returns the word of the API, such as "not_sent"; "" for Unsaid.
func (o Outcome) String() string {
	if o < 0 || int(o) >= len(outcomes) {
		return fmt.Sprintf("Outcome(%d)", int(o))
	}
	return outcomes[o]
}

// Violation is what is wrong with a field of a request.
type Violation struct {
	Field       string // "event.id"
	Description string
}

// Error is a failed call of the event API. status.Code and status.Convert read it as
// they read the error of gRPC that it wraps.
type Error struct {
	// Code of gRPC.
	Code codes.Code
	// Reason in the words of the API, such as "CONFIRM_TIMEOUT", or Unreachable. ""
	// when the sidecar did not make the error.
	Reason string
	// Outcome says whether the broker may have the event.
	Outcome Outcome
	// Message is for developers, in English.
	Message string
	// RetryAfter is what the sidecar asks to wait before a repetition; 0 when it asks
	// for nothing.
	RetryAfter time.Duration
	// Violations are the fields of the request that are invalid.
	Violations []Violation

	cause error
}

// Error names code and reason before the message.
func (e *Error) Error() string {
	text := e.Code.String()
	if e.Reason != "" {
		text += " " + e.Reason
	}
	return text + ": " + e.Message
}

// Unwrap returns gRPC's error.
func (e *Error) Unwrap() error { return e.cause }

// Repeatable reports whether the same event, with the same id, may be published again
// and may then be confirmed: sidecar or broker are away, no answer came in time, or
// the sidecar asks to come back later.
func (e *Error) Repeatable() bool {
	switch e.Code {
	case codes.Unavailable, codes.DeadlineExceeded:
		return true
	case codes.ResourceExhausted:
		return e.Reason != "" || e.RetryAfter > 0 // else it is gRPC's own: the message is too large
	default:
		return false
	}
}

// Explain reads the error of a call of the generated client. Reached tells whether the
// call had a connection: without one nothing was sent, with one and no word from the
// sidecar the outcome is unknown. Explain returns nil for nil.
func Explain(err error, reached bool) *Error {
	if err == nil {
		return nil
	}
	st := status.Convert(err)
	e := &Error{Code: st.Code(), Message: st.Message(), cause: err}
	for _, detail := range st.Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			if d.GetDomain() == domain {
				e.Reason, e.Outcome = d.GetReason(), outcomeOf(d.GetMetadata()["outcome"])
			}
		case *errdetails.RetryInfo:
			e.RetryAfter = d.GetRetryDelay().AsDuration()
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				e.Violations = append(e.Violations, Violation{Field: v.GetField(), Description: v.GetDescription()})
			}
		}
	}
	if e.Reason == "" {
		e.guess(reached)
	}
	return e
}

// guess says what an error tells that no sidecar made.
func (e *Error) guess(reached bool) {
	silent := e.Code == codes.Unavailable || e.Code == codes.DeadlineExceeded
	switch {
	case !reached && silent:
		e.Reason, e.Outcome = Unreachable, NotSent
	case !reached:
		e.Outcome = NotSent
	case silent || e.Code == codes.Canceled:
		e.Outcome = Unknown
	}
}

func outcomeOf(word string) Outcome {
	for o, w := range outcomes {
		if w == word {
			return Outcome(o)
		}
	}
	return Unsaid
}

// errorOf is Explain for a return value: a nil *Error in an error is not nil.
func errorOf(err error, reached bool) error {
	if err == nil {
		return nil
	}
	return Explain(err, reached)
}

package broker

import (
	"errors"
	"fmt"
)

// ErrStale says that a delivery's channel is gone, or the delivery was settled
// before. Nothing was sent to the broker.
var ErrStale = errors.New("delivery belongs to a closed channel or is settled")

// ErrTooManyLetters says that more letters must stay than can be read past.
var ErrTooManyLetters = errors.New("there are more letters than can be read past")

// Kind classifies what went wrong with a broker operation.
type Kind int

// The kinds.
const (
	Unavailable    Kind = iota + 1 // no connection; nothing was written
	Blocked                        // the broker raised an alarm; nothing was written
	WindowFull                     // ctx ended while waiting for a place in the window
	Unroutable                     // returned: no queue takes it
	Nacked                         // basic.nack
	ConfirmTimeout                 // no confirm in time
	Closed                         // channel or connection lost before the confirm
	NotFound                       // exchange or queue does not exist
	Refused                        // access refused
	Conflict                       // exists with other properties
	TooLarge                       // over a size limit; nothing was written
	Invalid                        // cannot be expressed on this broker; nothing was written
)

var kindNames = [...]string{
	Unavailable: "unavailable", Blocked: "blocked", WindowFull: "window-full", Unroutable: "no-route",
	Nacked: "nack", ConfirmTimeout: "confirm-timeout", Closed: "connection-lost", NotFound: "not-found",
	Refused: "access-refused", Conflict: "precondition-failed", TooLarge: "content-too-large", Invalid: "invalid",
}

// String returns the kind's low-cardinality name, used as error.type in telemetry.
func (k Kind) String() string {
	if k >= Unavailable && int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("Kind(%d)", int(k))
}

// Outcome says what is known about a publish that did not succeed.
type Outcome int

// The outcomes.
const (
	NotSent Outcome = iota // nothing reached the broker; safe to repeat
	Unknown                // the broker may have it; repeat with the same id
	Failed                 // the broker certainly does not have it
)

// String returns the spelling used in error metadata.
func (o Outcome) String() string {
	switch o {
	case Unknown:
		return "unknown"
	case Failed:
		return "failed"
	default:
		return "not_sent"
	}
}

// Error is the one error type drivers return for broker operations.
type Error struct {
	Kind    Kind
	Outcome Outcome
	Op      string // what was tried: `publish to exchange "orders"`
	Err     error  // cause, may be nil
}

// Error implements error.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Op + ": " + e.Kind.String()
	}
	return fmt.Sprintf("%s: %s: %v", e.Op, e.Kind, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ErrorType is read by OpenTelemetry's semconv.ErrorType.
func (e *Error) ErrorType() string { return e.Kind.String() }

// KindOf returns the kind of the *Error in err's chain, 0 when there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return 0
}

// Never reports whether err says that a message cannot be published as it is, however
// often that is tried.
func Never(err error) bool {
	kind := KindOf(err)
	return kind == TooLarge || kind == Invalid
}

// OutcomeOf returns what err says about a publish. An error without
// classification is Unknown: claiming less than that would be a guess.
func OutcomeOf(err error) Outcome {
	var e *Error
	if errors.As(err, &e) {
		return e.Outcome
	}
	return Unknown
}

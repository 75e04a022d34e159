// Package refusal says why a request was refused, independent of the protocol. Rooms
// return refusals and doors translate them: proxy/door/rpcerr into gRPC's codes and
// details. The reasons are listed here and nowhere else.
//
// Every refusal says what happened to the event: Unknown (the broker may have it:
// repeat it with the same id), NotSent (nothing was written) or Failed (it was
// written, and the broker certainly does not have it).
//
// An Error is read-only once it is made, and safe for concurrent use.
package refusal

import (
	"errors"
	"time"

	"github.com/warrenmesh/warren/internal/clip"
	"github.com/warrenmesh/warren/proxy/broker"
)

// Class is the kind of a refusal: who has to act, and whether to try again.
type Class int

// The classes.
const (
	Internal     Class = iota // a bug in Warren
	Invalid                   // the request can never succeed
	NotFound                  // a named object does not exist
	Precondition              // something else must change first
	Denied                    // the broker does not allow it
	Exhausted                 // a limit is reached: try again, more slowly
	Unavailable               // try again
	Deadline                  // the deadline passed
)

// Reasons, as callers read them.
const (
	InvalidEvent        = "INVALID_EVENT"
	InvalidRequest      = "INVALID_REQUEST"
	EventExpired        = "EVENT_EXPIRED"
	EventTooLarge       = "EVENT_TOO_LARGE"
	TopicNotFound       = "TOPIC_NOT_FOUND"
	SubscriptionUnknown = "SUBSCRIPTION_NOT_FOUND"
	ExchangeNotFound    = "EXCHANGE_NOT_FOUND"
	Unroutable          = "UNROUTABLE"
	TopologyConflict    = "TOPOLOGY_CONFLICT"
	AccessRefused       = "BROKER_ACCESS_REFUSED"
	BufferFull          = "BUFFER_FULL"
	TooManyStreams      = "TOO_MANY_STREAMS"
	BrokerBlocked       = "BROKER_BLOCKED"
	BrokerUnavailable   = "BROKER_UNAVAILABLE"
	ConfigNotReady      = "CONFIG_NOT_READY"
	Draining            = "DRAINING"
	ConfirmTimeout      = "CONFIRM_TIMEOUT"
	ConnectionLost      = "CONNECTION_LOST"
	PublishNacked       = "PUBLISH_NACKED"
	DeadlineNear        = "DEADLINE_NEAR"
	SubscriptionChanged = "SUBSCRIPTION_CHANGED"
	AckIDInvalid        = "ACK_ID_INVALID"
)

// internal is the reason of an unexpected error.
const internal = "INTERNAL"

// retryDelay is how long a caller should wait before it tries again. It is short,
// because the sidecar reconnects within milliseconds once the broker is back.
const retryDelay = 200 * time.Millisecond

// Error is a refusal.
type Error struct {
	Class  Class
	Reason string // one of the constants; "" when only operators see the error
	Text   string // for people
	// Outcome says what happened to the event. It means nothing when Eventless is set: then
	// no event was being published.
	Outcome   broker.Outcome
	Eventless bool
	// RetryAfter is how long to wait before trying again; zero means that nothing is
	// known.
	RetryAfter time.Duration

	// Field is the field of the request that is wrong, and FieldText why; "" for none.
	Field, FieldText string
	// ResourceType and Resource name what does not exist; "" for nothing.
	ResourceType, Resource string
	// Violated is what could not be routed, of an Unroutable; "" otherwise.
	Violated string
	// Limit is set when the sidecar itself is at one of its limits.
	Limit bool
	// Shared marks one of a few fixed values. A door may cache its translation.
	Shared bool
}

// Error implements error.
func (e *Error) Error() string { return e.Text }

// ErrorType is the low-cardinality name that telemetry uses.
func (e *Error) ErrorType() string { return e.Reason }

// Field refuses a request because of one of its fields; nothing was sent.
func Field(reason, field, description string) error {
	return &Error{
		Class: Invalid, Reason: reason, Text: field + ": " + description, Outcome: broker.NotSent,
		Field: field, FieldText: description,
	}
}

// Missing refuses a request because an object that it names does not exist; nothing
// was sent.
func Missing(reason, resourceType, name, text string) error {
	return &Error{
		Class: NotFound, Reason: reason, Text: text, Outcome: broker.NotSent, ResourceType: resourceType, Resource: name,
	}
}

// Later asks the caller to try again; nothing was sent.
func Later(reason, text string) error {
	return &Error{Class: Unavailable, Reason: reason, Text: text, Outcome: broker.NotSent, RetryAfter: retryDelay}
}

// Full refuses a request because the sidecar is at a limit; nothing was sent.
func Full(reason, text string) error {
	return &Error{Class: Exhausted, Reason: reason, Text: text, Outcome: broker.NotSent, RetryAfter: retryDelay, Limit: true}
}

// Late is the answer shortly before the caller's own deadline.
func Late(o broker.Outcome, text string) error {
	return &Error{Class: Deadline, Reason: DeadlineNear, Text: text, Outcome: o}
}

// Clip bounds how much of a caller's name a refusal repeats: doors put refusals into
// headers.
func Clip(name string) string {
	const most = 64
	if len(name) <= most {
		return name
	}
	return clip.String(name, most) + "…"
}

// Of returns the refusal in err's chain, nil when there is none.
func Of(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return nil
}

// Reason returns the reason of the refusal in err's chain, "" when there is none.
func Reason(err error) string {
	if e := Of(err); e != nil {
		return e.Reason
	}
	return ""
}

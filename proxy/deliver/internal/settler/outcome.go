package settler

import (
	"time"

	"github.com/warrenmesh/warren/internal/clip"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/deliver/delivery"
	"github.com/warrenmesh/warren/proxy/event"
)

// Reasons a dead letter carries.
const (
	ReasonInvalidEvent = "invalid-event"      // the message is no event
	ReasonExhausted    = "attempts-exhausted" // the last attempt failed
	ReasonRejected     = "rejected"           // the service said so
	ReasonAckDeadline  = "ack-deadline"       // the last attempt was never settled
	reasonTooLarge     = "too-large"          // the message cannot be read, or not be copied
	reasonElapsed      = "retries-elapsed"    // its key has waited for it long enough
	reasonKeyHeld      = "key-held"           // an event of its key before it is a dead letter
)

// Outcome is what is to be done with a delivery.
type Outcome struct {
	Kind   event.Outcome
	After  time.Duration // with retry: the service's wish, 0 for none
	Reason string        // of the dead letter, should it become one
	Detail string        // the service's words
	begun  time.Time     // when it was handed out
}

// Judged is what becomes of d by o: what has expired is not tried again.
func (o Outcome) Judged(d *delivery.Delivery) Outcome {
	if o.Kind == event.Retry && d.Expired() {
		o.Kind, o.Reason, o.Detail = event.DeadLetter, broker.ReasonExpired, d.ExpiryText()
	}
	return o
}

// why says why a delivery was refused, for people. The reason of the dead letter
// is told only of one.
func (o Outcome) why(effect string) string {
	switch {
	case effect != effectDeadLetter:
		return o.Detail
	case o.Detail == "":
		return o.Reason
	default:
		return o.Reason + ": " + o.Detail
	}
}

// Err is a negative outcome as telemetry sees it.
func (o Outcome) Err() error { return handlerError{o.Reason, o.Detail} }

// handlerError is a service's negative outcome, as telemetry sees it.
type handlerError struct{ reason, detail string }

func (e handlerError) Error() string     { return e.reason + ": " + e.detail }
func (e handlerError) ErrorType() string { return "handler-error" }

// Clip is what is kept of a service's words, or of an id.
func Clip(s string) string { return clip.String(s, maxReason) }

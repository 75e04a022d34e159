package deliver

import (
	"strings"
	"time"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/deliver/delivery"
	"github.com/warrenmesh/warren/proxy/event"
)

// Reasons a dead letter carries.
const (
	reasonInvalidEvent = "invalid-event"      // the message is no event
	reasonExhausted    = "attempts-exhausted" // the last attempt failed
	reasonRejected     = "rejected"           // the service said so
	reasonAckDeadline  = "ack-deadline"       // the last attempt was never settled
	reasonTooLarge     = "too-large"          // the message cannot be read, or not be copied
	reasonElapsed      = "retries-elapsed"    // its key has waited for it long enough
	reasonKeyHeld      = "key-held"           // an event of its key before it is a dead letter
)

// outcome is what is to be done with a delivery.
type outcome struct {
	kind   event.Outcome
	after  time.Duration // with retry: the service's wish, 0 for none
	reason string        // of the dead letter, should it become one
	detail string        // the service's words
	begun  time.Time     // when it was handed out
}

// judged is what becomes of d by o: what has expired is not tried again.
func judged(d *delivery.Delivery, o outcome) outcome {
	if o.kind == event.Retry && d.Expired() {
		o.kind, o.reason, o.detail = event.DeadLetter, broker.ReasonExpired, d.ExpiryText()
	}
	return o
}

// why says why a delivery was refused, for people. The reason of the dead letter
// is told only of one.
func (o outcome) why(effect string) string {
	switch {
	case effect != effectDeadLetter:
		return o.detail
	case o.detail == "":
		return o.reason
	default:
		return o.reason + ": " + o.detail
	}
}

// handlerError is a service's negative outcome, as telemetry sees it.
type handlerError struct{ reason, detail string }

func (e handlerError) Error() string     { return e.reason + ": " + e.detail }
func (e handlerError) ErrorType() string { return "handler-error" }

func clip(s string) string { return clipTo(s, maxReason) }

func clipTo(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "")
}

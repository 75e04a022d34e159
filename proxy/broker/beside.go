package broker

import "time"

// Header is a header beside the event: one that is neither an attribute nor a
// broker's, nor Warren's own. Value is a bool, int64, float64, string, []byte,
// time.Time, nil, []any of such values, or []Header. It is what people see: in a copy
// the header has its own type, whatever that is.
type Header struct {
	Name  string
	Value any
}

// TraceContext is the W3C trace context of one hop; empty strings mean absent.
type TraceContext struct {
	Parent  string // traceparent
	State   string // tracestate
	Baggage string
}

// Origin is a place where events are published, as its broker names it: with AMQP an
// exchange and a routing key.
type Origin struct {
	Name string
	Key  string
}

// Reasons of dead letters that a broker makes by itself.
const (
	ReasonSetAside      = "set-aside"      // it could not be read or copied
	ReasonExpired       = "expired"        // its TTL, or one of a policy
	ReasonMaxLength     = "max-length"     // pushed out of a queue that was full
	ReasonDeliveryLimit = "delivery-limit" // taken back too often
)

// DeadLetter says where a dead letter comes from and why it is one.
type DeadLetter struct {
	Reason       string // low-cardinality: rejected, attempts-exhausted, ack-deadline, invalid-event
	Detail       string // the service's words, at most 200 bytes
	Subscription string // "namespace/name"
	Origin       Origin // where the event was first published
	Attempts     uint32
	FirstFailure time.Time // when its first attempt failed; zero when there was none
	Time         time.Time // when it was given up
	// Cut says what the broker does not take in one message and was left out, in words;
	// "" when the letter is whole. The driver cuts, and says so, on its own.
	Cut string
	// Part is the part of the subscription that gave the message up, in a letter that the
	// broker made; "" where that is not known, and in those that Warren makes.
	Part string
}

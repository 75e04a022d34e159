package messaging

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/warrenmesh/warren/tracing/conventions"
	"github.com/warrenmesh/warren/tracing/tracecontext"
)

// Span is one stage of an event's way. It is a small value to pass on by copy; the
// zero value records nothing.
type Span struct {
	span       trace.Span // nil when nothing is recorded
	hop        tracecontext.Hop
	processing bool
}

// Hop is what the message's headers must bear. Only spans of StartPublish have
// one; without an exporter it is the context that came in.
func (s Span) Hop() tracecontext.Hop { return s.hop }

// Recording reports whether what is said to the span is kept.
func (s Span) Recording() bool { return s.span != nil && s.span.IsRecording() }

// Attempt records that try number n, 1 being the first, failed with err and
// another follows. A retry is an event of its span, never a span of its own.
func (s Span) Attempt(n int, err error) {
	if !s.Recording() {
		return
	}
	kvs := []attribute.KeyValue{keyAttempt.Int(n)}
	if err != nil {
		kvs = append(kvs, conventions.KeyErrorType.String(conventions.ErrorType(err, s.otherwise())))
	}
	s.span.AddEvent(eventAttempt, trace.WithAttributes(kvs...))
}

// SetServerAddress says which node, host:port as configured, is talked to now;
// the last call counts.
func (s Span) SetServerAddress(hostport string) {
	if !s.Recording() {
		return
	}
	kvs := appendAddress(nil, keyServerAddress, keyServerPort, hostport)
	if !s.processing {
		kvs = appendNode(kvs, hostport)
	}
	s.span.SetAttributes(kvs...)
}

// SetOutcome records what became of a delivery: ack, retry, dead-letter.
func (s Span) SetOutcome(outcome string) {
	if s.Recording() {
		s.span.SetAttributes(keyOutcome.String(outcome))
	}
}

// End ends the span, failed if err is not nil. error.type is what the first
// ErrorType() string in err's chain says; timeouts are "timeout", other errors
// "handler-error" on process spans and "_OTHER" elsewhere. Once is enough; later
// calls do nothing.
func (s Span) End(err error) {
	if s.span == nil {
		return
	}
	conventions.End(s.span, err, s.otherwise())
}

// otherwise is error.type of what has no name.
func (s Span) otherwise() string {
	if s.processing {
		return conventions.ErrorHandler
	}
	return conventions.ErrorOther
}

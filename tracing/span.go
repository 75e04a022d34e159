package tracing

import (
	"context"
	"errors"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	grpccodes "google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// maxDescription bounds a span's status text in bytes.
const maxDescription = 256

// Values of error.type that no error of ours names itself. The others are the
// broker's: no-route, nack, confirm-timeout, connection-lost, unavailable, blocked,
// window-full, not-found, access-refused, precondition-failed, content-too-large,
// invalid.
const (
	errorTimeout = "timeout"
	// ErrorHandler is an event the service did not take.
	ErrorHandler = "handler-error"
	// ErrorOther is everything that has no name.
	ErrorOther = "_OTHER"
)

// Span is one stage of an event's way. It is a small value to pass on by copy; the
// zero value records nothing.
type Span struct {
	span       trace.Span // nil when nothing is recorded
	hop        Hop
	processing bool
}

// Hop is what the message's headers must bear. Only spans of StartPublish have
// one; without an exporter it is the context that came in.
func (s Span) Hop() Hop { return s.hop }

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
		kvs = append(kvs, KeyErrorType.String(s.errorType(err)))
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
	if err != nil && s.span.IsRecording() {
		s.span.SetAttributes(KeyErrorType.String(s.errorType(err)))
		s.span.SetStatus(codes.Error, describe(err))
	}
	s.span.End()
}

func (s Span) errorType(err error) string {
	if s.processing {
		return ErrorType(err, ErrorHandler)
	}
	return ErrorType(err, ErrorOther)
}

// ErrorType returns the value of error.type for err, of low cardinality: what the
// first ErrorType() string in its chain says, "timeout" for a deadline, else
// otherwise.
func ErrorType(err error, otherwise string) string {
	var typed interface{ ErrorType() string }
	switch {
	case errors.As(err, &typed):
		return typed.ErrorType()
	case errors.Is(err, context.DeadlineExceeded), status.Code(err) == grpccodes.DeadlineExceeded:
		return errorTimeout
	default:
		return otherwise
	}
}

// describe cuts err's text to what a span may hold, in valid UTF-8: exporters
// refuse a whole batch for one bad string.
func describe(err error) string {
	text := err.Error()
	if len(text) > maxDescription {
		text = text[:maxDescription]
	}
	return strings.ToValidUTF8(text, "")
}

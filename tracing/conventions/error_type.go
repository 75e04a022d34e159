package conventions

import (
	"context"
	"errors"
	"strings"

	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	grpccodes "google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// KeyErrorType is the key of what an operation failed with.
const KeyErrorType = semconv.ErrorTypeKey

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

// maxDescription bounds a span's status text in bytes.
const maxDescription = 256

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

// End ends span, failed if err is not nil: error.type is ErrorType of err and
// otherwise, and the status has err's text, at most 256 bytes of it.
func End(span trace.Span, err error, otherwise string) {
	if err != nil && span.IsRecording() {
		span.SetAttributes(KeyErrorType.String(ErrorType(err, otherwise)))
		span.SetStatus(codes.Error, describe(err))
	}
	span.End()
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

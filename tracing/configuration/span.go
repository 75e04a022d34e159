package configuration

import (
	"go.opentelemetry.io/otel/trace"

	"github.com/warrenmesh/warren/tracing/conventions"
	"github.com/warrenmesh/warren/tracing/tracecontext"
)

// Span is one stage of a change's way. It is a small value to pass on by copy; the zero
// value records nothing.
type Span struct {
	span trace.Span // nil when nothing is recorded
	hop  tracecontext.Hop
}

// Hop is what the next stage's span has as its parent; the zero value when nothing is
// recorded.
func (s Span) Hop() tracecontext.Hop { return s.hop }

// SetMeshVersion records which version a change became.
func (s Span) SetMeshVersion(version string) {
	if s.span != nil && s.span.IsRecording() {
		s.span.SetAttributes(keyMeshVersion.String(version))
	}
}

// End ends the span, failed if err is not nil; error.type is what conventions.ErrorType
// says, else "_OTHER". Once is enough; later calls do nothing.
func (s Span) End(err error) {
	if s.span == nil {
		return
	}
	conventions.End(s.span, err, conventions.ErrorOther)
}

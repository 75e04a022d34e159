package environment

import (
	"strings"

	"go.opentelemetry.io/contrib/propagators/b3"
	"go.opentelemetry.io/otel/propagation"

	"github.com/warrenmesh/warren/tracing/tracecontext"
)

// Propagator reads OTEL_PROPAGATORS; tracecontext.W3C when it is not set.
func (r *Reader) Propagator() propagation.TextMapPropagator {
	names := r.list("OTEL_PROPAGATORS")
	if len(names) == 0 {
		return tracecontext.W3C()
	}
	var parts []propagation.TextMapPropagator
	for _, name := range names {
		switch strings.ToLower(name) {
		case "tracecontext":
			parts = append(parts, propagation.TraceContext{})
		case "baggage":
			parts = append(parts, propagation.Baggage{})
		case "b3":
			parts = append(parts, b3.New(b3.WithInjectEncoding(b3.B3SingleHeader)))
		case "b3multi":
			parts = append(parts, b3.New(b3.WithInjectEncoding(b3.B3MultipleHeader)))
		case "none":
			return propagation.NewCompositeTextMapPropagator()
		default:
			r.fail("OTEL_PROPAGATORS", name, "tracecontext, baggage, b3, b3multi or none")
		}
	}
	return propagation.NewCompositeTextMapPropagator(parts...)
}

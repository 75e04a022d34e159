// Package tracing carries one trace through every hop of an event and sets up
// OpenTelemetry from the standard OTEL_* variables.
//
// It owns the tracer provider, the meter provider and the gRPC handlers that trace and
// measure calls, and it measures the process itself: build and Go runtime. Other
// instruments belong to the packages that measure. Only programs, and the packages that
// put a control plane or a sidecar together, import it; what is below them gets a
// Tracer of messaging or configuration. Its parts:
//
//	messaging      spans of events, and the words of the messaging conventions
//	configuration  spans of a change of configuration
//	tracecontext   the trace context in headers, entries of streams, calls and logs
//	conventions    scope, keys and error types that spans and metrics share
//	internal/environment  what the OTEL_* variables say
//	internal/sampling     which spans are recorded, before they are made
//	internal/export       how spans and metrics leave the process
//	tracingtest    spans in memory, for tests
//
// Arrows point down: tracing imports all of them but tracingtest; messaging and
// configuration import tracecontext and conventions, which import nothing of Warren's;
// export imports environment. No part imports any other package of Warren.
//
// Spans have the service.name of the service beside the sidecar and the attribute
// warren.component, so that a dependency graph shows service to service.
//
// A Provider is safe for concurrent use.
//
//	p, err := tracing.Setup(ctx, tracing.Options{ServiceName: "checkout", Component: "sidecar"})
//	defer p.Shutdown(context.Background())
//	mux.Handle("GET /metrics", p.MetricsHandler())
//	ctx, span := p.Messaging().StartPublish(ctx, messaging.Publish{Topic: "orders", ...})
package tracing

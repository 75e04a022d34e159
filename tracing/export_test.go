package tracing

import "go.opentelemetry.io/otel/propagation"

// Propagator is what gRPC calls pass trace context by.
func (p *Provider) Propagator() propagation.TextMapPropagator { return p.propagator }

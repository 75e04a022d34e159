package tracing

import (
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/grpc/stats"
)

// Propagator is what gRPC calls pass trace context by.
func (p *Provider) Propagator() propagation.TextMapPropagator { return p.propagator }

// LibraryHandler is the ServerHandler of otelgrpc, which that of a Provider stands in for.
func (p *Provider) LibraryHandler() stats.Handler {
	return otelgrpc.NewServerHandler(append(p.handlerOptions(), otelgrpc.WithPublicEndpointFn(fromElsewhere))...)
}

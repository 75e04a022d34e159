package tracecontext

import (
	"context"

	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
)

// ServerHandler takes the caller's trace context over, and records and measures
// nothing. A call without one is left as it is.
func ServerHandler(propagator propagation.TextMapPropagator) stats.Handler {
	return extractHandler{propagator: propagator}
}

// ClientHandler passes the trace context of a call's ctx on, and records and measures
// nothing.
func ClientHandler(propagator propagation.TextMapPropagator) stats.Handler {
	return injectHandler{propagator: propagator}
}

// extractHandler takes the caller's trace context over without recording.
type extractHandler struct {
	silent
	propagator propagation.TextMapPropagator
}

// TagRPC implements stats.Handler.
func (h extractHandler) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context {
	md, ok := metadata.FromIncomingContext(ctx)
	if !ok {
		return ctx
	}
	return h.propagator.Extract(ctx, metadataCarrier(md))
}

// injectHandler passes the trace context of ctx on without recording.
type injectHandler struct {
	silent
	propagator propagation.TextMapPropagator
}

// TagRPC implements stats.Handler.
func (h injectHandler) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context {
	added := metadata.MD{}
	h.propagator.Inject(ctx, metadataCarrier(added))
	if len(added) == 0 {
		return ctx
	}
	md, _ := metadata.FromOutgoingContext(ctx) // a copy
	if md == nil {
		return metadata.NewOutgoingContext(ctx, added)
	}
	for key, values := range added {
		md[key] = values
	}
	return metadata.NewOutgoingContext(ctx, md)
}

// silent is the part of a stats.Handler that has nothing to do here.
type silent struct{}

// HandleRPC implements stats.Handler.
func (silent) HandleRPC(context.Context, stats.RPCStats) {}

// TagConn implements stats.Handler.
func (silent) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn implements stats.Handler.
func (silent) HandleConn(context.Context, stats.ConnStats) {}

// metadataCarrier lets OpenTelemetry's propagators read and write gRPC metadata.
type metadataCarrier metadata.MD

// Get implements propagation.TextMapCarrier.
func (c metadataCarrier) Get(key string) string {
	if values := metadata.MD(c).Get(key); len(values) > 0 {
		return values[0]
	}
	return ""
}

// Set implements propagation.TextMapCarrier.
func (c metadataCarrier) Set(key, value string) { metadata.MD(c).Set(key, value) }

// Keys implements propagation.TextMapCarrier.
func (c metadataCarrier) Keys() []string {
	keys := make([]string, 0, len(c))
	for key := range c {
		keys = append(keys, key)
	}
	return keys
}

package tracing

import (
	"context"
	"net"
	"os"
	"strings"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/stats"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/warrenmesh/warren/tracing/conventions"
	"github.com/warrenmesh/warren/tracing/tracecontext"
)

// untraced are prefixes of gRPC methods that get neither span nor measurement: probes,
// tools, and streams. A stream lives for hours, so nobody would see its span end.
var untraced = [...]string{
	"/grpc.health.",
	"/grpc.reflection.",
	"/grpc.channelz.",
	"/warren.events.v1.EventService/Subscribe",
	"/warren.events.v1.EventService/PublishStream",
	"/envoy.service.",
}

// ServerHandler traces and measures a gRPC server's unary calls. A call from another
// host is linked to the caller's trace and does not join it: a remote caller must not
// decide what is sampled. With neither traces nor metrics the handler only takes over
// the caller's context.
func (p *Provider) ServerHandler() stats.Handler {
	if !p.enabled && !p.measures() {
		return tracecontext.ServerHandler(p.propagator)
	}
	if c, err := newCalls(p); err == nil && !asksForOldNames() {
		return c
	}
	return otelgrpc.NewServerHandler(append(p.handlerOptions(), otelgrpc.WithPublicEndpointFn(fromElsewhere))...)
}

// ClientHandler traces and measures a gRPC client's unary calls and passes ctx's
// trace context on. With neither traces nor metrics it only does the latter.
func (p *Provider) ClientHandler() stats.Handler {
	if !p.enabled && !p.measures() {
		return tracecontext.ClientHandler(p.propagator)
	}
	return otelgrpc.NewClientHandler(p.handlerOptions()...)
}

// asksForOldNames reports whether OTEL_SEMCONV_STABILITY_OPT_IN asks for names from before
// the conventions for RPC were stable. otelgrpc writes those, alone or beside the others.
func asksForOldNames() bool {
	for mode := range strings.SplitSeq(os.Getenv("OTEL_SEMCONV_STABILITY_OPT_IN"), ",") {
		if mode = strings.TrimSpace(mode); mode == "rpc/dup" || mode == "rpc/old" {
			return true
		}
	}
	return false
}

func (p *Provider) handlerOptions() []otelgrpc.Option {
	opts := []otelgrpc.Option{
		otelgrpc.WithTracerProvider(p.tracers),
		otelgrpc.WithPropagators(p.propagator),
		otelgrpc.WithMeterProvider(p.MeterProvider()),
		otelgrpc.WithFilter(traced),
	}
	if p.component != "" {
		opts = append(opts, otelgrpc.WithSpanAttributes(conventions.KeyComponent.String(p.component)))
	}
	return opts
}

func traced(info *stats.RPCTagInfo) bool {
	for _, prefix := range untraced {
		if strings.HasPrefix(info.FullMethodName, prefix) {
			return false
		}
	}
	return declared(info.FullMethodName)
}

// declared reports whether this program has the method's description. Callers may ask
// for any name, and each unknown one would make a series of its own.
func declared(fullMethod string) bool {
	service, method, _ := strings.Cut(strings.TrimPrefix(fullMethod, "/"), "/")
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		return false
	}
	s, ok := d.(protoreflect.ServiceDescriptor)
	return ok && s.Methods().ByName(protoreflect.Name(method)) != nil
}

// fromElsewhere reports whether a call came over a network from another host.
func fromElsewhere(ctx context.Context, _ *stats.RPCTagInfo) bool {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return false
	}
	addr, ok := p.Addr.(*net.TCPAddr)
	return ok && !addr.IP.IsLoopback()
}

package tracing

import (
	"context"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/attribute"
	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/rpcconv"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/warrenmesh/warren/tracing/conventions"
)

// calls traces and measures the unary calls of a server, as otelgrpc does, from which it
// has scope, names and attributes. otelgrpc makes attributes, options and an attribute set
// for each call, which was a fifth of what a publish costs a sidecar; here a method has
// them ready, and a call that is not sampled has no span.
type calls struct {
	propagator propagation.TextMapPropagator
	tracer     trace.Tracer
	drop       func(context.Context) (context.Context, bool) // nil when the SDK decides alone
	component  string
	duration   metric.Float64Histogram // nil when nothing is measured

	methods sync.Map // full name → *method, of those this program has the description of
}

// method is what the calls of one method have in common.
type method struct {
	name     string
	begin    []trace.SpanStartOption
	measured [codes.Unauthenticated + 1][]metric.RecordOption // by code
}

func newCalls(p *Provider) (*calls, error) {
	c := &calls{
		propagator: p.propagator, drop: p.drop, component: p.component,
		tracer: p.tracers.Tracer(otelgrpc.ScopeName, trace.WithInstrumentationVersion(otelgrpc.Version)),
	}
	if !p.measures() {
		return c, nil
	}
	meter := p.MeterProvider().Meter(otelgrpc.ScopeName, metric.WithInstrumentationVersion(otelgrpc.Version), metric.WithSchemaURL(semconv.SchemaURL))
	duration, err := rpcconv.NewServerCallDuration(meter, metric.WithExplicitBucketBoundaries(
		0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10))
	c.duration = duration.Inst()
	return c, err
}

// methodOf returns nil for a method without span and measurement.
func (c *calls) methodOf(info *stats.RPCTagInfo) *method {
	if m, ok := c.methods.Load(info.FullMethodName); ok {
		known, _ := m.(*method)
		return known
	}
	if !traced(info) {
		return nil // not kept: callers may ask for any name
	}
	name := strings.TrimPrefix(info.FullMethodName, "/")
	attrs := []attribute.KeyValue{semconv.RPCMethod(name), semconv.RPCSystemNameGRPC}
	m := &method{name: name, begin: []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(conventions.AppendString(slices.Clone(attrs), conventions.KeyComponent, c.component)...),
	}}
	for code := range m.measured {
		m.measured[code] = measuredAs(attrs, codes.Code(code)) //nolint:gosec // small
	}
	c.methods.Store(info.FullMethodName, m)
	return m
}

// measuredAs is what a call that ended with code is measured with.
func measuredAs(attrs []attribute.KeyValue, code codes.Code) []metric.RecordOption {
	attrs = append(slices.Clone(attrs), semconv.RPCResponseStatusCode(canonical(code)))
	if serverFailed(code) {
		attrs = append(attrs, semconv.ErrorTypeKey.String(canonical(code)))
	}
	return []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(attrs...))}
}

// call is the context of a call that is measured.
type call struct {
	context.Context //nolint:containedctx // it is one, and saves one that only has this
	method          *method
	span            trace.Span // nil when it is not recorded
}

type callKey struct{}

// Value implements context.Context.
func (c *call) Value(key any) any {
	if key == (callKey{}) {
		return c
	}
	return c.Context.Value(key)
}

// TagRPC implements stats.Handler.
func (c *calls) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	widen()
	ctx = c.propagator.Extract(ctx, incoming{ctx})
	m := c.methodOf(info)
	if m == nil {
		return ctx
	}
	out := &call{method: m}
	out.Context, out.span = c.begin(ctx, info, m)
	return out
}

// widen makes the stack of a call's new goroutine as large as most calls need it, while there
// is next to nothing on it: this is the first of Warren's code that runs there. Growing in
// the depth of a broker's driver, twice, was an eighth of what a unary publish costs.
//
//go:noinline
func widen() {
	var room stackRoom
	room.touch()
}

type stackRoom [10 << 10]byte

//go:noinline
func (*stackRoom) touch() {}

// begin begins the span of a call.
func (c *calls) begin(ctx context.Context, info *stats.RPCTagInfo, m *method) (context.Context, trace.Span) {
	caller := trace.SpanContextFromContext(ctx)
	elsewhere := fromElsewhere(ctx, info)
	if c.drop != nil {
		from := ctx
		if elsewhere {
			from = trace.ContextWithSpanContext(ctx, trace.SpanContext{})
		}
		decided, dropped := c.drop(from)
		if dropped {
			return decided, nil
		}
		ctx = decided
	}
	begin := m.begin
	if elsewhere {
		begin = append(slices.Clone(begin), trace.WithNewRoot())
		if caller.IsValid() && caller.IsRemote() {
			begin = append(begin, trace.WithLinks(trace.Link{SpanContext: caller}))
		}
	}
	ctx, span := c.tracer.Start(trace.ContextWithRemoteSpanContext(ctx, caller), m.name, begin...)
	if !span.IsRecording() {
		return ctx, nil
	}
	return ctx, span
}

// HandleRPC implements stats.Handler.
func (c *calls) HandleRPC(ctx context.Context, rs stats.RPCStats) {
	switch rs := rs.(type) {
	case *stats.InHeader:
		if of, ok := ctx.Value(callKey{}).(*call); ok && of.span != nil && rs.LocalAddr != nil {
			of.span.SetAttributes(address(rs.LocalAddr.String())...)
		}
	case *stats.End:
		if of, ok := ctx.Value(callKey{}).(*call); ok {
			c.end(ctx, of, rs)
		}
	}
}

// end ends a call.
func (c *calls) end(ctx context.Context, of *call, rs *stats.End) {
	s, _ := status.FromError(rs.Error) // of nil it is OK
	code := s.Code()
	if of.span != nil {
		if serverFailed(code) {
			of.span.SetStatus(otelcodes.Error, s.Message())
		} else if rs.Error != nil {
			of.span.SetStatus(otelcodes.Unset, "")
		}
		of.span.SetAttributes(semconv.RPCResponseStatusCode(canonical(code)))
		of.span.End()
	}
	if c.duration == nil {
		return
	}
	took := rs.EndTime.Sub(rs.BeginTime).Seconds()
	if int(code) < len(of.method.measured) {
		c.duration.Record(ctx, took, of.method.measured[code]...)
		return
	}
	attrs := []attribute.KeyValue{semconv.RPCMethod(of.method.name), semconv.RPCSystemNameGRPC}
	c.duration.Record(ctx, took, measuredAs(attrs, code)...)
}

// TagConn implements stats.Handler.
func (*calls) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn implements stats.Handler.
func (*calls) HandleConn(context.Context, stats.ConnStats) {}

// serverFailed tells the codes that are a server's errors, not its answers (OpenTelemetry's
// conventions for gRPC).
func serverFailed(code codes.Code) bool {
	switch code {
	case codes.Unknown, codes.DeadlineExceeded, codes.Unimplemented, codes.Internal, codes.Unavailable, codes.DataLoss:
		return true
	default:
		return false
	}
}

// canonical is the name of a code in gRPC's protocol, CODE(n) for one without.
func canonical(code codes.Code) string {
	names := [...]string{
		"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
		"RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
	}
	if int(code) < len(names) {
		return names[code]
	}
	return "CODE(" + strconv.FormatUint(uint64(code), 10) + ")"
}

// address is server.address and server.port of what was called.
func address(hostport string) []attribute.KeyValue {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return []attribute.KeyValue{semconv.ServerAddress(hostport)}
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return []attribute.KeyValue{semconv.ServerAddress(host)}
	}
	return []attribute.KeyValue{semconv.ServerAddress(host), semconv.ServerPort(number)}
}

// incoming lets propagators read the metadata of the call in ctx, without a copy of all.
type incoming struct{ ctx context.Context } //nolint:containedctx // lives as long as the call of Extract

// Get implements propagation.TextMapCarrier.
func (i incoming) Get(key string) string {
	if values := metadata.ValueFromIncomingContext(i.ctx, key); len(values) > 0 {
		return values[0]
	}
	return ""
}

// Set implements propagation.TextMapCarrier; nothing is written here.
func (incoming) Set(string, string) {}

// Keys implements propagation.TextMapCarrier.
func (i incoming) Keys() []string {
	md, _ := metadata.FromIncomingContext(i.ctx)
	keys := make([]string, 0, len(md))
	for key := range md {
		keys = append(keys, key)
	}
	return keys
}

package tracing_test

import (
	"net"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/warrenmesh/warren/tracing"
	"github.com/warrenmesh/warren/tracing/tracingtest"
)

// play lets a handler see calls that end with each code, with and without a caller's trace,
// from this host and from another.
func play(t *testing.T, h stats.Handler) {
	t.Helper()
	begin := time.Unix(1, 0)
	for code := codes.OK; code <= codes.Unauthenticated+1; code++ {
		for _, from := range []string{"127.0.0.1", "192.0.2.1"} {
			for _, md := range []metadata.MD{{}, metadata.Pairs("traceparent", hop, "tracestate", "a=b", "baggage", "k=v")} {
				ctx := metadata.NewIncomingContext(t.Context(), md)
				ctx = peer.NewContext(ctx, &peer.Peer{Addr: &net.TCPAddr{IP: net.ParseIP(from), Port: 1}})
				ctx = h.TagRPC(ctx, &stats.RPCTagInfo{FullMethodName: method})
				h.HandleRPC(ctx, &stats.InHeader{LocalAddr: &net.UnixAddr{Name: "/run/events", Net: "unix"}})
				h.HandleRPC(ctx, &stats.Begin{BeginTime: begin})
				h.HandleRPC(ctx, &stats.End{BeginTime: begin, EndTime: begin.Add(3 * time.Millisecond), Error: status.Error(code, "why")})
			}
		}
	}
}

// The handler that is made for speed leaves the spans that otelgrpc leaves.
func TestServerHandlerMakesTheSpansOfTheLibrary(t *testing.T) {
	t.Parallel()
	ours, mine := tracingtest.New(t, tracing.Options{Component: "sidecar"})
	theirs, library := tracingtest.New(t, tracing.Options{Component: "sidecar"})
	play(t, ours.ServerHandler())
	play(t, theirs.LibraryHandler())
	got, want := mine.Spans(), library.Spans()
	if len(got) != len(want) || len(got) == 0 {
		t.Fatalf("%d spans, want %d", len(got), len(want))
	}
	for i := range got {
		if got[i].Parent.TraceID() != want[i].Parent.TraceID() || got[i].Context.TraceState().String() != want[i].Context.TraceState().String() {
			t.Errorf("context %v of %v, want as %v of %v", got[i].Context, got[i].Parent, want[i].Context, want[i].Parent)
		}
		got[i].Context, want[i].Context = trace.SpanContext{}, trace.SpanContext{}
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("span %+v\nwant %+v", got[i], want[i])
		}
	}
}

// It measures what otelgrpc measures, under the same names.
func TestServerHandlerMeasuresAsTheLibraryDoes(t *testing.T) {
	t.Parallel()
	ours, theirs := setup(t, tracing.Options{}), setup(t, tracing.Options{})
	play(t, ours.ServerHandler())
	play(t, theirs.LibraryHandler())
	got, want := callLines(t, ours), callLines(t, theirs)
	if len(got) == 0 || !slices.Equal(got, want) {
		t.Errorf("measured\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// callLines are the lines of a scrape about calls, without exemplars.
func callLines(t *testing.T, p *tracing.Provider) (lines []string) {
	t.Helper()
	_, _, body := scrape(t, p, "text/plain")
	for line := range strings.Lines(body) {
		if strings.HasPrefix(line, "rpc_server_") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	slices.Sort(lines)
	return lines
}

// Budget: a call that is not sampled costs a sidecar 7 allocations, of which most are
// contexts.
func TestACallThatIsNotSampledCostsLittle(t *testing.T) {
	p := setup(t, tracing.Options{Getenv: env("OTEL_TRACES_EXPORTER", "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1",
		"OTEL_TRACES_SAMPLER", "parentbased_always_off")})
	h := p.ServerHandler()
	ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs(":authority", "sidecar"))
	info, end := &stats.RPCTagInfo{FullMethodName: method}, &stats.End{BeginTime: time.Unix(1, 0), EndTime: time.Unix(2, 0)}
	if got := testing.AllocsPerRun(100, func() { h.HandleRPC(h.TagRPC(ctx, info), end) }); got > 7 {
		t.Errorf("%v allocations, want at most 7", got)
	}
}

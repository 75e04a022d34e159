package tracing_test

import (
	"net"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/stats"
	"google.golang.org/protobuf/types/known/emptypb"

	_ "github.com/warrenmesh/warren/api/events/v1" // declares the methods that are called
	"github.com/warrenmesh/warren/tracing"
	"github.com/warrenmesh/warren/tracing/tracecontext"
	"github.com/warrenmesh/warren/tracing/tracingtest"
)

const method = "/warren.events.v1.EventService/Publish"

// serve runs a server with a health service and one that answers every other
// unary method, telling the span context its handler saw. stop waits for the end
// of all calls.
func serve(t *testing.T, p *tracing.Provider) (conn *grpc.ClientConn, seen <-chan trace.SpanContext, stop func()) {
	t.Helper()
	contexts := make(chan trace.SpanContext, 1)
	server := grpc.NewServer(grpc.StatsHandler(p.ServerHandler()),
		grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
			if err := stream.RecvMsg(&emptypb.Empty{}); err != nil {
				return err
			}
			contexts <- trace.SpanContextFromContext(stream.Context())
			return stream.SendMsg(&emptypb.Empty{})
		}))
	healthpb.RegisterHealthServer(server, health.NewServer())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	conn, err = grpc.NewClient(listener.Addr().String(),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithStatsHandler(p.ClientHandler()))
	if err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		_ = conn.Close()
		server.GracefulStop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return conn, contexts, stop
}

func TestGRPCHandlersMakeOneTraceOfACall(t *testing.T) {
	t.Parallel()
	p, recorder := tracingtest.New(t, tracing.Options{Component: "sidecar"})
	conn, seen, stop := serve(t, p)
	if err := conn.Invoke(t.Context(), method, &emptypb.Empty{}, &emptypb.Empty{}); err != nil {
		t.Fatal(err)
	}
	inHandler := <-seen
	if err := healthCheck(t, conn); err != nil {
		t.Fatal(err)
	}
	stop() // the server ends its span after the client has its answer
	spans := recorder.Spans()
	if len(spans) != 2 {
		t.Fatalf("%d spans, want one of the client and one of the server, none of health: %v", len(spans), spans)
	}
	for _, span := range spans {
		if span.Context.TraceID() != inHandler.TraceID() || span.Attrs["warren.component"] != "sidecar" ||
			span.Name != "warren.events.v1.EventService/Publish" {
			t.Errorf("span = %+v", span)
		}
		if span.Kind == trace.SpanKindServer && span.Context.SpanID() != inHandler.SpanID() {
			t.Errorf("handler ran in %v, want the server span", inHandler)
		}
	}
}

func TestGRPCHandlersPassContextOnWhenDisabled(t *testing.T) {
	t.Parallel()
	conn, seen, _ := serve(t, tracing.Disabled())
	ctx := tracecontext.Extract(t.Context(), map[string]string{"traceparent": hop})
	ctx = metadata.AppendToOutgoingContext(ctx, "k", "v")
	if err := conn.Invoke(ctx, method, &emptypb.Empty{}, &emptypb.Empty{}); err != nil {
		t.Fatal(err)
	}
	if got, want := <-seen, remote(hop); got.SpanID() != want.SpanID() || got.TraceID() != want.TraceID() {
		t.Errorf("handler saw %v, want %v", got, want)
	}
	if err := conn.Invoke(t.Context(), method, &emptypb.Empty{}, &emptypb.Empty{}); err != nil {
		t.Fatal(err)
	}
	if got := <-seen; got.IsValid() {
		t.Errorf("handler saw %v, want nothing", got)
	}
}

func TestServerHandlerDropsStreamsAndLinksForeignCallers(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		method, from   string
		spans          int
		child, linking bool
	}{
		"a subscription has no span":        {"/warren.events.v1.EventService/Subscribe", "127.0.0.1", 0, false, false},
		"a publish stream has no span":      {"/warren.events.v1.EventService/PublishStream", "127.0.0.1", 0, false, false},
		"a config stream has no span":       {"/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources", "127.0.0.1", 0, false, false},
		"reflection has no span":            {"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "127.0.0.1", 0, false, false},
		"channelz has no span":              {"/grpc.channelz.v1.Channelz/GetServers", "127.0.0.1", 0, false, false},
		"a method nobody has has no span":   {"/warren.events.v1.EventService/Made-up", "127.0.0.1", 0, false, false},
		"a local caller is the parent":      {method, "127.0.0.1", 1, true, false},
		"a caller from elsewhere is a link": {method, "192.0.2.1", 1, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, recorder := tracingtest.New(t, tracing.Options{})
			handler := p.ServerHandler()
			ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs("traceparent", hop))
			ctx = peer.NewContext(ctx, &peer.Peer{Addr: &net.TCPAddr{IP: net.ParseIP(tc.from), Port: 1}})
			ctx = handler.TagRPC(ctx, &stats.RPCTagInfo{FullMethodName: tc.method})
			if got := trace.SpanContextFromContext(ctx); tc.spans == 0 && got.SpanID() != remote(hop).SpanID() {
				t.Errorf("context = %v, want the caller's", got)
			}
			handler.HandleRPC(ctx, &stats.End{})
			spans := recorder.Spans()
			if len(spans) != tc.spans {
				t.Fatalf("%d spans, want %d", len(spans), tc.spans)
			}
			for _, span := range spans {
				if span.Parent.IsValid() != tc.child || (len(span.Links) == 1) != tc.linking {
					t.Errorf("parent %v, links %v", span.Parent, span.Links)
				}
			}
		})
	}
}

func healthCheck(t *testing.T, conn *grpc.ClientConn) error {
	t.Helper()
	_, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
	return err
}

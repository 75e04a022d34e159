package spans

import (
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
)

// defaultTraces bounds the memory of a Collector.
const defaultTraces = 20_000

// Collector receives spans by OTLP over gRPC and keeps them in memory.
type Collector struct {
	collectorpb.UnimplementedTraceServiceServer

	limit  int // set at construction
	server *grpc.Server

	serving sync.WaitGroup

	mu     sync.Mutex // guards traces
	traces map[string]Trace
}

// NewCollector makes a collector that keeps all spans of the first limit traces, and
// drops later traces; 0 means 20,000.
func NewCollector(limit int) *Collector {
	if limit == 0 {
		limit = defaultTraces
	}
	c := &Collector{limit: limit, server: grpc.NewServer(), traces: make(map[string]Trace)}
	collectorpb.RegisterTraceServiceServer(c.server, c)
	return c
}

// Start listens on address and returns the actual address.
func (c *Collector) Start(ctx context.Context, address string) (string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return "", fmt.Errorf("listen for spans: %w", err)
	}
	c.serving.Go(func() { _ = c.server.Serve(listener) })
	return listener.Addr().String(), nil
}

// Stop stops receiving; the received spans stay readable. It is idempotent.
func (c *Collector) Stop() {
	c.server.Stop()
	c.serving.Wait()
}

// Export implements the OTLP trace service.
func (c *Collector) Export(_ context.Context, req *collectorpb.ExportTraceServiceRequest) (*collectorpb.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range req.GetResourceSpans() {
		service := attribute(resource.GetResource().GetAttributes(), "service.name")
		for _, scope := range resource.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				c.keep(fromOTLP(service, span))
			}
		}
	}
	return &collectorpb.ExportTraceServiceResponse{}, nil
}

func (c *Collector) keep(s Span) {
	if _, known := c.traces[s.TraceID]; known || len(c.traces) < c.limit {
		c.traces[s.TraceID] = append(c.traces[s.TraceID], s)
	}
}

// Fetch returns the spans of a trace that have arrived; none when there are none.
func (c *Collector) Fetch(_ context.Context, traceID string) (Trace, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append(Trace(nil), c.traces[traceID]...), nil
}

func fromOTLP(service string, s *tracepb.Span) Span {
	start := time.Unix(0, int64(s.GetStartTimeUnixNano())) //nolint:gosec // fits until the year 2262
	end := time.Unix(0, int64(s.GetEndTimeUnixNano()))     //nolint:gosec // as above
	return Span{
		TraceID:   hex.EncodeToString(s.GetTraceId()),
		ID:        hex.EncodeToString(s.GetSpanId()),
		Parent:    hex.EncodeToString(s.GetParentSpanId()),
		Service:   service,
		Component: attribute(s.GetAttributes(), "warren.component"),
		Name:      s.GetName(),
		Kind:      strings.ToLower(strings.TrimPrefix(s.GetKind().String(), "SPAN_KIND_")),
		Start:     start,
		Duration:  end.Sub(start),
		Failed:    s.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR,
		Message:   s.GetStatus().GetMessage(),
	}
}

func attribute(attributes []*commonpb.KeyValue, key string) string {
	for _, a := range attributes {
		if a.GetKey() == key {
			return a.GetValue().GetStringValue()
		}
	}
	return ""
}

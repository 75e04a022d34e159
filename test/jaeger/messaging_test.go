//go:build jaeger

package jaeger

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/warrenmesh/warren/tracing"
	"github.com/warrenmesh/warren/tracing/messaging"
)

// TestSpansOfTwoSidecarsMakeOneTrace exports the spans that the sidecars of two
// services record for one event. It uses the tracing package alone.
func TestSpansOfTwoSidecarsMakeOneTrace(t *testing.T) {
	t.Parallel()
	jaeger := start(t)
	checkout, billing := provider(t, jaeger, "checkout"), provider(t, jaeger, "billing")

	ctx, placing := checkout.Tracer().Start(t.Context(), "place order")
	_, publish := checkout.Messaging().StartPublish(ctx, messaging.Publish{
		System: messaging.SystemRabbitMQ, Exchange: "orders", Topic: "shop/orders", EventID: "17", EventSource: "/checkout",
	})
	publish.End(nil)
	placing.End()
	process := messaging.Process{
		System: messaging.SystemRabbitMQ, Exchange: "orders", Queue: "shop.billing", Topic: "shop/orders",
		EventID: "17", EventSource: "/checkout", DeliveryTag: 1, Attempt: 1, Hop: publish.Hop(),
	}
	ctx, processing := billing.Messaging().StartProcess(t.Context(), process)
	_, settle := billing.Messaging().StartSettle(ctx, messaging.Ack, process)
	settle.End(nil)
	processing.End(nil)
	for _, p := range []*tracing.Provider{checkout, billing} {
		if err := p.Shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}
	}

	services := eventually(t, jaeger, "/api/services", func(names []string) bool { return len(names) >= 2 })
	slices.Sort(services)
	if want := []string{"billing", "checkout"}; !slices.Equal(services, want) {
		t.Errorf("services = %v, want %v", services, want)
	}
	path := "/api/traces/" + placing.SpanContext().TraceID().String()
	got := eventually(t, jaeger, path, func(traces []trace) bool { return len(traces) == 1 && len(traces[0].Spans) == 4 })[0]
	for _, want := range []struct{ service, name, kind, parentService, parentName string }{
		{"checkout", "publish shop/orders", "producer", "checkout", "place order"},
		{"billing", "process shop/orders", "consumer", "checkout", "publish shop/orders"},
		{"billing", "ack shop/orders", "client", "billing", "process shop/orders"},
	} {
		s, parent := got.find(want.service, want.name), got.find(want.parentService, want.parentName)
		if s == nil || parent == nil {
			t.Fatalf("%s: %s or its parent is missing in %v", want.service, want.name, got)
		}
		if s.tag("span.kind") != want.kind || s.parent() != parent.SpanID {
			t.Errorf("%s: %s is %v below %s, want %s below %s", want.service, want.name,
				s.tag("span.kind"), s.parent(), want.kind, parent.SpanID)
		}
	}
	eventually(t, jaeger, fmt.Sprintf("/api/dependencies?endTs=%d&lookback=3600000", time.Now().Add(time.Minute).UnixMilli()),
		func(edges []edge) bool { return hasEdge(edges, "checkout", "billing") })
}

// provider sets up tracing as a sidecar beside service does, with OTLP over gRPC.
func provider(t *testing.T, jaeger *server, service string) *tracing.Provider {
	t.Helper()
	p, err := tracing.Setup(t.Context(), tracing.Options{
		ServiceName: service, Component: "sidecar",
		Getenv: func(name string) string {
			return map[string]string{
				"OTEL_EXPORTER_OTLP_ENDPOINT": jaeger.otlp, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
			}[name]
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

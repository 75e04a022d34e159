package messaging_test

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel/baggage"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/warrenmesh/warren/tracing"
	"github.com/warrenmesh/warren/tracing/messaging"
	"github.com/warrenmesh/warren/tracing/tracecontext"
)

// Budget: an event that brings no trace context costs a sidecar without exporter
// no allocation, from publish to settle.
func TestDisabledTracingAllocatesNothing(t *testing.T) {
	// No t.Parallel: AllocsPerRun counts what all goroutines allocate.
	m := tracing.Disabled().Messaging()
	o, d := order(), delivery()
	d.Hop = tracecontext.Hop{}
	if got := testing.AllocsPerRun(100, func() { oneEvent(context.Background(), m, o, d) }); got != 0 {
		t.Errorf("%v allocations for an event, want none", got)
	}
}

func BenchmarkEvent(b *testing.B) {
	member, err := baggage.NewMember("k", "v")
	if err != nil {
		b.Fatal(err)
	}
	bag, err := baggage.New(member)
	if err != nil {
		b.Fatal(err)
	}
	recording := tracing.New(sdktrace.NewTracerProvider(), tracing.Options{Component: "sidecar"})
	plain := delivery()
	plain.Hop = tracecontext.Hop{}
	for _, bc := range []struct {
		name     string
		provider *tracing.Provider
		ctx      context.Context
		delivery messaging.Process
	}{
		{"disabled", tracing.Disabled(), context.Background(), plain},
		{"disabled with context", tracing.Disabled(), baggage.ContextWithBaggage(context.Background(), bag), delivery()},
		{"recording", recording, context.Background(), delivery()},
	} {
		b.Run(bc.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				oneEvent(bc.ctx, bc.provider.Messaging(), order(), bc.delivery)
			}
		})
	}
}

// oneEvent is what a sidecar does for an event: publish, process, settle.
func oneEvent(ctx context.Context, m *messaging.Tracer, o messaging.Publish, d messaging.Process) {
	_, span := m.StartPublish(ctx, o)
	_ = span.Hop()
	span.SetServerAddress("127.0.0.1:5672")
	span.End(nil)
	processing, process := m.StartProcess(ctx, d)
	_ = tracecontext.Inject(processing)
	_, settle := m.StartSettle(processing, messaging.Ack, d)
	settle.End(nil)
	process.SetOutcome("ack")
	process.End(nil)
}

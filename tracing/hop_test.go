package tracing_test

import (
	"context"
	"maps"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"github.com/warrenmesh/warren/tracing"
	"github.com/warrenmesh/warren/tracing/tracingtest"
)

func TestEntriesOfStreams(t *testing.T) {
	t.Parallel()

	t.Run("carry context, state and baggage there and back", func(t *testing.T) {
		t.Parallel()
		entry := map[string]string{"traceparent": hop, "tracestate": "a=b", "baggage": "k=v"}
		if got := tracing.Inject(tracing.Extract(context.Background(), entry)); !maps.Equal(got, entry) {
			t.Errorf("entry = %v, want %v", got, entry)
		}
	})

	t.Run("replace the context of the stream, its baggage too", func(t *testing.T) {
		t.Parallel()
		stream := tracing.Extract(context.Background(), map[string]string{"traceparent": creation, "baggage": "of=stream"})
		got := tracing.Inject(tracing.Extract(stream, map[string]string{"traceparent": hop}))
		if want := map[string]string{"traceparent": hop}; !maps.Equal(got, want) {
			t.Errorf("entry = %v, want %v", got, want)
		}
	})

	t.Run("without context leave no span at all", func(t *testing.T) {
		t.Parallel()
		stream := tracing.Extract(context.Background(), map[string]string{"traceparent": creation})
		if got := tracing.Inject(tracing.Extract(stream, nil)); got != nil {
			t.Errorf("entry = %v, want nothing", got)
		}
	})
}

func FuzzGarbageInHeadersNeverBreaksAnEvent(f *testing.F) {
	f.Add(hop, "a=b", "k=v", creation)
	f.Add("", "", "", "")
	f.Add("00-\xff\x00-b7ad6b7169203331-01", "\x00=,,,", ";;=\xff", "ff-"+creation[3:])
	f.Add(hop+"-extra", "a=b,a=b", "k=%zz", hop[:54])
	f.Fuzz(func(t *testing.T, parent, state, baggage, own string) {
		p, recorder := tracingtest.New(t, tracing.Options{})
		d := delivery()
		d.Hop = tracing.Hop{Parent: parent, State: state, Baggage: baggage}
		d.EventTraceParent, d.EventTraceState = own, state
		ctx, span := p.Messaging().StartProcess(context.Background(), d)
		span.End(nil)
		got := recorder.Only("process shop/orders")
		valid := remote(parent).IsValid() || remote(own).IsValid()
		if got.Parent.IsValid() != valid {
			t.Errorf("parent %v of hop %q and event %q", got.Parent, parent, own)
		}
		// What goes on is always readable, whatever came in.
		entry := tracing.Inject(ctx)
		if next := remote(entry["traceparent"]); next.SpanID() != got.Context.SpanID() {
			t.Errorf("entry = %v, want the process span %v", entry, got.Context)
		}
		disabled, _ := tracing.Disabled().Messaging().StartProcess(context.Background(), d)
		if trace.SpanContextFromContext(disabled).IsValid() != valid {
			t.Errorf("disabled tracing passed on %v of hop %q and event %q", trace.SpanContextFromContext(disabled), parent, own)
		}
	})
}

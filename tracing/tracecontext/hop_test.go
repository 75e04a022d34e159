package tracecontext_test

import (
	"context"
	"maps"
	"testing"

	"go.uber.org/goleak"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/tracing/tracecontext"
)

const (
	creation = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	hop      = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEntriesOfStreams(t *testing.T) {
	t.Parallel()

	t.Run("carry context, state and baggage there and back", func(t *testing.T) {
		t.Parallel()
		entry := map[string]string{"traceparent": hop, "tracestate": "a=b", "baggage": "k=v"}
		if got := tracecontext.Inject(tracecontext.Extract(context.Background(), entry)); !maps.Equal(got, entry) {
			t.Errorf("entry = %v, want %v", got, entry)
		}
	})

	t.Run("replace the context of the stream, its baggage too", func(t *testing.T) {
		t.Parallel()
		stream := tracecontext.Extract(context.Background(), map[string]string{"traceparent": creation, "baggage": "of=stream"})
		got := tracecontext.Inject(tracecontext.Extract(stream, map[string]string{"traceparent": hop}))
		if want := map[string]string{"traceparent": hop}; !maps.Equal(got, want) {
			t.Errorf("entry = %v, want %v", got, want)
		}
	})

	t.Run("without context leave no span at all", func(t *testing.T) {
		t.Parallel()
		stream := tracecontext.Extract(context.Background(), map[string]string{"traceparent": creation})
		if got := tracecontext.Inject(tracecontext.Extract(stream, nil)); got != nil {
			t.Errorf("entry = %v, want nothing", got)
		}
	})
}

func TestHopConvertsToTheBrokersTraceContext(t *testing.T) {
	t.Parallel()
	h := tracecontext.Hop{Parent: "p", State: "s", Baggage: "b"}
	if got := tracecontext.Hop(broker.TraceContext(h)); got != h {
		t.Errorf("hop = %+v, want %+v", got, h)
	}
}

package sampling_test

import (
	"context"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/warrenmesh/warren/tracing/internal/sampling"
)

// What is dropped early, and what is not, must be what the SDK alone would have done.
func TestDecidesAsTheSDKDoes(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]sdktrace.Sampler{
		"always on":              sdktrace.AlwaysSample(),
		"always off":             sdktrace.NeverSample(),
		"a ratio":                sdktrace.TraceIDRatioBased(0.5),
		"parent or always on":    sdktrace.ParentBased(sdktrace.AlwaysSample()),
		"parent or always off":   sdktrace.ParentBased(sdktrace.NeverSample()),
		"parent or a half":       sdktrace.ParentBased(sdktrace.TraceIDRatioBased(0.5)),
		"parent or a thousandth": sdktrace.ParentBased(sdktrace.TraceIDRatioBased(0.001)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			early := sampling.New(s)
			alone := sdktrace.NewTracerProvider(sdktrace.WithSampler(s)).Tracer("")
			both := sdktrace.NewTracerProvider(sdktrace.WithSampler(s), sdktrace.WithIDGenerator(early)).Tracer("")
			for range 200 {
				for _, parent := range parents(t) {
					compare(t, early, alone, both, parent)
				}
			}
		})
	}
}

func compare(t *testing.T, early *sampling.Early, alone, both trace.Tracer, parent trace.SpanContext) {
	t.Helper()
	ctx := trace.ContextWithSpanContext(t.Context(), parent)
	began, dropped := early.Drop(ctx)
	if !dropped {
		var span trace.Span
		if began, span = both.Start(began, "name"); !span.IsRecording() {
			t.Errorf("of %v: not dropped and not recorded", parent)
		}
	}
	got := trace.SpanContextFromContext(began)
	if !got.IsValid() || got.SpanID() == parent.SpanID() || got.IsRemote() || got.IsSampled() == dropped {
		t.Errorf("of %v: dropped %v, context %v", parent, dropped, got)
	}
	if !parent.IsValid() {
		return // the ids differ, and with a ratio so does what comes of it
	}
	_, span := alone.Start(ctx, "name")
	want := span.SpanContext()
	if got.TraceID() != want.TraceID() || got.TraceFlags() != want.TraceFlags() || got.TraceState().String() != want.TraceState().String() {
		t.Errorf("of %v: %v, want as %v", parent, got, want)
	}
}

func parents(t *testing.T) []trace.SpanContext {
	t.Helper()
	state, err := trace.ParseTraceState("a=b")
	if err != nil {
		t.Fatal(err)
	}
	id, span := sampling.New(nil).NewIDs(t.Context())
	out := []trace.SpanContext{{}}
	for _, remote := range []bool{false, true} {
		for _, flags := range []trace.TraceFlags{0, trace.FlagsSampled, trace.FlagsRandom, trace.FlagsSampled | trace.FlagsRandom} {
			out = append(out, trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: span, TraceFlags: flags, TraceState: state, Remote: remote}))
		}
	}
	return out
}

// The id of a trace that is to be recorded is for one span, not for others that begin in
// the same context as roots.
func TestAPromiseIsKeptOnce(t *testing.T) {
	t.Parallel()
	early := sampling.New(sdktrace.AlwaysSample())
	ctx, _ := early.Drop(context.Background())
	first, _ := early.NewIDs(ctx)
	if second, _ := early.NewIDs(ctx); second == first {
		t.Errorf("two traces have the id %v", first)
	}
}

// Package tracingtest records spans in memory, for the tests of rooms that start
// them and may not import the OpenTelemetry SDK.
//
// It owns nothing but the recording. A Recorder is safe for concurrent use.
//
//	provider, recorder := tracingtest.New(t, tracing.Options{Component: "sidecar"})
//	... code under test, given provider.Messaging() ...
//	span := recorder.Only("publish orders")
package tracingtest

import (
	"context"
	"maps"
	"slices"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/warrenmesh/warren/tracing"
)

// Span is an ended span in a form that compares well.
type Span struct {
	Name    string
	Kind    trace.SpanKind
	Context trace.SpanContext
	Parent  trace.SpanContext // invalid for a root
	Links   []Link
	Attrs   map[string]any // string, int64, bool or float64
	Events  []Event
	Failed  bool   // status Error
	Status  string // description
}

// Link is a link of a span.
type Link struct {
	Context trace.SpanContext
	Attrs   map[string]any
}

// Event is an event of a span.
type Event struct {
	Name  string
	Attrs map[string]any
}

// Recorder holds ended spans.
type Recorder struct {
	tb       testing.TB
	recorder *tracetest.SpanRecorder
}

// New returns a Provider that samples everything and the recorder of its spans.
func New(tb testing.TB, opts tracing.Options) (*tracing.Provider, *Recorder) {
	tb.Helper()
	recorder := tracetest.NewSpanRecorder()
	tp := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder), sdktrace.WithSampler(sdktrace.AlwaysSample()))
	tb.Cleanup(func() { _ = tp.Shutdown(context.Background()) })
	return tracing.New(tp, opts), &Recorder{tb: tb, recorder: recorder}
}

// Spans returns what has ended so far, in the order of the ends.
func (r *Recorder) Spans() []Span {
	ended := r.recorder.Ended()
	spans := make([]Span, 0, len(ended))
	for _, s := range ended {
		spans = append(spans, convert(s))
	}
	return spans
}

// Only returns the one span of that name and fails the test if there is none or
// another.
func (r *Recorder) Only(name string) Span {
	r.tb.Helper()
	spans := r.Spans()
	found := slices.DeleteFunc(slices.Clone(spans), func(s Span) bool { return s.Name != name })
	if len(found) != 1 {
		names := make(map[string]int)
		for _, s := range spans {
			names[s.Name]++
		}
		r.tb.Fatalf("%d spans named %q, want 1; all names: %v", len(found), name, slices.Sorted(maps.Keys(names)))
	}
	return found[0]
}

func convert(s sdktrace.ReadOnlySpan) Span {
	span := Span{
		Name: s.Name(), Kind: s.SpanKind(), Context: s.SpanContext(), Parent: s.Parent(),
		Attrs: attrs(s.Attributes()), Failed: s.Status().Code == codes.Error, Status: s.Status().Description,
	}
	for _, link := range s.Links() {
		span.Links = append(span.Links, Link{link.SpanContext, attrs(link.Attributes)})
	}
	for _, e := range s.Events() {
		span.Events = append(span.Events, Event{Name: e.Name, Attrs: attrs(e.Attributes)})
	}
	return span
}

func attrs(kvs []attribute.KeyValue) map[string]any {
	m := make(map[string]any, len(kvs))
	for _, kv := range kvs {
		m[string(kv.Key)] = kv.Value.AsInterface()
	}
	return m
}

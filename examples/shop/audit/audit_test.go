package main

import (
	"log/slog"
	"path/filepath"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/examples/shop/journal"
	"github.com/warrenmesh/warren/tracing/tracecontext"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var delivery = &eventsv1.Delivery{
	Token: "t", Attempt: 3, Redelivered: true, Topic: "shop/invoices",
	Event:        &eventsv1.CloudEvent{Id: "o1-invoice"},
	TraceContext: map[string]string{"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
}

func newAudit(t *testing.T) (a *audit, path string, ended *tracetest.SpanRecorder) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "journal")
	book, err := journal.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = book.Close() })
	ended = tracetest.NewSpanRecorder()
	tracers := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(ended))
	return &audit{journal: book, tracer: tracers.Tracer(""), log: slog.New(slog.DiscardHandler)}, path, ended
}

func TestAnEventIsWrittenDownBeforeItIsAcked(t *testing.T) {
	t.Parallel()
	a, path, _ := newAudit(t)
	if err := a.handle("audit-invoices")(t.Context(), delivery); err != nil {
		t.Errorf("not acked: %v", err)
	}
	records, err := journal.Read(path)
	if err != nil || len(records) != 1 {
		t.Fatalf("journal is %+v, %v", records, err)
	}
	r := records[0]
	r.Time = delivery.GetAckDeadline().AsTime()
	want := journal.Record{
		Time: r.Time, What: journal.Delivered, ID: "o1-invoice", Subscription: "audit-invoices",
		Topic: "shop/invoices", Attempt: 3, Redelivered: true,
	}
	if r != want {
		t.Errorf("journal line is %+v, want %+v", r, want)
	}
}

func TestAnEventThatCannotBeWrittenDownComesAgain(t *testing.T) {
	t.Parallel()
	a, _, _ := newAudit(t)
	if err := a.journal.Close(); err != nil {
		t.Fatal(err)
	}
	if err := a.handle("audit")(t.Context(), delivery); err == nil {
		t.Error("acked, want that it comes again")
	}
}

func TestTheHandlersSpanIsAChildOfTheDelivery(t *testing.T) {
	t.Parallel()
	a, _, ended := newAudit(t)
	if err := a.handle("audit")(tracecontext.Extract(t.Context(), delivery.GetTraceContext()), delivery); err != nil {
		t.Fatal(err)
	}
	spans := ended.Ended()
	if len(spans) != 1 {
		t.Fatalf("%d spans, want 1", len(spans))
	}
	if got := spans[0].Parent().SpanID().String(); got != "00f067aa0ba902b7" {
		t.Errorf("parent is %s", got)
	}
	if got := spans[0].SpanContext().TraceID().String(); got != "4bf92f3577b34da6a3ce929d0e0e4736" {
		t.Errorf("trace is %s", got)
	}
	if got := spans[0].Attributes()[0]; got != attribute.String("cloudevents.event_id", "o1-invoice") {
		t.Errorf("attribute is %v", got)
	}
}

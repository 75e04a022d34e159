package spans_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/warrenmesh/warren/examples/shop/spans"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var begin = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func span(id, parent, service, name string, startMillis, millis int) spans.Span {
	return spans.Span{
		TraceID: "t1", ID: id, Parent: parent, Service: service, Name: name, Kind: "internal",
		Start:    begin.Add(time.Duration(startMillis) * time.Millisecond),
		Duration: time.Duration(millis) * time.Millisecond,
	}
}

func Example() {
	publish := span("2", "1", "checkout", "publish orders", 1, 7)
	publish.Kind, publish.Component = "producer", "sidecar"
	t := spans.Trace{
		span("4", "2", "audit", "audit event", 5, 1),
		span("3", "2", "billing", "bill order", 4, 20),
		publish,
		span("1", "", "checkout", "place order", 0, 9),
	}
	_ = t.Write(os.Stdout)
	// Output:
	// trace t1: 4 spans, 3 services (audit, billing, checkout), 24.0 ms
	// place order        checkout            internal  +0.0 ms        9.0 ms
	// └─ publish orders  checkout (sidecar)  producer  +1.0 ms        7.0 ms
	//    ├─ bill order   billing             internal  +4.0 ms       20.0 ms
	//    └─ audit event  audit               internal  +5.0 ms        1.0 ms
}

func TestBranchesGoOnBesideChildrenOfAnEarlierSibling(t *testing.T) {
	t.Parallel()
	got := labels(t, spans.Trace{
		span("1", "", "s", "root", 0, 9), span("2", "1", "s", "first", 1, 1),
		span("3", "2", "s", "below", 2, 1), span("4", "1", "s", "second", 3, 1),
	})
	want := "root|├─ first|│  └─ below|└─ second"
	if got != want {
		t.Errorf("tree is %q, want %q", got, want)
	}
}

func TestASpanWithoutItsParentIsShownAndMarked(t *testing.T) {
	t.Parallel()
	lost := spans.Trace{span("1", "", "s", "root", 0, 9), span("3", "2", "s", "orphan", 2, 1)}
	if got, want := labels(t, lost), "root|… orphan"; got != want {
		t.Errorf("tree is %q, want %q", got, want)
	}
	if lost.Whole() {
		t.Error("a trace with an orphan was called whole")
	}
	if !lost[:1].Whole() || lost[:0].Whole() || lost[1:].Whole() {
		t.Error("whole means one true root")
	}
}

func TestARingOfParentsIsPrintedOnce(t *testing.T) {
	t.Parallel()
	got := labels(t, spans.Trace{span("1", "2", "s", "a", 0, 1), span("2", "1", "s", "b", 1, 1)})
	if want := "… a|└─ b"; got != want {
		t.Errorf("tree is %q, want %q", got, want)
	}
}

func TestAnErrorStandsAtTheEndOfItsLine(t *testing.T) {
	t.Parallel()
	failed := span("1", "", "s", "a", 0, 1)
	failed.Failed, failed.Message = true, "no such topic"
	var out strings.Builder
	if err := (spans.Trace{failed}).Write(&out); err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(out.String(), "1.0 ms  error: no such topic\n") {
		t.Errorf("printed %q", out.String())
	}
}

func TestAnEmptyTraceSaysSo(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := (spans.Trace{}).Write(&out); err != nil || out.String() != "no spans\n" {
		t.Errorf("printed %q, %v", out.String(), err)
	}
}

// labels returns the first column of the tree.
func labels(t *testing.T, trace spans.Trace) string {
	t.Helper()
	var out strings.Builder
	if err := trace.Write(&out); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, line := range strings.Split(strings.TrimSpace(out.String()), "\n")[1:] {
		label, _, _ := strings.Cut(line, "  s ")
		got = append(got, strings.TrimRight(label, " "))
	}
	return strings.Join(got, "|")
}

func TestTheCollectorTakesWhatTheSDKExports(t *testing.T) {
	t.Parallel()
	collector := spans.NewCollector(1)
	addr, err := collector.Start(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer collector.Stop()
	tracer, flush := tracer(t, addr)
	ctx, parent := tracer.Start(t.Context(), "place order")
	_, child := tracer.Start(ctx, "publish orders", trace.WithSpanKind(trace.SpanKindProducer),
		trace.WithAttributes(attribute.String("warren.component", "sidecar")))
	child.SetStatus(codes.Error, "unroutable")
	child.End()
	parent.End()
	_, late := tracer.Start(t.Context(), "one trace too many")
	late.End()
	flush()

	got, err := collector.Fetch(t.Context(), parent.SpanContext().TraceID().String())
	if err != nil || len(got) != 2 || !got.Whole() {
		t.Fatalf("fetched %+v, %v; want two spans", got, err)
	}
	s := got[0]
	if s.Name != "publish orders" || s.Kind != "producer" || s.Service != "checkout" || s.Component != "sidecar" ||
		s.Parent != parent.SpanContext().SpanID().String() || !s.Failed || s.Message != "unroutable" || s.Duration <= 0 {
		t.Errorf("span is %+v", s)
	}
	if over, _ := collector.Fetch(t.Context(), late.SpanContext().TraceID().String()); len(over) != 0 {
		t.Errorf("the collector kept %d spans above its limit", len(over))
	}
}

func tracer(t *testing.T, addr string) (_ trace.Tracer, flush func()) {
	t.Helper()
	exporter, err := otlptracegrpc.New(t.Context(), otlptracegrpc.WithEndpoint(addr), otlptracegrpc.WithInsecure())
	if err != nil {
		t.Fatal(err)
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter),
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", "checkout"))))
	return provider.Tracer("test"), func() {
		if err := provider.Shutdown(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("shut down: %v", err)
		}
	}
}

func TestJaegersAnswerBecomesATrace(t *testing.T) {
	t.Parallel()
	jaeger := serve(t, map[string]string{
		"/api/services": `{"data":["checkout"]}`,
		"/api/traces/t1": `{"data":[{"traceID":"t1","processes":{"p1":{"serviceName":"checkout"},"p2":{"serviceName":"billing"}},"spans":[
			{"traceID":"t1","spanID":"1","operationName":"place order","references":[],"startTime":1767323045000000,"duration":9000,"processID":"p1","tags":[]},
			{"traceID":"t1","spanID":"2","operationName":"process orders","startTime":1767323045001000,"duration":1500,"processID":"p2",
			 "references":[{"refType":"CHILD_OF","traceID":"t1","spanID":"1"},{"refType":"FOLLOWS_FROM","traceID":"t1","spanID":"7"}],
			 "tags":[{"key":"span.kind","type":"string","value":"consumer"},{"key":"warren.component","type":"string","value":"sidecar"},
			         {"key":"error","type":"bool","value":true},{"key":"otel.status_description","type":"string","value":"late"}]}]}]}`,
	})
	if !jaeger.Answers(t.Context()) {
		t.Error("a Jaeger that answers was not seen")
	}
	got, err := jaeger.Fetch(t.Context(), "t1")
	if err != nil || len(got) != 2 || !got.Whole() {
		t.Fatalf("fetched %+v, %v; want a whole trace of two spans", got, err)
	}
	want := spans.Span{
		TraceID: "t1", ID: "2", Parent: "1", Service: "billing", Component: "sidecar", Name: "process orders", Kind: "consumer",
		Start: got[1].Start, Duration: 1500 * time.Microsecond, Failed: true, Message: "late",
	}
	if got[1] != want {
		t.Errorf("span is %+v, want %+v", got[1], want)
	}
	if got[1].Start.Sub(got[0].Start) != time.Millisecond {
		t.Errorf("starts are %v and %v, want one millisecond apart", got[0].Start, got[1].Start)
	}
}

func TestATraceJaegerDoesNotKnowIsEmpty(t *testing.T) {
	t.Parallel()
	got, err := serve(t, nil).Fetch(t.Context(), "t1")
	if err != nil || len(got) != 0 {
		t.Errorf("fetched %v, %v; want nothing", got, err)
	}
}

func TestNoJaegerDoesNotAnswer(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	if (&spans.Jaeger{URL: server.URL, Client: server.Client()}).Answers(t.Context()) {
		t.Error("a closed port was taken for a Jaeger")
	}
}

func serve(t *testing.T, pages map[string]string) *spans.Jaeger {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page, ok := pages[r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = io.WriteString(w, page)
	}))
	t.Cleanup(server.Close)
	jaeger := &spans.Jaeger{URL: server.URL, Client: server.Client()}
	if got, want := jaeger.Page("t1"), fmt.Sprintf("%s/trace/t1", server.URL); got != want {
		t.Errorf("page is %q, want %q", got, want)
	}
	if got, want := jaeger.API("t1"), server.URL+"/api/traces/t1"; got != want {
		t.Errorf("API is %q, want %q", got, want)
	}
	return jaeger
}

package tracing_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	collector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/warrenmesh/warren/tracing"
	"github.com/warrenmesh/warren/tracing/messaging"
	"github.com/warrenmesh/warren/tracing/tracecontext"
)

// scrape asks p for its metrics as Prometheus does.
func scrape(t *testing.T, p *tracing.Provider, accept string) (status int, contentType, body string) {
	t.Helper()
	req := httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody)
	req.Header.Set("Accept", accept)
	rec := httptest.NewRecorder()
	p.MetricsHandler().ServeHTTP(rec, req)
	return rec.Code, rec.Header().Get("Content-Type"), rec.Body.String()
}

const openMetrics = "application/openmetrics-text;version=1.0.0"

func setup(t *testing.T, opts tracing.Options) *tracing.Provider {
	t.Helper()
	if opts.Getenv == nil {
		opts.Getenv = env()
	}
	p, err := tracing.Setup(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p
}

func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in:\n%s", part, text)
		}
	}
}

func TestMetricsAreScraped(t *testing.T) {
	t.Parallel()

	t.Run("in OpenMetrics, with the build, the runtime, the process and the target", func(t *testing.T) {
		t.Parallel()
		p := setup(t, tracing.Options{ServiceName: "checkout", Namespace: "shop", Component: "sidecar", Version: "v1", Commit: "abc"})
		code, contentType, body := scrape(t, p, openMetrics)
		if code != http.StatusOK || !strings.HasPrefix(contentType, "application/openmetrics-text") {
			t.Errorf("status %d, content type %q", code, contentType)
		}
		contains(t, body, `revision="abc"`, `version="v1"`, "\nwarren_build_info{", "\ngo_goroutine_count{", "\nprocess_start_time_seconds ",
			"\ntarget_info{", `service_name="checkout"`, `service_namespace="shop"`, `warren_component="sidecar"} 1`, "# EOF")
		if _, contentType, _ := scrape(t, p, "text/plain"); !strings.HasPrefix(contentType, "text/plain") {
			t.Errorf("content type %q for a scraper without OpenMetrics", contentType)
		}
	})
	t.Run("with the trace that a value came from", func(t *testing.T) {
		t.Parallel()
		p := setup(t, tracing.Options{})
		h, err := p.MeterProvider().Meter("test").Float64Histogram("warren.test", metric.WithUnit("s"))
		if err != nil {
			t.Fatal(err)
		}
		h.Record(tracecontext.Extract(t.Context(), map[string]string{"traceparent": hop}), 1)
		_, _, body := scrape(t, p, openMetrics)
		contains(t, body, `trace_id="`+remote(hop).TraceID().String()+`"`)
	})
	t.Run("with the calls of a gRPC server even when nothing is traced", func(t *testing.T) {
		t.Parallel()
		p := setup(t, tracing.Options{})
		conn, seen, stop := serve(t, p)
		ctx := tracecontext.Extract(t.Context(), map[string]string{"traceparent": hop})
		for _, name := range []string{method, "/warren.events.v1.EventService/Made-up", "/made.up.Service/Call"} {
			if err := conn.Invoke(ctx, name, &emptypb.Empty{}, &emptypb.Empty{}); err != nil {
				t.Fatal(err)
			}
			if got, want := <-seen, remote(hop); got.SpanID() != want.SpanID() {
				t.Errorf("handler saw %v, want %v", got, want)
			}
		}
		stop()
		_, _, body := scrape(t, p, openMetrics)
		for _, name := range []string{"server", "client"} {
			contains(t, body, "\nrpc_"+name+`_call_duration_seconds_bucket{`)
		}
		contains(t, body, `rpc_method="warren.events.v1.EventService/Publish"`, `rpc_response_status_code="OK"`, `le="0.005"`, `le="10.0"`)
		if strings.Contains(strings.ToLower(body), "made") {
			t.Errorf("a caller's own method names are series:\n%s", body)
		}
	})
	t.Run("in one series when there are too many", func(t *testing.T) {
		t.Parallel()
		p := setup(t, tracing.Options{})
		c, err := p.MeterProvider().Meter("test").Int64Counter("warren.test")
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3000 {
			c.Add(t.Context(), 1, metric.WithAttributes(attribute.Int("i", i)))
		}
		_, _, body := scrape(t, p, openMetrics)
		if got := strings.Count(body, "\nwarren_test_total{"); got != 2000 {
			t.Errorf("%d series, want 2000", got)
		}
		contains(t, body, `otel_metric_overflow="true"`)
	})
}

func TestMetricsAreOff(t *testing.T) {
	t.Parallel()
	for name, getenv := range map[string]func(string) string{
		"when the exporter is none":   env("OTEL_METRICS_EXPORTER", "none"),
		"when the SDK is disabled":    env("OTEL_SDK_DISABLED", "true"),
		"beside an exporter for none": env("OTEL_METRICS_EXPORTER", "otlp,none"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := setup(t, tracing.Options{Getenv: getenv})
			code, _, body := scrape(t, p, openMetrics)
			if code != http.StatusNotFound || !strings.Contains(body, "OTEL_METRICS_EXPORTER") {
				t.Errorf("status %d: %s", code, body)
			}
			c, err := p.MeterProvider().Meter("test").Int64Counter("c")
			if err != nil || c.Enabled(t.Context()) {
				t.Errorf("instruments measure: %v", err)
			}
		})
	}
}

func TestMetricsArePushedByOTLP(t *testing.T) {
	t.Parallel()
	exports := make(chan *collector.ExportMetricsServiceRequest, 4)
	var path string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		request := &collector.ExportMetricsServiceRequest{}
		if err != nil || proto.Unmarshal(body, request) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		path = r.URL.Path
		exports <- request
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(server.Close)
	p := setup(t, tracing.Options{ServiceName: "checkout", Getenv: env(
		"OTEL_METRICS_EXPORTER", "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT", server.URL, "OTEL_TRACES_EXPORTER", "none")})
	if code, _, _ := scrape(t, p, openMetrics); code != http.StatusOK {
		t.Errorf("a scrape beside OTLP has status %d", code)
	}
	if err := p.Shutdown(t.Context()); err != nil { // exports what there is
		t.Fatal(err)
	}
	select {
	case request := <-exports:
		names := map[string]bool{}
		for _, scope := range request.GetResourceMetrics()[0].GetScopeMetrics() {
			for _, m := range scope.GetMetrics() {
				names[m.GetName()] = true
			}
		}
		if !names["warren.build.info"] || !names["go.goroutine.count"] || path != "/v1/metrics" {
			t.Errorf("path %s, metrics %v", path, names)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("nothing was exported")
	}
}

func TestMetricsAreNotPushedToWhereTracesGo(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 16)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.URL.Path }))
	t.Cleanup(server.Close)
	p := setup(t, tracing.Options{Getenv: env("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)})
	_, span := p.Messaging().StartPublish(t.Context(), messaging.Publish{Topic: "shop/orders"})
	span.End(nil)
	if err := p.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(asked)
	for path := range asked {
		if path != "/v1/traces" {
			t.Errorf("something was sent to %s", path)
		}
	}
}

func TestMetricsRefuseWhatTheyCannotUnderstand(t *testing.T) {
	t.Parallel()
	_, err := tracing.Setup(t.Context(), tracing.Options{Getenv: env(
		"OTEL_METRICS_EXPORTER", "graphite", "OTEL_METRICS_EXEMPLAR_FILTER", "sometimes",
		"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "nowhere")})
	if err == nil {
		t.Fatal("no error")
	}
	contains(t, err.Error(), `OTEL_METRICS_EXPORTER="graphite"`, `OTEL_METRICS_EXEMPLAR_FILTER="sometimes"`)
	_, err = tracing.Setup(t.Context(), tracing.Options{Getenv: env("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "nowhere", "OTEL_METRIC_EXPORT_INTERVAL", "0")})
	if err == nil {
		t.Fatal("no error")
	}
	contains(t, err.Error(), `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT="nowhere"`, `OTEL_METRIC_EXPORT_INTERVAL="0"`)
}

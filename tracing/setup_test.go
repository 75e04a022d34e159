package tracing_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/warrenmesh/warren/tracing"
	"github.com/warrenmesh/warren/tracing/messaging"
)

func env(kv ...string) func(string) string {
	m := make(map[string]string)
	for i := 0; i < len(kv); i += 2 {
		m[kv[i]] = kv[i+1]
	}
	return func(name string) string { return m[name] }
}

// received is one export as a collector sees it.
type received struct {
	request *collector.ExportTraceServiceRequest
	header  http.Header // of HTTP exports
	path    string
}

func (r received) resource() map[string]string {
	m := make(map[string]string)
	for _, kv := range r.request.GetResourceSpans()[0].GetResource().GetAttributes() {
		m[kv.GetKey()] = kv.GetValue().GetStringValue()
	}
	return m
}

func (r received) spanName() string {
	return r.request.GetResourceSpans()[0].GetScopeSpans()[0].GetSpans()[0].GetName()
}

// httpCollector is an OTLP receiver by HTTP.
func httpCollector(t *testing.T) (url string, exports <-chan received) {
	t.Helper()
	c := make(chan received, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		request := &collector.ExportTraceServiceRequest{}
		if err != nil || proto.Unmarshal(body, request) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		c <- received{request, r.Header, r.URL.Path}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(server.Close)
	return server.URL, c
}

type grpcTraces struct {
	collector.UnimplementedTraceServiceServer
	exports chan received
}

func (s *grpcTraces) Export(
	_ context.Context, r *collector.ExportTraceServiceRequest,
) (*collector.ExportTraceServiceResponse, error) {
	s.exports <- received{request: r}
	return &collector.ExportTraceServiceResponse{}, nil
}

// grpcCollector is an OTLP receiver by gRPC; address is host:port.
func grpcCollector(t *testing.T) (address string, exports <-chan received) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	service := &grpcTraces{exports: make(chan received, 1)}
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, service)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String(), service.exports
}

// export sets up tracing, ends one span and shuts down.
func export(t *testing.T, opts tracing.Options) {
	t.Helper()
	p, err := tracing.Setup(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	if !p.Enabled() {
		t.Fatal("tracing is not enabled")
	}
	_, span := p.Messaging().StartPublish(t.Context(), messaging.Publish{Topic: "shop/orders"})
	span.End(nil)
	for range 2 { // the second is to do nothing
		if err := p.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

func one(t *testing.T, exports <-chan received) received {
	t.Helper()
	select {
	case r := <-exports:
		return r
	case <-time.After(20 * time.Second):
		t.Fatal("nothing was exported")
		return received{}
	}
}

func TestSetupExports(t *testing.T) {
	t.Parallel()

	t.Run("by HTTP to the endpoint's traces path, with headers and the service's name", func(t *testing.T) {
		t.Parallel()
		url, exports := httpCollector(t)
		export(t, tracing.Options{
			ServiceName: "checkout", Namespace: "shop", InstanceID: "1", Version: "v1",
			Getenv: env("OTEL_EXPORTER_OTLP_ENDPOINT", url, "OTEL_EXPORTER_OTLP_HEADERS", "x-token=a%20b"),
		})
		got := one(t, exports)
		if got.path != "/v1/traces" || got.header.Get("X-Token") != "a b" || got.spanName() != "publish shop/orders" {
			t.Errorf("path %q, header %q, span %q", got.path, got.header.Get("X-Token"), got.spanName())
		}
		resource := got.resource()
		if resource["service.name"] != "checkout" || resource["service.namespace"] != "shop" ||
			resource["service.instance.id"] != "1" || resource["telemetry.sdk.language"] != "go" {
			t.Errorf("resource = %v", resource)
		}
	})

	t.Run("by HTTP to exactly the URL meant for traces", func(t *testing.T) {
		t.Parallel()
		url, exports := httpCollector(t)
		export(t, tracing.Options{Getenv: env(
			"OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", url+"/in")})
		if got := one(t, exports); got.path != "/in" {
			t.Errorf("path = %q, want /in", got.path)
		}
	})

	t.Run("by gRPC in plaintext to an http URL", func(t *testing.T) {
		t.Parallel()
		address, exports := grpcCollector(t)
		export(t, tracing.Options{Getenv: env(
			"OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+address, "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc",
			"OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")})
		if got := one(t, exports); got.spanName() != "publish shop/orders" {
			t.Errorf("span = %q", got.spanName())
		}
	})

	t.Run("by gRPC to a bare address that is declared insecure", func(t *testing.T) {
		t.Parallel()
		address, exports := grpcCollector(t)
		export(t, tracing.Options{Getenv: env("OTEL_EXPORTER_OTLP_ENDPOINT", address,
			"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "OTEL_EXPORTER_OTLP_INSECURE", "true")})
		one(t, exports)
	})

	t.Run("under the service name of OTEL_RESOURCE_ATTRIBUTES rather than the given one", func(t *testing.T) {
		t.Parallel()
		url, exports := httpCollector(t)
		export(t, tracing.Options{ServiceName: "given", Getenv: env(
			"OTEL_EXPORTER_OTLP_ENDPOINT", url, "OTEL_RESOURCE_ATTRIBUTES", "service.name=attr,team=a%2Cb")})
		if got := one(t, exports).resource(); got["service.name"] != "attr" || got["team"] != "a,b" {
			t.Errorf("resource = %v", got)
		}
	})

	t.Run("under OTEL_SERVICE_NAME rather than any other", func(t *testing.T) {
		t.Parallel()
		url, exports := httpCollector(t)
		export(t, tracing.Options{ServiceName: "given", Getenv: env("OTEL_EXPORTER_OTLP_ENDPOINT", url,
			"OTEL_RESOURCE_ATTRIBUTES", "service.name=attr", "OTEL_SERVICE_NAME", "named")})
		if got := one(t, exports).resource(); got["service.name"] != "named" {
			t.Errorf("resource = %v", got)
		}
	})

	t.Run("to the console as JSON", func(t *testing.T) {
		t.Parallel()
		var out bytes.Buffer
		export(t, tracing.Options{Stdout: &out, Getenv: env("OTEL_TRACES_EXPORTER", "console")})
		var span struct{ Name string }
		if err := json.Unmarshal(out.Bytes(), &span); err != nil || span.Name != "publish shop/orders" {
			t.Errorf("console got %q: %v", out.String(), err)
		}
	})
}

func TestSetupRecordsNothing(t *testing.T) {
	t.Parallel()
	for name, vars := range map[string][]string{
		"without OTLP configuration":            nil,
		"with the exporter none":                {"OTEL_TRACES_EXPORTER", "none", "OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"},
		"with the SDK disabled, in any case":    {"OTEL_SDK_DISABLED", "True", "OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"},
		"with only other signals' exporters on": {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://127.0.0.1:1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := tracing.Setup(t.Context(), tracing.Options{Getenv: env(vars...)})
			if err != nil {
				t.Fatal(err)
			}
			_, span := p.Tracer().Start(t.Context(), "x")
			if p.Enabled() || span.IsRecording() {
				t.Error("spans are recorded")
			}
			if err := p.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestSetupSamples(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		sampler, arg  string
		root, sampled bool // whether a root, and a child of a sampled parent, are sampled
	}{
		"all roots by default":                {"", "", true, true},
		"no root of an unsampled ratio":       {"parentbased_traceidratio", "0", false, true},
		"all with the ratio 1":                {"traceidratio", "", true, true},
		"nothing when always off":             {"always_off", "", false, false},
		"only children when roots are off":    {"parentbased_always_off", "", false, true},
		"by default for Jaeger's remote ones": {"parentbased_jaeger_remote", "endpoint=http://x", true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			p, err := tracing.Setup(t.Context(), tracing.Options{
				Stdout: io.Discard, Logger: slog.New(slog.NewTextHandler(&log, nil)),
				Getenv: env("OTEL_TRACES_EXPORTER", "console", "OTEL_TRACES_SAMPLER", tc.sampler, "OTEL_TRACES_SAMPLER_ARG", tc.arg),
			})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = p.Shutdown(context.Background()) }()
			_, root := p.Tracer().Start(context.Background(), "root")
			_, child := p.Tracer().Start(trace.ContextWithRemoteSpanContext(context.Background(), remote(hop)), "child")
			if root.IsRecording() != tc.root || child.IsRecording() != tc.sampled {
				t.Errorf("root %v, child %v; want %v, %v", root.IsRecording(), child.IsRecording(), tc.root, tc.sampled)
			}
			if warned := strings.Contains(log.String(), "OTEL_TRACES_SAMPLER"); warned != strings.Contains(tc.sampler, "jaeger") {
				t.Errorf("log = %q", log.String())
			}
		})
	}
}

func TestSetupNamesTheVariableThatIsWrong(t *testing.T) {
	t.Parallel()
	noPEM := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(noPEM, []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, value string }{
		{"OTEL_SDK_DISABLED", "yes"},
		{"OTEL_PROPAGATORS", "xray"},
		{"OTEL_TRACES_EXPORTER", "zipkin"},
		{"OTEL_TRACES_SAMPLER", "sometimes"},
		{"OTEL_TRACES_SAMPLER_ARG", "NaN"},
		{"OTEL_RESOURCE_ATTRIBUTES", "novalue"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318"},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "ftp://x"},
		{"OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"},
		{"OTEL_EXPORTER_OTLP_HEADERS", "a=%zz"},
		{"OTEL_EXPORTER_OTLP_TIMEOUT", "10s"},
		{"OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"},
		{"OTEL_EXPORTER_OTLP_CERTIFICATE", noPEM},
		{"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "missing.pem"},
		{"OTEL_BSP_SCHEDULE_DELAY", "0"},
		{"OTEL_BSP_MAX_QUEUE_SIZE", "-1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			base := env("OTEL_EXPORTER_OTLP_ENDPOINT", "https://127.0.0.1:1", "OTEL_TRACES_SAMPLER", "traceidratio")
			p, err := tracing.Setup(t.Context(), tracing.Options{Getenv: func(name string) string {
				if name == tc.name {
					return tc.value
				}
				return base(name)
			}})
			if err == nil || p != nil || !strings.Contains(err.Error(), tc.name) {
				t.Errorf("provider %v, error %v; want an error naming %s", p, err, tc.name)
			}
		})
	}

	t.Run("and all of them at once", func(t *testing.T) {
		t.Parallel()
		_, err := tracing.Setup(t.Context(), tracing.Options{Getenv: env(
			"OTEL_EXPORTER_OTLP_ENDPOINT", "nonsense", "OTEL_TRACES_SAMPLER", "nonsense")})
		if err == nil || !strings.Contains(err.Error(), "OTEL_EXPORTER_OTLP_ENDPOINT") || !strings.Contains(err.Error(), "OTEL_TRACES_SAMPLER") {
			t.Errorf("error = %v, want both variables", err)
		}
	})
}

func TestPropagatorsOfTheEnvironment(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"":                     "traceparent",
		"b3":                   "b3",
		"b3multi":              "x-b3-traceid",
		"tracecontext,baggage": "traceparent",
		"none":                 "",
	} {
		t.Run("written for "+value, func(t *testing.T) {
			t.Parallel()
			p, err := tracing.Setup(t.Context(), tracing.Options{Getenv: env("OTEL_PROPAGATORS", value)})
			if err != nil {
				t.Fatal(err)
			}
			carrier := http.Header{}
			ctx := trace.ContextWithRemoteSpanContext(context.Background(), remote(hop))
			p.Propagator().Inject(ctx, headerCarrier(carrier))
			if want == "" && len(carrier) != 0 || want != "" && carrier.Get(want) == "" {
				t.Errorf("carrier = %v, want %q", carrier, want)
			}
		})
	}
}

type headerCarrier http.Header

func (c headerCarrier) Get(key string) string { return http.Header(c).Get(key) }
func (c headerCarrier) Set(key, value string) { http.Header(c).Set(key, value) }
func (c headerCarrier) Keys() []string        { return nil }

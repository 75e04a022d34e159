package tracing

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/url"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc/credentials"
)

// The variables of OTLP that say where to and how; see
// https://opentelemetry.io/docs/specs/otel/protocol/exporter/.
const (
	varPrefix   = "OTEL_EXPORTER_OTLP_"
	varEndpoint = varPrefix + "ENDPOINT"
)

// signal is a kind of telemetry with variables of its own.
type signal struct {
	infix string // of its variables
	path  string // of OTLP by HTTP
}

var (
	signalTraces  = signal{"TRACES_", "/v1/traces"}
	signalMetrics = signal{"METRICS_", "/v1/metrics"}
)

// own names the signal's own variable of an option.
func (s signal) own(option string) string { return varPrefix + s.infix + option }

// either names the variables of an option; the signal's own one wins.
func (s signal) either(option string) []string { return []string{s.own(option), varPrefix + option} }

const (
	protocolGRPC = "grpc"
	protocolHTTP = "http/protobuf"
	portGRPC     = "4317"
)

// otlpTarget is an OTLP receiver as the environment describes it.
type otlpTarget struct {
	protocol string
	host     string // host:port
	path     string // of http/protobuf
	plain    bool   // without TLS
	headers  map[string]string
	timeout  time.Duration
	gzip     bool
	tls      *tls.Config
}

// otlp reads every variable of a signal's OTLP exporter. The SDK's own reading is
// overridden by it: that one takes https where nothing is said and ignores what it
// cannot understand.
func (e *environment) otlp(s signal) otlpTarget {
	t := otlpTarget{timeout: e.millis(10*time.Second, s.either("TIMEOUT")...)}
	t.protocol = e.protocol(s)
	e.endpoint(s, &t)
	t.headers = make(map[string]string)
	for _, p := range e.pairs(s.either("HEADERS")...) {
		t.headers[p.key] = p.value
	}
	switch value, name := e.first(s.either("COMPRESSION")...); value {
	case "", "none":
	case "gzip":
		t.gzip = true
	default:
		e.fail(name, value, "gzip or none")
	}
	if !t.plain {
		t.tls = e.tls(s)
	}
	return t
}

// protocol returns what is said, or what port 4317 says, or http/protobuf.
func (e *environment) protocol(s signal) string {
	value, name := e.first(s.either("PROTOCOL")...)
	switch value {
	case protocolGRPC, protocolHTTP:
		return value
	case "":
		endpoint, _ := e.first(s.either("ENDPOINT")...)
		if strings.HasSuffix(strings.TrimSuffix(endpoint, "/"), ":"+portGRPC) {
			return protocolGRPC
		}
		return protocolHTTP
	}
	e.fail(name, value, "grpc or http/protobuf")
	return protocolHTTP
}

// endpoint reads where to send. http:// means plaintext, https:// TLS; a bare
// host:port, which only gRPC takes, is TLS unless OTEL_EXPORTER_OTLP_INSECURE.
func (e *environment) endpoint(s signal, t *otlpTarget) {
	value, name := e.first(s.either("ENDPOINT")...)
	if value == "" {
		value, name = "http://localhost:4318", varEndpoint
		if t.protocol == protocolGRPC {
			value = "http://localhost:" + portGRPC
		}
	}
	if t.protocol == protocolGRPC && !strings.Contains(value, "://") {
		t.host = value
		t.plain = e.flag(s.either("INSECURE")...)
		return
	}
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		e.fail(name, value, "a URL like http://localhost:4318, with http:// for plaintext and https:// for TLS")
		return
	}
	t.host, t.plain, t.path = u.Host, u.Scheme == "http", u.Path
	if u.Port() == "" && t.protocol == protocolGRPC {
		t.host += ":" + portGRPC
	}
	if name == varEndpoint {
		t.path = strings.TrimSuffix(t.path, "/") + s.path
	}
	if t.path == "" {
		t.path = "/"
	}
}

// tls reads the certificate files; the system's roots are used where none is named.
func (e *environment) tls(s signal) *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	file, name := e.first(s.either("CERTIFICATE")...)
	if file != "" {
		pem, err := os.ReadFile(file)
		config.RootCAs = x509.NewCertPool()
		if err != nil || !config.RootCAs.AppendCertsFromPEM(pem) {
			e.fail(name, file, "a readable file with PEM certificates")
		}
	}
	cert, name := e.first(s.either("CLIENT_CERTIFICATE")...)
	key, _ := e.first(s.either("CLIENT_KEY")...)
	if cert != "" || key != "" {
		own, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			e.fail(name, cert, "a PEM certificate, with its key in the variable ending in CLIENT_KEY")
		}
		config.Certificates = []tls.Certificate{own}
	}
	return config
}

func (t otlpTarget) exporter(ctx context.Context) (sdktrace.SpanExporter, error) {
	if t.protocol == protocolGRPC {
		return otlptracegrpc.New(ctx, t.grpcOptions()...)
	}
	return otlptracehttp.New(ctx, t.httpOptions()...)
}

func (t otlpTarget) grpcOptions() []otlptracegrpc.Option {
	opts := []otlptracegrpc.Option{
		otlptracegrpc.WithEndpoint(t.host),
		otlptracegrpc.WithHeaders(t.headers),
		otlptracegrpc.WithTimeout(t.timeout),
	}
	if t.gzip {
		opts = append(opts, otlptracegrpc.WithCompressor("gzip"))
	}
	if t.plain {
		return append(opts, otlptracegrpc.WithInsecure())
	}
	return append(opts, otlptracegrpc.WithTLSCredentials(credentials.NewTLS(t.tls)))
}

func (t otlpTarget) httpOptions() []otlptracehttp.Option {
	opts := []otlptracehttp.Option{
		otlptracehttp.WithEndpoint(t.host),
		otlptracehttp.WithURLPath(t.path),
		otlptracehttp.WithHeaders(t.headers),
		otlptracehttp.WithTimeout(t.timeout),
	}
	if t.gzip {
		opts = append(opts, otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
	}
	if t.plain {
		return append(opts, otlptracehttp.WithInsecure())
	}
	return append(opts, otlptracehttp.WithTLSClientConfig(t.tls))
}

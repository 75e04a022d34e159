package environment

import (
	"crypto/tls"
	"crypto/x509"
	"net/url"
	"os"
	"strings"
	"time"
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
	traces  = signal{"TRACES_", "/v1/traces"}
	metrics = signal{"METRICS_", "/v1/metrics"}
)

// own names the signal's own variable of an option.
func (s signal) own(option string) string { return varPrefix + s.infix + option }

// either names the variables of an option; the signal's own one wins.
func (s signal) either(option string) []string { return []string{s.own(option), varPrefix + option} }

// Protocols of OTLP.
const (
	GRPC = "grpc"
	HTTP = "http/protobuf"
)

const portGRPC = "4317"

// Target is an OTLP receiver.
type Target struct {
	Protocol string // GRPC or HTTP
	Host     string // host:port
	Path     string // of HTTP
	Plain    bool   // without TLS
	Headers  map[string]string
	Timeout  time.Duration // of one export
	Gzip     bool
	TLS      *tls.Config // nil when Plain
}

// otlp reads every variable of a signal's OTLP exporter. The SDK's own reading is
// overridden by it: that one takes https where nothing is said and ignores what it
// cannot understand.
func (r *Reader) otlp(s signal) Target {
	t := Target{Timeout: r.millis(10*time.Second, s.either("TIMEOUT")...)}
	t.Protocol = r.protocol(s)
	r.endpoint(s, &t)
	t.Headers = make(map[string]string)
	for _, p := range r.pairs(s.either("HEADERS")...) {
		t.Headers[p.key] = p.value
	}
	switch value, name := r.first(s.either("COMPRESSION")...); value {
	case "", "none":
	case "gzip":
		t.Gzip = true
	default:
		r.fail(name, value, "gzip or none")
	}
	if !t.Plain {
		t.TLS = r.tls(s)
	}
	return t
}

// protocol returns what is said, or what port 4317 says, or http/protobuf.
func (r *Reader) protocol(s signal) string {
	value, name := r.first(s.either("PROTOCOL")...)
	switch value {
	case GRPC, HTTP:
		return value
	case "":
		endpoint, _ := r.first(s.either("ENDPOINT")...)
		if strings.HasSuffix(strings.TrimSuffix(endpoint, "/"), ":"+portGRPC) {
			return GRPC
		}
		return HTTP
	}
	r.fail(name, value, "grpc or http/protobuf")
	return HTTP
}

// endpoint reads where to send. http:// means plaintext, https:// TLS; a bare
// host:port, which only gRPC takes, is TLS unless OTEL_EXPORTER_OTLP_INSECURE.
func (r *Reader) endpoint(s signal, t *Target) {
	value, name := r.first(s.either("ENDPOINT")...)
	if value == "" {
		value, name = "http://localhost:4318", varEndpoint
		if t.Protocol == GRPC {
			value = "http://localhost:" + portGRPC
		}
	}
	if t.Protocol == GRPC && !strings.Contains(value, "://") {
		t.Host = value
		t.Plain = r.flag(s.either("INSECURE")...)
		return
	}
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		r.fail(name, value, "a URL like http://localhost:4318, with http:// for plaintext and https:// for TLS")
		return
	}
	t.Host, t.Plain, t.Path = u.Host, u.Scheme == "http", u.Path
	if u.Port() == "" && t.Protocol == GRPC {
		t.Host += ":" + portGRPC
	}
	if name == varEndpoint {
		t.Path = strings.TrimSuffix(t.Path, "/") + s.path
	}
	if t.Path == "" {
		t.Path = "/"
	}
}

// tls reads the certificate files; the system's roots are used where none is named.
func (r *Reader) tls(s signal) *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	file, name := r.first(s.either("CERTIFICATE")...)
	if file != "" {
		pem, err := os.ReadFile(file)
		config.RootCAs = x509.NewCertPool()
		if err != nil || !config.RootCAs.AppendCertsFromPEM(pem) {
			r.fail(name, file, "a readable file with PEM certificates")
		}
	}
	cert, name := r.first(s.either("CLIENT_CERTIFICATE")...)
	key, _ := r.first(s.either("CLIENT_KEY")...)
	if cert != "" || key != "" {
		own, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			r.fail(name, cert, "a PEM certificate, with its key in the variable ending in CLIENT_KEY")
		}
		config.Certificates = []tls.Certificate{own}
	}
	return config
}

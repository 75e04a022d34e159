package export

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc/credentials"

	"github.com/warrenmesh/warren/tracing/internal/environment"
)

// Spans builds the exporters of traces and hands tp's spans to them in batches. Failures
// of exporters go to log; the console exporter writes to stdout. When Spans fails the
// caller shuts tp down, and with it what was attached before.
func Spans(
	ctx context.Context, traces environment.Traces, tp *sdktrace.TracerProvider, log *slog.Logger, stdout io.Writer,
) error {
	for _, kind := range traces.Kinds {
		exporter, err := spanExporter(ctx, kind, traces.Target, stdout)
		if err != nil {
			return fmt.Errorf("set up exporter %q: %w", kind, err)
		}
		reporter := &reporter{next: exporter, log: log, kind: kind}
		tp.RegisterSpanProcessor(sdktrace.NewBatchSpanProcessor(reporter, traces.Batching...))
	}
	return nil
}

func spanExporter(ctx context.Context, kind string, t environment.Target, stdout io.Writer) (sdktrace.SpanExporter, error) {
	switch {
	case kind == environment.Console:
		return stdouttrace.New(stdouttrace.WithWriter(stdout))
	case t.Protocol == environment.GRPC:
		return otlptracegrpc.New(ctx, grpcOptions(t)...)
	}
	return otlptracehttp.New(ctx, httpOptions(t)...)
}

func grpcOptions(t environment.Target) []otlptracegrpc.Option {
	opts := []otlptracegrpc.Option{
		otlptracegrpc.WithEndpoint(t.Host),
		otlptracegrpc.WithHeaders(t.Headers),
		otlptracegrpc.WithTimeout(t.Timeout),
	}
	if t.Gzip {
		opts = append(opts, otlptracegrpc.WithCompressor("gzip"))
	}
	if t.Plain {
		return append(opts, otlptracegrpc.WithInsecure())
	}
	return append(opts, otlptracegrpc.WithTLSCredentials(credentials.NewTLS(t.TLS)))
}

func httpOptions(t environment.Target) []otlptracehttp.Option {
	opts := []otlptracehttp.Option{
		otlptracehttp.WithEndpoint(t.Host),
		otlptracehttp.WithURLPath(t.Path),
		otlptracehttp.WithHeaders(t.Headers),
		otlptracehttp.WithTimeout(t.Timeout),
	}
	if t.Gzip {
		opts = append(opts, otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
	}
	if t.Plain {
		return append(opts, otlptracehttp.WithInsecure())
	}
	return append(opts, otlptracehttp.WithTLSClientConfig(t.TLS))
}

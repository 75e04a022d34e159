package export

import (
	"context"
	"fmt"
	"log/slog"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"google.golang.org/grpc/credentials"

	"github.com/warrenmesh/warren/tracing/internal/environment"
)

// Push returns the reader that pushes metrics by OTLP. Failures of pushes go to log.
func Push(ctx context.Context, metrics environment.Metrics, log *slog.Logger) (sdkmetric.Reader, error) {
	exporter, err := metricExporter(ctx, metrics.Target)
	if err != nil {
		return nil, fmt.Errorf("set up exporter %q of metrics: %w", environment.OTLP, err)
	}
	reporter := &metricReporter{Exporter: exporter, log: log, kind: environment.OTLP}
	return sdkmetric.NewPeriodicReader(reporter, sdkmetric.WithInterval(metrics.Interval), sdkmetric.WithTimeout(metrics.Timeout)), nil
}

func metricExporter(ctx context.Context, t environment.Target) (sdkmetric.Exporter, error) {
	if t.Protocol == environment.GRPC {
		return otlpmetricgrpc.New(ctx, metricGRPCOptions(t)...)
	}
	return otlpmetrichttp.New(ctx, metricHTTPOptions(t)...)
}

func metricGRPCOptions(t environment.Target) []otlpmetricgrpc.Option {
	opts := []otlpmetricgrpc.Option{
		otlpmetricgrpc.WithEndpoint(t.Host),
		otlpmetricgrpc.WithHeaders(t.Headers),
		otlpmetricgrpc.WithTimeout(t.Timeout),
	}
	if t.Gzip {
		opts = append(opts, otlpmetricgrpc.WithCompressor("gzip"))
	}
	if t.Plain {
		return append(opts, otlpmetricgrpc.WithInsecure())
	}
	return append(opts, otlpmetricgrpc.WithTLSCredentials(credentials.NewTLS(t.TLS)))
}

func metricHTTPOptions(t environment.Target) []otlpmetrichttp.Option {
	opts := []otlpmetrichttp.Option{
		otlpmetrichttp.WithEndpoint(t.Host),
		otlpmetrichttp.WithURLPath(t.Path),
		otlpmetrichttp.WithHeaders(t.Headers),
		otlpmetrichttp.WithTimeout(t.Timeout),
	}
	if t.Gzip {
		opts = append(opts, otlpmetrichttp.WithCompression(otlpmetrichttp.GzipCompression))
	}
	if t.Plain {
		return append(opts, otlpmetrichttp.WithInsecure())
	}
	return append(opts, otlpmetrichttp.WithTLSClientConfig(t.TLS))
}

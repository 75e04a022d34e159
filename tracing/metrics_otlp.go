package tracing

import (
	"context"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"google.golang.org/grpc/credentials"
)

func (t otlpTarget) metricExporter(ctx context.Context) (sdkmetric.Exporter, error) {
	if t.protocol == protocolGRPC {
		return otlpmetricgrpc.New(ctx, t.metricGRPCOptions()...)
	}
	return otlpmetrichttp.New(ctx, t.metricHTTPOptions()...)
}

func (t otlpTarget) metricGRPCOptions() []otlpmetricgrpc.Option {
	opts := []otlpmetricgrpc.Option{
		otlpmetricgrpc.WithEndpoint(t.host),
		otlpmetricgrpc.WithHeaders(t.headers),
		otlpmetricgrpc.WithTimeout(t.timeout),
	}
	if t.gzip {
		opts = append(opts, otlpmetricgrpc.WithCompressor("gzip"))
	}
	if t.plain {
		return append(opts, otlpmetricgrpc.WithInsecure())
	}
	return append(opts, otlpmetricgrpc.WithTLSCredentials(credentials.NewTLS(t.tls)))
}

func (t otlpTarget) metricHTTPOptions() []otlpmetrichttp.Option {
	opts := []otlpmetrichttp.Option{
		otlpmetrichttp.WithEndpoint(t.host),
		otlpmetrichttp.WithURLPath(t.path),
		otlpmetrichttp.WithHeaders(t.headers),
		otlpmetrichttp.WithTimeout(t.timeout),
	}
	if t.gzip {
		opts = append(opts, otlpmetrichttp.WithCompression(otlpmetrichttp.GzipCompression))
	}
	if t.plain {
		return append(opts, otlpmetrichttp.WithInsecure())
	}
	return append(opts, otlpmetrichttp.WithTLSClientConfig(t.tls))
}

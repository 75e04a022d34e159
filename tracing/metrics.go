package tracing

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"

	runtimemetrics "go.opentelemetry.io/contrib/instrumentation/runtime"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/warrenmesh/warren/tracing/conventions"
	"github.com/warrenmesh/warren/tracing/internal/environment"
	"github.com/warrenmesh/warren/tracing/internal/export"
)

// maxSeries bounds the attribute sets of one instrument; further ones are summed up in
// one series with otel_metric_overflow="true".
const maxSeries = 2000

// meters is a process's metrics. The zero value measures nothing.
type meters struct {
	provider metric.MeterProvider
	scrape   http.Handler
	shutdown func(context.Context) error // nil when nothing needs to be shut down
}

// MeterProvider makes meters; one that measures nothing when metrics are off.
func (p *Provider) MeterProvider() metric.MeterProvider {
	if p.meters.provider == nil {
		return metricnoop.NewMeterProvider()
	}
	return p.meters.provider
}

// MetricsHandler answers a Prometheus scrape, in OpenMetrics with exemplars when
// the scraper takes that; 404 when metrics are off.
func (p *Provider) MetricsHandler() http.Handler {
	if p.meters.scrape == nil {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "metrics are off, by OTEL_METRICS_EXPORTER=none or OTEL_SDK_DISABLED=true", http.StatusNotFound)
		})
	}
	return p.meters.scrape
}

// measures reports whether metrics are on.
func (p *Provider) measures() bool { return p.meters.provider != nil }

// measure builds the instruments' way out and begins to measure the Go runtime.
func measure(ctx context.Context, m environment.Metrics, res *resource.Resource, opts Options) (meters, error) {
	if m.Off {
		return meters{}, nil
	}
	scraped, handler, err := export.Scrape(opts.Logger)
	if err != nil {
		return meters{}, err
	}
	readers := []sdkmetric.Option{sdkmetric.WithReader(scraped)}
	if m.Push {
		pushed, err := export.Push(ctx, m, opts.Logger)
		if err != nil {
			return meters{}, err
		}
		readers = append(readers, sdkmetric.WithReader(pushed))
	}
	mp := sdkmetric.NewMeterProvider(slices.Concat(readers, []sdkmetric.Option{
		sdkmetric.WithResource(componentOf(res, opts)), sdkmetric.WithCardinalityLimit(maxSeries), sdkmetric.WithExemplarFilter(m.Filter),
	})...)
	out := meters{provider: mp, scrape: handler, shutdown: mp.Shutdown}
	if err := measureProcess(mp, opts); err != nil {
		return meters{}, errors.Join(err, mp.Shutdown(ctx))
	}
	return out, nil
}

// componentOf adds warren.component to the resource: spans bear it themselves, but
// of metrics only target_info can tell a sidecar's from its service's own.
func componentOf(res *resource.Resource, opts Options) *resource.Resource {
	attrs := conventions.AppendString(res.Attributes(), conventions.KeyComponent, opts.Component)
	return resource.NewWithAttributes(res.SchemaURL(), attrs...)
}

// measureProcess adds what is known without anybody's help: which build this is,
// and how the Go runtime does.
func measureProcess(mp metric.MeterProvider, opts Options) error {
	if err := runtimemetrics.Start(runtimemetrics.WithMeterProvider(mp)); err != nil {
		return fmt.Errorf("measure the Go runtime: %w", err)
	}
	build := metric.WithAttributes(buildAttributes(opts)...)
	_, err := mp.Meter(conventions.ScopeName).Int64ObservableGauge("warren.build.info",
		metric.WithDescription("Always 1; its attributes say which build this is."),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(1, build)
			return nil
		}))
	if err != nil {
		return fmt.Errorf("measure the build: %w", err)
	}
	return nil
}

// Keys of warren.build.info.
const (
	keyVersion   = attribute.Key("version")
	keyRevision  = attribute.Key("revision")
	keyGoVersion = attribute.Key("goversion")
)

// buildAttributes has the names Prometheus's own *_build_info metrics use.
func buildAttributes(opts Options) []attribute.KeyValue {
	attrs := []attribute.KeyValue{keyVersion.String(opts.Version), keyGoVersion.String(runtime.Version())}
	attrs = conventions.AppendString(attrs, keyRevision, opts.Commit)
	return conventions.AppendString(attrs, conventions.KeyComponent, opts.Component)
}

package export

import (
	"context"
	"log/slog"
	"sync"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// reportEvery is the least time between two complaints about one exporter.
const reportEvery = 30 * time.Second

// reporter is an exporter that logs the failures of another one, rarely, and
// hides them from the SDK, whose error handler is one global for the process.
type reporter struct {
	next  sdktrace.SpanExporter
	log   *slog.Logger
	kind  string
	trend trend
}

// ExportSpans implements sdktrace.SpanExporter. It never fails: a batch that could
// not be sent is lost and counted.
func (r *reporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := r.next.ExportSpans(ctx, spans)
	switch news, lost := r.trend.observe(len(spans), err); news {
	case worse:
		r.log.Warn("spans are lost", "exporter", r.kind, "lost", lost, "error", err)
	case better:
		r.log.Info("spans are exported again", "exporter", r.kind, "lost", lost)
	}
	return nil
}

// Shutdown implements sdktrace.SpanExporter.
func (r *reporter) Shutdown(ctx context.Context) error { return r.next.Shutdown(ctx) }

// metricReporter is the same for metrics. Values are sums since the start, so a
// round that could not be sent loses no count, only a point in time.
type metricReporter struct {
	sdkmetric.Exporter
	log   *slog.Logger
	kind  string
	trend trend
}

// Export implements sdkmetric.Exporter. It never fails.
func (r *metricReporter) Export(ctx context.Context, metrics *metricdata.ResourceMetrics) error {
	err := r.Exporter.Export(ctx, metrics)
	switch news, rounds := r.trend.observe(1, err); news {
	case worse:
		r.log.Warn("metrics are not exported", "exporter", r.kind, "rounds", rounds, "error", err)
	case better:
		r.log.Info("metrics are exported again", "exporter", r.kind)
	}
	return nil
}

// news is what there is to say about an exporter after an export.
type news int

const (
	nothing news = iota
	worse        // it fails, and that was not said for a while
	better       // it works again
)

// trend remembers how the last exports went. The zero value has seen none.
type trend struct {
	mu      sync.Mutex
	lost    int // since the last complaint
	failing bool
	told    time.Time
}

// observe takes the result of exporting n things and returns what to say and how
// many were lost since the last time something was said.
func (t *trend) observe(n int, err error) (say news, lost int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		if t.failing {
			say, lost = better, t.lost
		}
		t.failing, t.lost = false, 0
		return say, lost
	}
	t.failing = true
	t.lost += n
	if now := time.Now(); t.told.IsZero() || now.Sub(t.told) >= reportEvery {
		t.told = now
		say, lost = worse, t.lost
		t.lost = 0
	}
	return say, lost
}

package tracing

import (
	"context"
	"log/slog"
	"sync"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// reportEvery is the least time between two complaints about one exporter.
const reportEvery = 30 * time.Second

// reporter is an exporter that logs the failures of another one, rarely, and
// hides them from the SDK, whose error handler is one global for the process.
type reporter struct {
	next sdktrace.SpanExporter
	log  *slog.Logger
	kind string

	mu      sync.Mutex
	lost    int // spans since the last complaint
	failing bool
	told    time.Time
}

// ExportSpans implements sdktrace.SpanExporter. It never fails: a batch that could
// not be sent is lost and counted.
func (r *reporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	r.observe(len(spans), r.next.ExportSpans(ctx, spans))
	return nil
}

// Shutdown implements sdktrace.SpanExporter.
func (r *reporter) Shutdown(ctx context.Context) error { return r.next.Shutdown(ctx) }

func (r *reporter) observe(spans int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		if r.failing {
			r.log.Info("spans are exported again", "exporter", r.kind, "lost", r.lost)
		}
		r.failing, r.lost = false, 0
		return
	}
	r.failing = true
	r.lost += spans
	if now := time.Now(); r.told.IsZero() || now.Sub(r.told) >= reportEvery {
		r.told = now
		r.log.Warn("spans are lost", "exporter", r.kind, "lost", r.lost, "error", err)
		r.lost = 0
	}
}

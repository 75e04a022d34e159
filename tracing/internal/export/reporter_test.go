package export

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

type failing struct{ err error }

func (f *failing) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { return f.err }
func (f *failing) Shutdown(context.Context) error                             { return nil }

func TestReporterComplainsRarely(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		exporter := &failing{err: errors.New("connection refused")}
		r := &reporter{next: exporter, log: slog.New(slog.NewTextHandler(&log, nil)), kind: "otlp"}
		spans := make([]sdktrace.ReadOnlySpan, 4)
		for range 61 { // one try each second: complaints at 0, 30 and 60 seconds
			if err := r.ExportSpans(t.Context(), spans); err != nil {
				t.Fatalf("error reached the SDK: %v", err)
			}
			<-time.After(time.Second)
		}
		if got := strings.Count(log.String(), "spans are lost"); got != 3 {
			t.Errorf("%d complaints, want 3:\n%s", got, log.String())
		}
		if !strings.Contains(log.String(), "lost=120") {
			t.Errorf("no complaint counts 30 batches of 4:\n%s", log.String())
		}
		exporter.err = nil
		for range 2 {
			_ = r.ExportSpans(t.Context(), spans)
		}
		if got := strings.Count(log.String(), "exported again"); got != 1 {
			t.Errorf("%d recoveries logged, want 1:\n%s", got, log.String())
		}
	})
}

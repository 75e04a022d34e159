package environment

import (
	"slices"
	"strings"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Kinds of exporters.
const (
	OTLP    = "otlp"
	Console = "console"
	none    = "none"
)

// Traces is the way from ended spans to exporters.
type Traces struct {
	Kinds    []string // OTLP or Console, each once; none when nothing is to be recorded
	Target   Target   // of OTLP
	Batching []sdktrace.BatchSpanProcessorOption
}

// Traces reads the variables of traces. Nothing is exported unless an OTLP endpoint or
// protocol, or OTEL_TRACES_EXPORTER, is set.
func (r *Reader) Traces() Traces {
	t := Traces{Kinds: r.exporters()}
	if len(t.Kinds) == 0 {
		return t
	}
	if slices.Contains(t.Kinds, OTLP) {
		t.Target = r.otlp(traces)
	}
	t.Batching = []sdktrace.BatchSpanProcessorOption{
		sdktrace.WithBatchTimeout(r.millis(5*time.Second, "OTEL_BSP_SCHEDULE_DELAY")),
		sdktrace.WithExportTimeout(r.millis(30*time.Second, "OTEL_BSP_EXPORT_TIMEOUT")),
		sdktrace.WithMaxQueueSize(r.count(sdktrace.DefaultMaxQueueSize, "OTEL_BSP_MAX_QUEUE_SIZE")),
		sdktrace.WithMaxExportBatchSize(r.count(sdktrace.DefaultMaxExportBatchSize, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE")),
	}
	return t
}

// exporters reads which exporters are wanted; the default is none.
func (r *Reader) exporters() []string {
	const name = "OTEL_TRACES_EXPORTER"
	wanted := r.list(name)
	if len(wanted) == 0 {
		if r.mentionsOTLP() {
			return []string{OTLP}
		}
		return nil
	}
	var kinds []string
	for _, kind := range wanted {
		switch kind = strings.ToLower(kind); kind {
		case OTLP, Console:
			if !slices.Contains(kinds, kind) {
				kinds = append(kinds, kind)
			}
		case none:
			return nil
		default:
			r.fail(name, kind, "otlp, console or none")
		}
	}
	return kinds
}

// mentionsOTLP reports whether somebody configured OTLP for traces.
func (r *Reader) mentionsOTLP() bool {
	value, _ := r.first(append(traces.either("ENDPOINT"), traces.either("PROTOCOL")...)...)
	return value != ""
}

package tracing

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

const (
	exporterOTLP    = "otlp"
	exporterConsole = "console"
	exporterNone    = "none"
)

// exporters reads which exporters are wanted; the default is none.
func (e *environment) exporters() []string {
	const name = "OTEL_TRACES_EXPORTER"
	wanted := e.list(name)
	if len(wanted) == 0 {
		if e.mentionsOTLP() {
			return []string{exporterOTLP}
		}
		return nil
	}
	var kinds []string
	for _, kind := range wanted {
		switch kind = strings.ToLower(kind); kind {
		case exporterOTLP, exporterConsole:
			if !slices.Contains(kinds, kind) {
				kinds = append(kinds, kind)
			}
		case exporterNone:
			return nil
		default:
			e.fail(name, kind, "otlp, console or none")
		}
	}
	return kinds
}

// mentionsOTLP reports whether somebody configured OTLP for traces.
func (e *environment) mentionsOTLP() bool {
	value, _ := e.first(append(signalTraces.either("ENDPOINT"), signalTraces.either("PROTOCOL")...)...)
	return value != ""
}

// pipeline is the way from ended spans to exporters, as the environment wants it.
type pipeline struct {
	kinds    []string
	target   otlpTarget
	batching []sdktrace.BatchSpanProcessorOption
}

func (e *environment) pipeline() pipeline {
	p := pipeline{kinds: e.exporters()}
	if len(p.kinds) == 0 {
		return p
	}
	if slices.Contains(p.kinds, exporterOTLP) {
		p.target = e.otlp(signalTraces)
	}
	p.batching = []sdktrace.BatchSpanProcessorOption{
		sdktrace.WithBatchTimeout(e.millis(5*time.Second, "OTEL_BSP_SCHEDULE_DELAY")),
		sdktrace.WithExportTimeout(e.millis(30*time.Second, "OTEL_BSP_EXPORT_TIMEOUT")),
		sdktrace.WithMaxQueueSize(e.count(sdktrace.DefaultMaxQueueSize, "OTEL_BSP_MAX_QUEUE_SIZE")),
		sdktrace.WithMaxExportBatchSize(e.count(sdktrace.DefaultMaxExportBatchSize, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE")),
	}
	return p
}

// attach builds the exporters and hands tp's spans to them in batches. When it
// fails the caller shuts tp down, and with it what was attached before.
func (p pipeline) attach(ctx context.Context, tp *sdktrace.TracerProvider, opts Options) error {
	for _, kind := range p.kinds {
		exporter, err := p.exporter(ctx, kind, opts)
		if err != nil {
			return fmt.Errorf("set up exporter %q: %w", kind, err)
		}
		reporter := &reporter{next: exporter, log: opts.Logger, kind: kind}
		tp.RegisterSpanProcessor(sdktrace.NewBatchSpanProcessor(reporter, p.batching...))
	}
	return nil
}

func (p pipeline) exporter(ctx context.Context, kind string, opts Options) (sdktrace.SpanExporter, error) {
	if kind == exporterConsole {
		return stdouttrace.New(stdouttrace.WithWriter(opts.Stdout))
	}
	return p.target.exporter(ctx)
}

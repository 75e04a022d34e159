package tracing

import (
	"context"
	"errors"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/warrenmesh/warren/tracing/conventions"
	"github.com/warrenmesh/warren/tracing/internal/environment"
	"github.com/warrenmesh/warren/tracing/internal/export"
	"github.com/warrenmesh/warren/tracing/internal/sampling"
)

// Setup reads the OTEL_* variables and returns the telemetry they ask for. Without
// an exporter, and with OTEL_SDK_DISABLED, that is tracing that records nothing and
// still passes trace context on. Metrics are there to be scraped unless
// OTEL_METRICS_EXPORTER is "none". Exporters connect in the background: a collector
// that is away is no error. A variable that cannot be understood is; all of them
// are joined. Setup keeps no reference to ctx.
//
// Differences to the specification, which wants OTLP without being asked: there is
// no exporter unless an OTLP endpoint, protocol or OTEL_TRACES_EXPORTER is set,
// and an endpoint on port 4317 without a protocol is spoken to by gRPC.
func Setup(ctx context.Context, opts Options) (*Provider, error) {
	opts = opts.withDefaults()
	env := environment.New(opts.Getenv)
	disabled := env.Disabled()
	prop := env.Propagator()
	var (
		traces  environment.Traces
		res     *resource.Resource
		sampler sdktrace.Sampler
		metrics = environment.Metrics{Off: true}
	)
	if !disabled {
		traces, res, sampler, metrics = env.Traces(), env.Resource(service(opts)...), env.Sampler(opts.Logger), env.Metrics()
	}
	if err := env.Err(); err != nil {
		return nil, err
	}
	meters, err := measure(ctx, metrics, res, opts)
	if err != nil {
		return nil, err
	}
	if len(traces.Kinds) == 0 {
		p := newProvider(noop.NewTracerProvider(), prop, false, nil, opts)
		p.meters = meters
		return p, nil
	}
	early := sampling.New(sampler)
	tp := sdktrace.NewTracerProvider(sdktrace.WithResource(res), sdktrace.WithSampler(sampler), sdktrace.WithIDGenerator(early))
	// A sampler tells only by its description what it does with a parent that is not sampled.
	// Should that read otherwise one day, spans are begun as before, and dropped.
	opts.inherits = strings.Contains(sampler.Description(), "remoteParentNotSampled:AlwaysOffSampler")
	p := newProvider(tp, prop, true, early.Drop, opts)
	p.meters, p.shutdown = meters, tp.Shutdown
	if err := export.Spans(ctx, traces, tp, opts.Logger, opts.Stdout); err != nil {
		return nil, errors.Join(err, p.Shutdown(ctx))
	}
	return p, nil
}

// service is what opts say about the service.
func service(opts Options) []attribute.KeyValue {
	attrs := conventions.AppendString(nil, semconv.ServiceNameKey, opts.ServiceName)
	attrs = conventions.AppendString(attrs, semconv.ServiceNamespaceKey, opts.Namespace)
	return conventions.AppendString(attrs, semconv.ServiceInstanceIDKey, opts.InstanceID)
}

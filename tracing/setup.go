package tracing

import (
	"context"
	"errors"
	"strings"

	"go.opentelemetry.io/contrib/propagators/b3"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/warrenmesh/warren/tracing/conventions"
	"github.com/warrenmesh/warren/tracing/tracecontext"
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
	env := &environment{get: opts.Getenv}
	disabled := env.flag("OTEL_SDK_DISABLED")
	prop := env.propagator()
	var (
		pipe      pipeline
		res       *resource.Resource
		sampler   sdktrace.Sampler
		measuring = measuring{off: true}
	)
	if !disabled {
		pipe, res, sampler, measuring = env.pipeline(), env.resource(opts), env.sampler(opts.Logger), env.metrics()
	}
	if len(env.errs) > 0 {
		return nil, errors.Join(env.errs...)
	}
	meters, err := measuring.start(ctx, res, opts)
	if err != nil {
		return nil, err
	}
	if len(pipe.kinds) == 0 {
		p := newProvider(noop.NewTracerProvider(), prop, false, opts)
		p.meters = meters
		return p, nil
	}
	tp := sdktrace.NewTracerProvider(sdktrace.WithResource(res), sdktrace.WithSampler(sampler))
	p := newProvider(tp, prop, true, opts)
	p.meters, p.shutdown = meters, tp.Shutdown
	if err := pipe.attach(ctx, tp, opts); err != nil {
		return nil, errors.Join(err, p.Shutdown(ctx))
	}
	return p, nil
}

// propagator reads OTEL_PROPAGATORS.
func (e *environment) propagator() propagation.TextMapPropagator {
	names := e.list("OTEL_PROPAGATORS")
	if len(names) == 0 {
		return tracecontext.W3C()
	}
	var parts []propagation.TextMapPropagator
	for _, name := range names {
		switch strings.ToLower(name) {
		case "tracecontext":
			parts = append(parts, propagation.TraceContext{})
		case "baggage":
			parts = append(parts, propagation.Baggage{})
		case "b3":
			parts = append(parts, b3.New(b3.WithInjectEncoding(b3.B3SingleHeader)))
		case "b3multi":
			parts = append(parts, b3.New(b3.WithInjectEncoding(b3.B3MultipleHeader)))
		case "none":
			return propagation.NewCompositeTextMapPropagator()
		default:
			e.fail("OTEL_PROPAGATORS", name, "tracecontext, baggage, b3, b3multi or none")
		}
	}
	return propagation.NewCompositeTextMapPropagator(parts...)
}

// resource describes the process. OTEL_SERVICE_NAME beats
// OTEL_RESOURCE_ATTRIBUTES, which beats opts.
func (e *environment) resource(opts Options) *resource.Resource {
	attrs := conventions.AppendString(nil, semconv.ServiceNameKey, opts.ServiceName)
	attrs = conventions.AppendString(attrs, semconv.ServiceNamespaceKey, opts.Namespace)
	attrs = conventions.AppendString(attrs, semconv.ServiceInstanceIDKey, opts.InstanceID)
	for _, p := range e.pairs("OTEL_RESOURCE_ATTRIBUTES") {
		attrs = append(attrs, attribute.String(p.key, p.value))
	}
	name, _ := e.first("OTEL_SERVICE_NAME")
	attrs = conventions.AppendString(attrs, semconv.ServiceNameKey, name)
	attrs = append(attrs,
		semconv.TelemetrySDKName("opentelemetry"), semconv.TelemetrySDKLanguageGo, semconv.TelemetrySDKVersion(sdk.Version()))
	return resource.NewWithAttributes(conventions.SchemaURL, attrs...) // of equal keys the last one counts
}

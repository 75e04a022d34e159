package tracing

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/warrenmesh/warren/tracing/configuration"
	"github.com/warrenmesh/warren/tracing/conventions"
	"github.com/warrenmesh/warren/tracing/messaging"
	"github.com/warrenmesh/warren/tracing/tracecontext"
)

// shutdownTimeout bounds the last flush, so that a dead collector cannot hold up
// the end of a process.
const shutdownTimeout = 5 * time.Second

// Provider is a process's tracing and metrics. The zero value is not usable; use Setup,
// Disabled or New.
type Provider struct {
	tracers    trace.TracerProvider
	propagator propagation.TextMapPropagator
	enabled    bool
	drop       func(context.Context) (context.Context, bool) // as in messaging.Options
	component  string
	tracer     trace.Tracer
	messaging  *messaging.Tracer
	changes    *configuration.Tracer
	meters     meters
	shutdown   func(context.Context) error // of the tracer provider; nil when there is nothing to flush
}

// Disabled returns a Provider that records and measures nothing and passes incoming
// trace context on, over gRPC and AMQP.
func Disabled() *Provider {
	return newProvider(noop.NewTracerProvider(), tracecontext.W3C(), false, nil, Options{})
}

// New returns a Provider over a tracer provider made elsewhere, propagating W3C
// trace context and baggage. Shutdown does not end tp.
func New(tp trace.TracerProvider, opts Options) *Provider {
	return newProvider(tp, tracecontext.W3C(), true, nil, opts)
}

func newProvider(
	tp trace.TracerProvider, prop propagation.TextMapPropagator, enabled bool, drop func(context.Context) (context.Context, bool), opts Options,
) *Provider {
	tracer := tp.Tracer(conventions.ScopeName, trace.WithInstrumentationVersion(opts.Version), trace.WithSchemaURL(conventions.SchemaURL))
	var recording trace.Tracer
	if enabled {
		recording = tracer
	}
	return &Provider{
		tracers:    tp,
		propagator: prop,
		enabled:    enabled,
		drop:       drop,
		component:  opts.Component,
		tracer:     tracer,
		messaging: messaging.New(messaging.Options{
			Tracer: recording, Component: opts.Component, ConsumerParent: opts.ConsumerParent, Inherits: opts.inherits, Drop: drop,
		}),
		changes: configuration.New(recording, opts.Component),
	}
}

// TracerProvider makes tracers; without exporter one that records nothing.
func (p *Provider) TracerProvider() trace.TracerProvider { return p.tracers }

// Tracer returns the tracer of Warren's own scope.
func (p *Provider) Tracer() trace.Tracer { return p.tracer }

// Enabled reports whether spans are recorded at all.
func (p *Provider) Enabled() bool { return p.enabled }

// Messaging starts the spans of events.
func (p *Provider) Messaging() *messaging.Tracer { return p.messaging }

// Configuration starts the spans of changes of configuration.
func (p *Provider) Configuration() *configuration.Tracer { return p.changes }

// Shutdown exports what is recorded and ends the exporters, in at most 5 seconds
// or until ctx ends. Later calls and spans do nothing, later scrapes are empty. It
// is idempotent.
func (p *Provider) Shutdown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, shutdownTimeout)
	defer cancel()
	var errs []error
	for _, end := range []func(context.Context) error{p.shutdown, p.meters.shutdown} {
		if end == nil {
			continue
		}
		if err := end(ctx); err != nil && !errors.Is(err, sdkmetric.ErrReaderShutdown) {
			errs = append(errs, fmt.Errorf("shut down telemetry: %w", err))
		}
	}
	return errors.Join(errs...)
}

package configuration

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/warrenmesh/warren/tracing/conventions"
	"github.com/warrenmesh/warren/tracing/tracecontext"
)

// Names of the spans of one change of configuration.
const (
	SpanChange  = "change configuration"
	SpanRead    = "read configuration"
	SpanResolve = "resolve configuration"
	SpanPush    = "push configuration"
	SpanApply   = "apply configuration"
)

// Keys of configuration spans. A sidecar's configuration is made of the resources it
// has, the control plane's of all there are: they are two hashes. keyMeshVersion is the
// one "warren status" shows.
const (
	keyMeshVersion   = attribute.Key("warren.mesh.version")
	keyObjects       = attribute.Key("warren.config.objects")
	keySidecar       = attribute.Key("warren.sidecar")
	keyWorkload      = attribute.Key("warren.workload")
	keyResourceType  = attribute.Key("warren.resource.type")
	keyResources     = attribute.Key("warren.resource.names")
	keyResourceCount = attribute.Key("warren.resource.count")
)

// maxResourceNames bounds the names a push span lists; the count is always whole.
const maxResourceNames = 16

// Tracer starts the spans of a change of configuration, on its way from a
// file to the sidecars that run on it:
//
//	change configuration         control plane, from the reading to the hand-over
//	├─ read configuration
//	├─ resolve configuration
//	└─ push configuration        one for each sidecar's answer, from the send to it
//	   └─ apply configuration    sidecar
//
// A nil *Tracer and the zero value record nothing. It is safe for concurrent use.
type Tracer struct {
	tracer    trace.Tracer // nil when nothing is recorded
	component string
}

// New returns a Tracer whose spans tracer makes; nil records nothing. component is
// warren.component on every span; "" leaves it out.
func New(tracer trace.Tracer, component string) *Tracer {
	return &Tracer{tracer: tracer, component: component}
}

// Change describes a set of declared objects that was read.
type Change struct {
	Objects int
	// Began and Read are when reading began and ended; zero means now.
	Began, Read time.Time
}

// StartChange begins the span of a change, and records its reading as a span
// below it. It is the root of a trace: nobody calls a change. The caller ends it.
func (t *Tracer) StartChange(ctx context.Context, change Change) (context.Context, Span) {
	if change.Began.IsZero() {
		change.Began = time.Now()
	}
	if change.Read.IsZero() {
		change.Read = change.Began
	}
	ctx, span := t.start(tracecontext.WithParent(ctx, trace.SpanContext{}), SpanChange, trace.SpanKindInternal, change.Began, keyObjects.Int(change.Objects))
	_, read := t.start(ctx, SpanRead, trace.SpanKindInternal, change.Began)
	if read.span != nil {
		read.span.End(trace.WithTimestamp(change.Read))
	}
	return ctx, span
}

// StartResolve begins the span of turning objects into resources; ctx is the
// change's. The caller ends it.
func (t *Tracer) StartResolve(ctx context.Context) (context.Context, Span) {
	return t.start(ctx, SpanResolve, trace.SpanKindInternal, time.Time{})
}

// Push describes one response to one sidecar.
type Push struct {
	Version   string // of the mesh
	Sidecar   string // xDS node id
	Workload  string // "namespace/name"
	Type      string // of the resources, its last word
	Resources []string
}

// StartPush begins the span of a response that a change made due, from its sending
// to the sidecar's answer. The caller ends it, with the refusal as error.
func (t *Tracer) StartPush(change tracecontext.Hop, p Push) Span {
	if !t.enabled() {
		return Span{}
	}
	names := p.Resources[:min(len(p.Resources), maxResourceNames)]
	_, span := t.start(change.Into(context.Background()), SpanPush, trace.SpanKindClient, time.Time{},
		keyMeshVersion.String(p.Version), keySidecar.String(p.Sidecar), keyWorkload.String(p.Workload),
		keyResourceType.String(p.Type), keyResourceCount.Int(len(p.Resources)), keyResources.StringSlice(names))
	return span
}

// StartApply begins the span of a sidecar's taking over a configuration that came
// with push's context. Without one there is no span. The caller ends it.
func (t *Tracer) StartApply(push tracecontext.Hop, version string) Span {
	if !t.enabled() || push.Parent == "" {
		return Span{}
	}
	_, span := t.start(push.Into(context.Background()), SpanApply, trace.SpanKindServer, time.Time{}, conventions.KeyConfigVersion.String(version))
	return span
}

// enabled reports whether spans are recorded at all.
func (t *Tracer) enabled() bool { return t != nil && t.tracer != nil }

// start begins a span below ctx's; a zero begin means now.
func (t *Tracer) start(
	ctx context.Context, name string, kind trace.SpanKind, begin time.Time, kvs ...attribute.KeyValue,
) (context.Context, Span) {
	if !t.enabled() {
		return ctx, Span{}
	}
	if t.component != "" {
		kvs = append(kvs, conventions.KeyComponent.String(t.component))
	}
	opts := []trace.SpanStartOption{trace.WithSpanKind(kind), trace.WithAttributes(kvs...)}
	if !begin.IsZero() {
		opts = append(opts, trace.WithTimestamp(begin))
	}
	ctx, span := t.tracer.Start(ctx, name, opts...)
	return ctx, Span{span: span, hop: tracecontext.Of(ctx)}
}

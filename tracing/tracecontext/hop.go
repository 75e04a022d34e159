package tracecontext

import (
	"context"
	"encoding/hex"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Header names of the W3C trace context, on AMQP messages and in the
// trace_context maps of streams alike. They are the wire contract and do not
// depend on OTEL_PROPAGATORS.
const (
	HeaderParent  = "traceparent"
	HeaderState   = "tracestate"
	HeaderBaggage = "baggage"
)

// w3c is the propagation of these headers.
var w3c = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})

// Hop is the trace context one message carries from one hop to the next; empty
// strings mean absent. It converts to and from broker.TraceContext.
type Hop struct {
	Parent  string // traceparent
	State   string // tracestate
	Baggage string
}

// Extract returns ctx with the trace context of one entry of a stream in place of its
// own. Without a valid traceparent the result has no span at all: a stream's span
// lives for hours and must never become a parent. An invalid value counts as absent.
func Extract(ctx context.Context, entry map[string]string) context.Context {
	return OfEntry(entry).Into(ctx)
}

// Inject returns the trace context of an entry of a stream, with ctx's span as the
// parent. It is nil when ctx has none.
func Inject(ctx context.Context) map[string]string {
	return Of(ctx).Entry()
}

// Entry is h as an entry of a stream has it, nil for the zero Hop.
func (h Hop) Entry() map[string]string {
	if h == (Hop{}) {
		return nil
	}
	entry := make(map[string]string, 3)
	for _, kv := range [...][2]string{{HeaderParent, h.Parent}, {HeaderState, h.State}, {HeaderBaggage, h.Baggage}} {
		if kv[1] != "" {
			entry[kv[0]] = kv[1]
		}
	}
	return entry
}

// OfEntry returns the trace context of an entry of a stream as it is in a map of header names.
func OfEntry(entry map[string]string) Hop {
	return Hop{Parent: entry[HeaderParent], State: entry[HeaderState], Baggage: entry[HeaderBaggage]}
}

// Of returns the trace context and baggage of ctx, the zero Hop when it has neither.
func Of(ctx context.Context) Hop {
	h := Hop{Baggage: baggage.FromContext(ctx).String()}
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		h.Parent, h.State = parentOf(sc), sc.TraceState().String()
	}
	return h
}

// parentOf is the traceparent of sc, as propagation.TraceContext writes it: of the flags,
// those that the specification defines.
func parentOf(sc trace.SpanContext) string {
	traceID, spanID := sc.TraceID(), sc.SpanID()
	b := make([]byte, 0, len("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"))
	b = append(hex.AppendEncode(append(b, "00-"...), traceID[:]), '-')
	b = append(hex.AppendEncode(b, spanID[:]), '-')
	return string(hex.AppendEncode(b, []byte{byte(sc.TraceFlags() & (trace.FlagsSampled | trace.FlagsRandom))}))
}

// Into replaces ctx's trace context and baggage by those of h. What is invalid in h
// counts as absent.
func (h Hop) Into(ctx context.Context) context.Context {
	ctx = WithParent(ctx, h.SpanContext())
	if h.Baggage == "" && baggage.FromContext(ctx).Len() == 0 {
		return ctx
	}
	b, _ := baggage.Parse(h.Baggage) // what is invalid is left out
	return baggage.ContextWithBaggage(ctx, b)
}

// Without returns ctx without span and baggage. Whoever asks for them, as each event of a
// stream does several times, does not have to look through all that is in ctx.
func Without(ctx context.Context) context.Context {
	return baggage.ContextWithoutBaggage(trace.ContextWithSpanContext(ctx, trace.SpanContext{}))
}

// SpanContext returns the remote span context of h, the zero value when it has
// none or it breaks the W3C grammar.
func (h Hop) SpanContext() trace.SpanContext {
	if h.Parent == "" {
		return trace.SpanContext{}
	}
	carrier := hopCarrier(h)
	ctx := propagation.TraceContext{}.Extract(context.Background(), &carrier)
	return trace.SpanContextFromContext(ctx)
}

// W3C returns the propagation of the Header names, over whatever carries them. It is
// the one in use unless OTEL_PROPAGATORS says otherwise.
func W3C() propagation.TextMapPropagator { return w3c }

// WithParent makes sc the only parent in ctx; the zero value removes any.
func WithParent(ctx context.Context, sc trace.SpanContext) context.Context {
	if !sc.IsValid() && !trace.SpanContextFromContext(ctx).IsValid() {
		return ctx
	}
	return trace.ContextWithRemoteSpanContext(ctx, sc)
}

// hopCarrier lets OpenTelemetry's propagators read and write a Hop.
type hopCarrier Hop

var _ propagation.TextMapCarrier = (*hopCarrier)(nil)

// Get implements propagation.TextMapCarrier.
func (c *hopCarrier) Get(key string) string {
	switch key {
	case HeaderParent:
		return c.Parent
	case HeaderState:
		return c.State
	case HeaderBaggage:
		return c.Baggage
	}
	return ""
}

// Set implements propagation.TextMapCarrier; unknown keys are dropped.
func (c *hopCarrier) Set(key, value string) {
	switch key {
	case HeaderParent:
		c.Parent = value
	case HeaderState:
		c.State = value
	case HeaderBaggage:
		c.Baggage = value
	}
}

// Keys implements propagation.TextMapCarrier.
func (c *hopCarrier) Keys() []string {
	return []string{HeaderParent, HeaderState, HeaderBaggage}
}

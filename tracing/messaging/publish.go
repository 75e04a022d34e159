package messaging

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/warrenmesh/warren/tracing/conventions"
	"github.com/warrenmesh/warren/tracing/tracecontext"
)

// Publish describes one event on its way to an exchange. Empty fields are left out.
type Publish struct {
	System     string // SystemRabbitMQ or SystemMemory
	Exchange   string
	RoutingKey string
	Topic      string // logical name, of low cardinality; in the span's name

	EventID      string
	EventSource  string
	EventType    string
	EventSubject string
	// EventTraceParent and EventTraceState are the event's own attributes, its
	// creation context. They are read, never changed.
	EventTraceParent string
	EventTraceState  string

	BodySize      int    // bytes
	ServerAddress string // host:port of the node as configured; see Span.SetServerAddress
	ConfigVersion string // of the configuration that decided where it goes
}

// StartPublish begins the span of one publish, from the choice of a node to the
// confirm, all retries included. It is a PRODUCER, because its own context
// travels in the message. When the event bears a valid creation context it is a
// CLIENT linked to that, and, when ctx has no span, its child. The caller ends it.
func (t *Tracer) StartPublish(ctx context.Context, p Publish) (context.Context, Span) {
	if !t.Enabled() {
		return ctx, Span{hop: tracecontext.Of(ctx)}
	}
	kind := trace.SpanKindProducer
	created := tracecontext.Hop{Parent: p.EventTraceParent, State: p.EventTraceState}.SpanContext()
	asParent := created.IsValid() && !trace.SpanContextFromContext(ctx).IsValid()
	if asParent {
		ctx = tracecontext.WithParent(ctx, created)
	}
	if t.drop != nil {
		decided, dropped := t.drop(ctx)
		if dropped {
			return decided, Span{hop: tracecontext.Of(decided)}
		}
		ctx = decided
	}
	var links []trace.Link
	if created.IsValid() {
		kind = trace.SpanKindClient
		links = creationLinks(created, trace.SpanContext{}, asParent)
	}
	ctx, span := t.start(ctx, kind, about{
		system: p.System, operation: OpPublish, kind: TypeSend,
		destination: sendDestination(p.Exchange, p.RoutingKey), topic: p.Topic, server: p.ServerAddress,
	}, links)
	if span.IsRecording() {
		span.SetAttributes(p.attributes()...)
	}
	return ctx, Span{span: span, hop: tracecontext.Of(ctx)}
}

// attributes are those no sampler needs.
func (p *Publish) attributes() []attribute.KeyValue {
	const room = 15
	kvs := make([]attribute.KeyValue, 0, room)
	kvs = conventions.AppendString(kvs, keyRoutingKey, p.RoutingKey)
	kvs = conventions.AppendString(kvs, conventions.KeyConfigVersion, p.ConfigVersion)
	kvs = append(kvs, keyBodySize.Int(p.BodySize))
	kvs = appendNode(kvs, p.ServerAddress)
	kvs = appendPeer(kvs, p.System)
	return appendEvent(kvs, p.EventID, p.EventSource, p.EventType, p.EventSubject)
}

// appendEvent appends what the CloudEvents conventions ask for. An empty id says
// that there is no event.
func appendEvent(kvs []attribute.KeyValue, id, source, typ, subject string) []attribute.KeyValue {
	if id == "" {
		return kvs
	}
	kvs = append(kvs, keyMessageID.String(id), keyEventID.String(id), keySpecVersion.String("1.0"))
	kvs = conventions.AppendString(kvs, keyEventSource, source)
	kvs = conventions.AppendString(kvs, keyEventType, typ)
	return conventions.AppendString(kvs, keyEventSubject, subject)
}

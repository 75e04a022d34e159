package messaging

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/warrenmesh/warren/tracing/conventions"
	"github.com/warrenmesh/warren/tracing/tracecontext"
)

// Process describes one delivery. Empty fields are left out.
type Process struct {
	System       string // SystemRabbitMQ or SystemMemory
	Exchange     string
	RoutingKey   string
	Queue        string
	Topic        string // logical name, of low cardinality; in the span's name
	Subscription string // "namespace/name"

	Hop tracecontext.Hop // what the message's headers bear

	EventID      string
	EventSource  string
	EventType    string
	EventSubject string
	// EventTraceParent and EventTraceState are the event's own attributes, its
	// creation context.
	EventTraceParent string
	EventTraceState  string

	DeliveryTag   uint64 // 0 is left out
	Attempt       uint32 // 1 for the first; 0 is left out
	Redelivered   bool
	BodySize      int    // bytes
	ServerAddress string // host:port of the node as configured
}

// StartProcess begins the CONSUMER span of one delivery, from handing the event to
// the service to its outcome. Parent and link are the creation context: the
// event's own if valid, else the hop; a hop that differs is a second link. ctx's own
// span, if any, is of the stream and never the parent. The returned context
// carries the hop's baggage. Garbage in any of these counts as absent. The caller
// ends the span.
func (t *Tracer) StartProcess(ctx context.Context, p Process) (context.Context, Span) {
	hop := p.Hop.SpanContext()
	created := hop
	if own := (tracecontext.Hop{Parent: p.EventTraceParent, State: p.EventTraceState}).SpanContext(); own.IsValid() {
		created = own
	}
	ctx = tracecontext.Hop{Baggage: p.Hop.Baggage}.Into(ctx)
	if !t.Enabled() {
		return tracecontext.WithParent(ctx, created), Span{}
	}
	asParent := t.relation == Parent
	if asParent {
		ctx = tracecontext.WithParent(ctx, created)
	}
	ctx, span := t.start(ctx, trace.SpanKindConsumer, p.about(OpProcess, TypeProcess), creationLinks(created, hop, asParent))
	if span.IsRecording() {
		span.SetAttributes(p.attributes()...)
	}
	return ctx, Span{span: span, processing: true}
}

// StartSettle begins the CLIENT span of settling the delivery of p; ctx is the one
// StartProcess returned. The caller ends it.
func (t *Tracer) StartSettle(ctx context.Context, op SettleOp, p Process) (context.Context, Span) {
	if !t.Enabled() {
		return ctx, Span{}
	}
	ctx, span := t.start(ctx, trace.SpanKindClient, p.about(string(op), TypeSettle), nil)
	if span.IsRecording() {
		span.SetAttributes(p.settleAttributes()...)
	}
	return ctx, Span{span: span}
}

// creationLinks links a process span to where its event comes from. Jaeger merges
// a parent and a link to it into one reference of the link's type; asParent keeps
// that CHILD_OF, which all readers of its API take for the parent.
func creationLinks(created, hop trace.SpanContext, asParent bool) []trace.Link {
	if !created.IsValid() {
		return nil
	}
	link := trace.Link{SpanContext: created}
	if asParent {
		link.Attributes = []attribute.KeyValue{linkIsParent}
	}
	links := []trace.Link{link}
	if hop.IsValid() && (hop.TraceID() != created.TraceID() || hop.SpanID() != created.SpanID()) {
		links = append(links, trace.Link{SpanContext: hop})
	}
	return links
}

func (p *Process) about(operation, kind string) about {
	return about{
		system: p.System, operation: operation, kind: kind, topic: p.Topic, server: p.ServerAddress,
		destination: consumeDestination(p.Exchange, p.RoutingKey, p.Queue),
	}
}

// attributes are those of a process span no sampler needs.
func (p *Process) attributes() []attribute.KeyValue {
	const room = 16
	kvs := make([]attribute.KeyValue, 0, room)
	kvs = conventions.AppendString(kvs, KeySubscription, p.Subscription)
	kvs = conventions.AppendString(kvs, keyRoutingKey, p.RoutingKey)
	kvs = append(kvs, keyBodySize.Int(p.BodySize))
	kvs = p.appendDelivery(kvs)
	return appendEvent(kvs, p.EventID, p.EventSource, p.EventType, p.EventSubject)
}

// settleAttributes are those of a settle span no sampler needs.
func (p *Process) settleAttributes() []attribute.KeyValue {
	const room = 10
	kvs := make([]attribute.KeyValue, 0, room)
	kvs = conventions.AppendString(kvs, KeySubscription, p.Subscription)
	kvs = conventions.AppendString(kvs, keyMessageID, p.EventID)
	kvs = appendNode(kvs, p.ServerAddress)
	kvs = appendPeer(kvs, p.System)
	return p.appendDelivery(kvs)
}

func (p *Process) appendDelivery(kvs []attribute.KeyValue) []attribute.KeyValue {
	if p.DeliveryTag != 0 && p.System == SystemRabbitMQ {
		kvs = append(kvs, keyDeliveryTag.Int64(int64(p.DeliveryTag))) //nolint:gosec // a channel never counts to 2^63
	}
	if p.Attempt != 0 {
		kvs = append(kvs, keyAttempt.Int64(int64(p.Attempt)))
	}
	if p.Redelivered {
		kvs = append(kvs, keyRedelivered.Bool(true))
	}
	return kvs
}

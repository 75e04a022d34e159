package messaging

import (
	"context"
	"net"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/warrenmesh/warren/tracing/conventions"
)

// Values of messaging.operation.name and .type.
const (
	OpPublish   = "publish"
	OpProcess   = "process"
	TypeSend    = "send"
	TypeProcess = "process"
	TypeSettle  = "settle"
)

// SettleOp names how a delivery is settled; it is the span's
// messaging.operation.name.
type SettleOp string

// The ways to settle.
const (
	Ack    SettleOp = "ack"
	Nack   SettleOp = "nack"
	Reject SettleOp = "reject"
)

// SystemRabbitMQ and SystemMemory are the values of messaging.system.
const (
	SystemRabbitMQ = "rabbitmq"
	SystemMemory   = "warren.memory"
)

// ConsumerParent says how a process span relates to the event's producer.
type ConsumerParent int

// The relations.
const (
	Parent ConsumerParent = iota // child of the producer's span, and linked to it
	Link                         // root of a new trace, linked to the producer's span
)

// String returns the spelling used in configuration.
func (c ConsumerParent) String() string {
	if c == Link {
		return "link"
	}
	return "parent"
}

// Options says who starts spans.
type Options struct {
	// Tracer makes the spans. nil records nothing.
	Tracer trace.Tracer
	// Component is warren.component on every span; "" leaves it out.
	Component string
	// ConsumerParent relates process spans to producers. The zero value is Parent.
	ConsumerParent ConsumerParent
	// Inherits says that the tracer samples nothing whose remote parent is not sampled.
	Inherits bool
	// Drop decides, before anything is made for a span that begins in a context, whether it
	// is recorded. If not, it returns the context within that span, and true; else the one
	// to begin it in. nil leaves that to the Tracer.
	Drop func(context.Context) (context.Context, bool)
}

// Tracer starts the spans of events. Its methods are safe for concurrent use and cost
// next to nothing when nothing is recorded. The zero value records nothing and still
// passes trace context on.
type Tracer struct {
	tracer    trace.Tracer // nil when nothing is recorded
	component string
	relation  ConsumerParent
	inherits  bool
	drop      func(context.Context) (context.Context, bool)
}

// New returns a Tracer.
func New(opts Options) *Tracer {
	return &Tracer{tracer: opts.Tracer, component: opts.Component, relation: opts.ConsumerParent, inherits: opts.Inherits, drop: opts.Drop}
}

// Enabled reports whether spans are recorded at all. If not, a caller may skip what is
// expensive to find out.
func (t *Tracer) Enabled() bool { return t.tracer != nil }

// about is what a sampler may look at, set when a span starts.
type about struct {
	system, operation, kind, destination, topic, server string
}

// attributes are the sampling-relevant ones, in a slice of their own.
func (t *Tracer) attributes(a about) []attribute.KeyValue {
	const room = 8
	kvs := make([]attribute.KeyValue, 0, room)
	kvs = append(kvs,
		KeySystem.String(a.system),
		KeyOperationName.String(a.operation),
		KeyOperationType.String(a.kind),
		keyDestinationName.String(a.destination))
	kvs = conventions.AppendString(kvs, KeyDestinationTemplate, a.topic)
	kvs = conventions.AppendString(kvs, conventions.KeyComponent, t.component)
	return appendAddress(kvs, keyServerAddress, keyServerPort, a.server)
}

// start begins a span; ctx's span is its parent.
func (t *Tracer) start(
	ctx context.Context, kind trace.SpanKind, a about, links []trace.Link,
) (context.Context, trace.Span) {
	return t.tracer.Start(ctx, spanName(a.operation, a.topic),
		trace.WithSpanKind(kind),
		trace.WithAttributes(t.attributes(a)...),
		trace.WithLinks(links...))
}

// spanName is "{operation} {topic}". Exchange and routing key are left out where
// there is no topic: a routing key can have as many values as there are events.
func spanName(operation, topic string) string {
	if topic == "" {
		return operation
	}
	return operation + " " + topic
}

// sendDestination is messaging.destination.name on the sending side.
func sendDestination(exchange, key string) string {
	switch {
	case exchange != "" && key != "":
		return exchange + ":" + key
	case exchange != "" || key != "":
		return exchange + key
	default:
		return "amq.default"
	}
}

// consumeDestination is messaging.destination.name on the receiving side.
func consumeDestination(exchange, key, queue string) string {
	if key == queue {
		key = ""
	}
	name := exchange
	for _, part := range [...]string{key, queue} {
		if part == "" {
			continue
		}
		if name != "" {
			name += ":"
		}
		name += part
	}
	return name
}

// appendAddress appends host and port of hostport; what has no port is all host.
func appendAddress(kvs []attribute.KeyValue, address, port attribute.Key, hostport string) []attribute.KeyValue {
	if hostport == "" {
		return kvs
	}
	host, portText, err := net.SplitHostPort(hostport)
	if err != nil {
		return append(kvs, address.String(hostport))
	}
	kvs = append(kvs, address.String(host))
	if n, err := strconv.Atoi(portText); err == nil {
		kvs = append(kvs, port.Int(n))
	}
	return kvs
}

// AppendServer appends server.address and server.port of a node, host:port as
// configured; nothing for "".
func AppendServer(kvs []attribute.KeyValue, hostport string) []attribute.KeyValue {
	return appendAddress(kvs, keyServerAddress, keyServerPort, hostport)
}

// appendNode appends the node really talked to, known only where the address is
// an IP: names are not looked up.
func appendNode(kvs []attribute.KeyValue, hostport string) []attribute.KeyValue {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil || net.ParseIP(host) == nil {
		return kvs
	}
	return appendAddress(kvs, keyPeerAddress, keyPeerPort, hostport)
}

// appendPeer names the broker as the service at the other end. membroker has no
// other end.
func appendPeer(kvs []attribute.KeyValue, system string) []attribute.KeyValue {
	if system == SystemMemory {
		return kvs
	}
	return append(kvs, keyPeerService.String(system), keyServicePeerName.String(system))
}

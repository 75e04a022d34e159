package mapping

import (
	"strings"

	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
	"github.com/warrenmesh/warren/proxy/event"
)

// Prefix is that of the headers in which Warren writes attributes: the one of the
// RabbitMQ protocol binding that CloudEvents lists.
const Prefix = "ce-"

// OwnPrefix is that of Warren's own headers; x- is the broker's.
const OwnPrefix = "warren-"

// The headers of the hop's trace context. The event's own are attributes.
const (
	TraceParent = "traceparent"
	TraceState  = "tracestate"
	Baggage     = "baggage"
)

// httpContentType is what libraries made for HTTP, and Knative, call the content type.
const httpContentType = "content-type"

// The headers of a copy that tell where the message was first published. They count
// only on what came by the default exchange, as copies do.
const (
	OriginExchange = OwnPrefix + "origin-exchange"
	OriginKey      = OwnPrefix + "origin-key"
)

// dialects are the prefixes of binary mode: the RabbitMQ binding's, and the two of the
// AMQP 1.0 binding, whose headers RabbitMQ passes to 0-9-1 clients.
var dialects = [...]string{Prefix, "cloudEvents_", "cloudEvents:"}

// dialect returns the prefix that the attributes have, "" when there is none.
func dialect(t *message.Table) string {
	version, id := len(dialects), len(dialects)
	for i := range t.Fields {
		name := t.Fields[i].Name
		for at, prefix := range dialects {
			switch rest, ok := strings.CutPrefix(name, prefix); {
			case !ok:
			case rest == event.AttrSpecVersion:
				version = min(version, at)
			case rest == event.AttrID:
				id = min(id, at)
			}
		}
	}
	switch {
	case version < len(dialects):
		return dialects[version]
	case id < len(dialects):
		return dialects[id]
	}
	return ""
}

// repeats reports whether the header is named like an attribute in any dialect.
func repeats(name string) bool {
	for _, prefix := range dialects {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			return event.CheckName(rest) == nil
		}
	}
	return false
}

// hop reports whether the header is of the hop's trace context.
func hop(name string) bool { return name == TraceParent || name == TraceState || name == Baggage }

// ofBroker reports whether RabbitMQ, or a plugin of its own, writes the header.
func ofBroker(name string) bool {
	if !strings.HasPrefix(name, "x-") {
		return false
	}
	switch name {
	case "x-death", "x-delivery-count", "x-acquired-count", "x-received-from", "x-shovelled", "x-shovelled-timestamp",
		"x-stream-offset", "x-stream-filter-value":
		return true
	}
	return strings.HasPrefix(name, "x-first-death-") || strings.HasPrefix(name, "x-last-death-") || strings.HasPrefix(name, "x-opt-")
}

package delivery

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/event/coding"
)

// Handed is an event as a service sees it. It is read-only.
type Handed struct {
	Token        string // names the delivery; "" for one that is pushed
	Event        *event.Event
	Attempt      uint32
	Redelivered  bool
	Trace        map[string]string // W3C trace context of its processing
	Subscription string            // "namespace/name"
	Topic        string            // as well
	Deadline     time.Time         // by which it is to be settled
	// Headers, ReplyTo and ContentEncoding travelled beside the event.
	Headers         []broker.Header
	ReplyTo         string
	ContentEncoding string
}

// Handed makes of d what the service is handed. Where the subscription asks for it,
// compressed data is decoded for the service alone: d itself, and every copy that is made
// of it, keeps its bytes. An encoding that is not known is handed on: it may be a charset.
// An error says that d cannot be decoded.
func (d *Delivery) Handed() (Handed, error) {
	sub := d.Subscription
	h := Handed{
		Event: d.Event, Headers: d.Headers, ReplyTo: d.ReplyTo, ContentEncoding: d.ContentEncoding,
		Subscription: sub.FullName, Topic: cmp.Or(d.Topic, sub.TopicName), // another one's as after the subscription has moved
		Attempt: d.Attempt, Redelivered: d.Redelivered || d.Attempt > 1,
	}
	if sub.MaxDecoded == 0 || d.ContentEncoding == "" {
		return h, nil
	}
	data, err := coding.Decode(d.ContentEncoding, d.Event.Data, int(sub.MaxDecoded))
	switch {
	case errors.Is(err, coding.ErrUnknown):
		return h, nil
	case err != nil:
		return h, fmt.Errorf("data cannot be decoded: %w", err)
	}
	decoded := *d.Event
	decoded.Data = data
	h.Event, h.ContentEncoding = &decoded, ""
	return h, nil
}

// Size is about what h takes on the wire.
func (h *Handed) Size() int {
	const each = 16 // what a field costs beside its text
	n := len(h.Event.Data) + len(h.Event.ID) + len(h.Event.Source) + len(h.Event.Type) + len(h.Token) + len(h.Topic) + 8*each
	for _, a := range h.Event.Attrs {
		n += len(a.Name) + len(a.Value.String()) + each
	}
	for k, v := range h.Trace {
		n += len(k) + len(v) + each
	}
	return n + sizeOf(h.Headers)
}

func sizeOf(headers []broker.Header) (n int) {
	for i := range headers {
		n += len(headers[i].Name) + valueSize(headers[i].Value)
	}
	return n
}

func valueSize(v any) int {
	const each = 16
	switch v := v.(type) {
	case string:
		return each + len(v)
	case []byte:
		return each + len(v)
	case []broker.Header:
		return each + sizeOf(v)
	case []any:
		n := each
		for i := range v {
			n += valueSize(v[i])
		}
		return n
	default:
		return each
	}
}

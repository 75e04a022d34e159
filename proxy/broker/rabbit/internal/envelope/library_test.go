package envelope

import (
	"fmt"
	"time"
	"unicode/utf8"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/mapping"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
)

// fromLibrary makes our form of a delivery in the library's.
func fromLibrary(d *amqp.Delivery) *message.Message {
	m := &message.Message{
		Exchange: d.Exchange, RoutingKey: d.RoutingKey, Redelivered: d.Redelivered, Tag: d.DeliveryTag,
		Body: d.Body, Size: uint64(len(d.Body)),
		Properties: message.Properties{
			ContentType: d.ContentType, ContentEncoding: d.ContentEncoding, DeliveryMode: d.DeliveryMode, Priority: d.Priority,
			CorrelationID: d.CorrelationId, ReplyTo: d.ReplyTo, Expiration: d.Expiration, MessageID: d.MessageId,
			Type: d.Type, UserID: d.UserId, AppID: d.AppId,
		},
	}
	if !d.Timestamp.IsZero() {
		m.Timestamp = uint64(d.Timestamp.Unix()) //nolint:gosec // two's complement
		m.Flags |= message.HasTimestamp
	}
	m.Headers = tableFromLibrary(d.Headers)
	return m
}

func tableFromLibrary(t amqp.Table) (out message.Table) {
	for name, v := range t {
		if err := mapping.AppendHeaders(&out, []broker.Header{{Name: name, Value: valueFromLibrary(v)}}); err != nil {
			panic(fmt.Sprintf("%q: %v", name, err)) // a test's mistake
		}
	}
	return out
}

func valueFromLibrary(v any) any {
	switch v := v.(type) {
	case amqp.Table:
		var out []broker.Header
		for name, v := range v {
			out = append(out, broker.Header{Name: name, Value: valueFromLibrary(v)})
		}
		return out
	case time.Time:
		if v.Unix() < 0 || v.Year() > 9999 {
			return v.Unix()
		}
		return v.Truncate(time.Second)
	case string:
		if !utf8.ValidString(v) {
			return []byte(v)
		}
		return v
	case int:
		return int64(v)
	case int32:
		return int64(v)
	case int8:
		return int64(v)
	case byte:
		return int64(v)
	case int16:
		return int64(v)
	case uint16:
		return int64(v)
	case uint32:
		return int64(v)
	case float32:
		return float64(v)
	default:
		return v
	}
}

// toLibrary is a publish in the library's form.
func toLibrary(p *encoded) amqp.Publishing {
	x := &p.properties
	out := amqp.Publishing{
		ContentType: x.ContentType, ContentEncoding: x.ContentEncoding, DeliveryMode: x.DeliveryMode, Priority: x.Priority,
		CorrelationId: x.CorrelationID, ReplyTo: x.ReplyTo, Expiration: x.Expiration, MessageId: x.MessageID,
		Type: x.Type, UserId: x.UserID, AppId: x.AppID, Body: p.body,
	}
	if x.Timestamp != 0 {
		out.Timestamp = time.Unix(int64(x.Timestamp), 0) //nolint:gosec // a test's
	}
	for i := range x.Headers.Fields {
		f := &x.Headers.Fields[i]
		if out.Headers == nil {
			out.Headers = amqp.Table{}
		}
		v := f.Value(&message.Budget{Depth: 10, Elements: 100})
		if n, ok := v.(int64); ok && f.Kind == message.KindInt32 {
			v = int32(n) //nolint:gosec // it is one
		}
		out.Headers[f.Name] = v
	}
	return out
}

// decodeFrom decodes a delivery in the library's form, from a queue named q.
func decodeFrom(d *amqp.Delivery) *queueing.Delivery {
	return Decode(fromLibrary(d), &queueing.ConsumeOptions{Queue: "q"})
}

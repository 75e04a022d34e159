package envelope

import (
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

func FuzzDecodeNeverPanics(f *testing.F) {
	f.Add("ce-id", "1", int64(1), "application/cloudevents+json", []byte(`{"specversion":"1.0","id":"1","source":"/a","type":"t"}`), "id", "type")
	f.Add("cloudEvents:specversion", "1.0", int64(1<<62), "application/cloudevents+protobuf", []byte{0x0a, 1}, "", "")
	f.Add("warren-attempt", "-1", int64(-1), "text/plain", []byte(nil), "\x00", "\xff")
	f.Fuzz(func(t *testing.T, name, value string, n int64, contentType string, body []byte, id, typ string) {
		headers := amqp.Table{name: value, name + "n": n, "x-delivery-count": n, "warren-attempt": n, "id": value, "type": value, "source": value, "ce-time": time.Unix(n, 0)}
		for _, h := range []amqp.Table{headers, {name: value}, {name: []any{value}}, nil} {
			d := decodeFrom(&amqp.Delivery{Headers: h, ContentType: contentType, Body: body, MessageId: id, Type: typ, Timestamp: time.Unix(n, 0)})
			if (d.Event == nil) == (d.Malformed == nil) {
				t.Fatalf("event %v and malformed %v: want exactly one", d.Event, d.Malformed)
			}
			if d.Event != nil && d.Event.Validate() != nil {
				t.Fatalf("decoded an invalid event: %v", d.Event.Validate())
			}
			if d.Attempt < 1 {
				t.Fatalf("attempt %d", d.Attempt)
			}
		}
	})
}

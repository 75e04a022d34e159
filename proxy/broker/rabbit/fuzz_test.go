package rabbit

import (
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/event"
)

// roundTrip sends m through its AMQP form.
func roundTrip(t *testing.T, m *broker.Message) *broker.Delivery {
	t.Helper()
	p, err := encode(m, testOptions())
	if err != nil {
		t.Fatalf("encode: %v", err)
	}
	x := toLibrary(p)
	return decodeFrom(&amqp.Delivery{
		Headers: x.Headers, ContentType: x.ContentType, MessageId: x.MessageId, CorrelationId: x.CorrelationId, Type: x.Type,
		AppId: x.AppId, Timestamp: x.Timestamp, Priority: x.Priority, Exchange: p.exchange, RoutingKey: p.key, Body: x.Body,
	})
}

// onTheWire is what e becomes: AMQP has booleans and integers, and everything else
// travels in its canonical form, typed again where the specification names a type.
func onTheWire(e *event.Event) *event.Event {
	out := &event.Event{ID: e.ID, Source: e.Source, Type: e.Type, Data: e.Data}
	for _, a := range e.Attrs {
		switch a.Value.Kind() {
		case event.KindBoolean, event.KindInteger:
			out.Set(a.Name, a.Value)
		case event.KindTimestamp:
			text, _ := timestampText(a.Name, a.Value.Time())
			out.Set(a.Name, wellKnown(a.Name, text))
		default:
			out.Set(a.Name, wellKnown(a.Name, a.Value.String()))
		}
	}
	return out
}

func FuzzEventSurvivesAMQP(f *testing.F) {
	f.Add("1", "/a", "t", "subject", "x", uint8(0), int64(0), true, []byte("data"), "application/json")
	f.Add("", "", "", "", "", uint8(1), int64(-1), false, []byte(nil), "")
	f.Add("é\u2028", "urn:x:%41", "a.b", "time", "2026-01-02T03:04:05.000000001+05:30", uint8(6), int64(1<<40), true, []byte{0xff}, "application/cloudevents+json")
	f.Add("1", "/a", "t", "dataschema", "urn:s", uint8(4), int64(7), false, []byte("{}"), "text/plain; charset=utf-8")
	f.Fuzz(func(t *testing.T, id, source, typ, name, value string, kind uint8, n int64, flag bool, data []byte, contentType string) {
		e := &event.Event{ID: id, Source: source, Type: typ, Data: data}
		if contentType != "" {
			e.Set("datacontenttype", event.String(contentType))
		}
		if name != "" {
			e.Set(name, fuzzValue(kind, value, n, flag))
		}
		if e.Validate() != nil {
			return
		}
		m := &broker.Message{Exchange: "x", RoutingKey: "k", Event: e}
		if _, err := encode(m, testOptions()); err != nil {
			if broker.OutcomeOf(err) != broker.NotSent {
				t.Fatalf("a refusal has outcome %v", broker.OutcomeOf(err))
			}
			return
		}
		got, want := roundTrip(t, m), onTheWire(e)
		if got.Malformed != nil {
			t.Fatalf("valid event %+v came back malformed: %v", e, got.Malformed)
		}
		if !sameEvent(got.Event, want) {
			t.Fatalf("sent %+v, got %+v", want, got.Event)
		}
		// What came off the wire goes through again unchanged.
		if again := roundTrip(t, &broker.Message{Event: got.Event}); !sameEvent(again.Event, want) {
			t.Fatalf("second trip changed %+v to %+v", want, again.Event)
		}
	})
}

func fuzzValue(kind uint8, s string, n int64, flag bool) event.Value {
	switch event.Kind(kind % 7) {
	case event.KindBoolean:
		return event.Boolean(flag)
	case event.KindInteger:
		return event.Integer(int32(n))
	case event.KindBinary:
		return event.Binary([]byte(s))
	case event.KindURI:
		return event.URI(s)
	case event.KindURIRef:
		return event.URIRef(s)
	case event.KindTimestamp:
		return event.Timestamp(time.Unix(n, n%1e9).In(time.FixedZone("", int(n%90000))))
	default:
		return event.String(s)
	}
}

func sameEvent(a, b *event.Event) bool {
	if a == nil || b == nil || a.ID != b.ID || a.Source != b.Source || a.Type != b.Type || string(a.Data) != string(b.Data) || len(a.Attrs) != len(b.Attrs) {
		return false
	}
	for i := range a.Attrs {
		if a.Attrs[i].Name != b.Attrs[i].Name || !a.Attrs[i].Value.Equal(b.Attrs[i].Value) {
			return false
		}
	}
	return true
}

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

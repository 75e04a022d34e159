package mapping_test

import (
	"testing"
	"time"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/mapping"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
	"github.com/warrenmesh/warren/proxy/event"
)

// A header table of any bytes, in a message of any kind: either an event that is valid or
// an error, and headers that can be written again.
func FuzzMessage(f *testing.F) {
	seed := func(h headers, contentType, body string) {
		t := table(h)
		f.Add(t.Append(nil)[4:], contentType, "", []byte(body), uint64(0))
	}
	for _, kind := range "tbBsuIilLfdDSxTAFV" { // each type octet, as attribute and beside the event
		v := raw{message.Kind(kind), "\x01\x02\x03\x04\x05\x06\x07\x08"}
		switch message.Kind(kind) {
		case message.KindVoid, message.KindArray, message.KindTable:
			v.bytes = ""
		case message.KindBool, message.KindInt8, message.KindUint8:
			v.bytes = v.bytes[:1]
		case message.KindInt16, message.KindUint16:
			v.bytes = v.bytes[:2]
		case message.KindInt32, message.KindUint32, message.KindFloat32:
			v.bytes = v.bytes[:4]
		case message.KindDecimal:
			v.bytes = v.bytes[:5]
		}
		seed(headers{"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/a", "ce-type": "t", "ce-ext": v, "ce-time": v, "h": v}, "", "")
		seed(headers{"specversion": "1.0", "id": "1", "source": "/a", "type": "t", "ext": v}, "", "")
	}
	seed(nil, "application/cloudevents+json", members(`,"data":[1]`))
	seed(nil, "application/cloudevents+protobuf", "\x0a\x011\x12\x02/a\x1a\x031.0\x22\x01t")
	seed(nil, "application/cloudevents-batch+json", "[]")
	f.Add([]byte("\x01hz"), "text/plain", "gzip", []byte("x"), uint64(1<<63))
	f.Fuzz(func(t *testing.T, tableBytes []byte, contentType, encoding string, body []byte, at uint64) {
		m := &message.Message{Exchange: "x", Properties: message.Properties{ContentType: contentType, ContentEncoding: encoding, Timestamp: at}, Body: body}
		var err error
		if m.Headers, err = message.ParseTable(string(tableBytes)); err != nil {
			m.Broken = &message.HeadersError{Err: err}
		}
		e, err := mapping.Event(m, "q")
		if (e == nil) == (err == nil) {
			t.Fatalf("event %v and error %v: want exactly one", e, err)
		}
		if e != nil && e.Validate() != nil {
			t.Fatalf("made an invalid event: %v", e.Validate())
		}
		again, _ := mapping.Event(m, "q")
		if e != nil && text(again) != text(e) {
			t.Fatalf("the same message is another event: %s, then %s", text(e), text(again))
		}
		wantWritable(t, mapping.Headers(m))
	})
}

// wantWritable wants that headers can be written one by one, but for what Warren does not
// write itself: empty names, times before 1970, and lists that are very long.
func wantWritable(t *testing.T, all []broker.Header) {
	t.Helper()
	for _, h := range all {
		switch v := h.Value.(type) {
		case time.Time, []any, []broker.Header:
			continue
		default:
			var table message.Table
			if err := mapping.AppendHeaders(&table, []broker.Header{h}); err != nil && h.Name != "" {
				t.Errorf("header %q of type %T cannot be written: %v", h.Name, v, err)
			}
		}
	}
}

func FuzzEventSurvives(f *testing.F) {
	f.Add("1", "/a", "t", "subject", "x", uint8(0), int64(0), true, []byte("data"), "application/json")
	f.Add("é\u2028", "urn:x:%41", "a.b", "time", "2026-01-02T03:04:05.000000001+05:30", uint8(6), int64(1<<40), true, []byte{0xff}, "application/cloudevents+json")
	f.Add("1", "/a", "t", "dataschema", "urn:s", uint8(4), int64(7), false, []byte("{}"), "text/plain; charset=utf-8")
	f.Add("1", "/a", "t", "ext", "\x00\xff", uint8(3), int64(253402300799), false, []byte{}, "")
	f.Fuzz(func(t *testing.T, id, source, typ, name, value string, kind uint8, n int64, flag bool, data []byte, contentType string) {
		e := &event.Event{ID: id, Source: source, Type: typ, Data: data}
		if contentType != "" {
			e.Set("datacontenttype", event.String(contentType))
		}
		if name != "" {
			e.Set(name, anyValue(kind, value, n, flag))
		}
		var table message.Table
		if e.Validate() != nil || mapping.AppendAttributes(&table, e) != nil {
			return
		}
		m := sent(t, e)
		got, err := mapping.Event(m, "q")
		if err != nil {
			t.Fatalf("valid event %+v came back as %v", e, err)
		}
		// What came off the wire goes through again unchanged.
		again, err := mapping.Event(sent(t, got), "q")
		if err != nil || text(again) != text(got) {
			t.Fatalf("second trip changed %s to %s, %v", text(got), text(again), err)
		}
		for i := range e.Attrs {
			a := &e.Attrs[i]
			if v, ok := got.Lookup(a.Name); a.Value.Kind() != event.KindTimestamp && v.String() != a.Value.String() && (ok || a.Value.String() != "") {
				t.Fatalf("attribute %s was %q, is %q", a.Name, a.Value, v)
			}
		}
	})
}

func anyValue(kind uint8, s string, n int64, flag bool) event.Value {
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

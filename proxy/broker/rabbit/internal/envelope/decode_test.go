package envelope

import (
	"maps"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"google.golang.org/protobuf/proto"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
	"github.com/warrenmesh/warren/proxy/event"
)

// attributes flattens an event for comparison: "name=Kind:text".
func attributes(e *event.Event) map[string]string {
	m := map[string]string{"id": e.ID, "source": e.Source, "type": e.Type, "data": string(e.Data)}
	for _, a := range e.Attrs {
		m[a.Name] = a.Value.Kind().String() + ":" + a.Value.String()
	}
	return m
}

func TestDecodeReadsEveryForm(t *testing.T) {
	t.Parallel()
	binary := map[string]string{
		"id": "1", "source": "/a", "type": "t", "data": "hi", "subject": "String:s", "time": "Timestamp:2026-01-02T03:04:05Z",
		"datacontenttype": "String:text/plain", "dataschema": "URI:urn:s", "count": "Integer:7", "ok": "Boolean:true",
	}
	dialect := func(prefix string) amqp.Delivery {
		return amqp.Delivery{ContentType: "text/plain", Body: []byte("hi"), Headers: amqp.Table{
			prefix + "specversion": "1.0", prefix + "id": "1", prefix + "source": "/a", prefix + "type": "t", prefix + "subject": "s",
			prefix + "time": "2026-01-02T03:04:05Z", prefix + "dataschema": "urn:s", prefix + "count": int64(7), prefix + "ok": true,
			"x-death": []any{}, "other-header": "ignored",
		}}
	}
	packed, err := proto.Marshal(&eventsv1.CloudEvent{
		Id: "1", Source: "/a", SpecVersion: "1.0", Type: "t", Data: &eventsv1.CloudEvent_TextData{TextData: "hi"},
	})
	if err != nil {
		t.Fatal(err)
	}
	structured := func(contentType, body string) amqp.Delivery {
		return amqp.Delivery{ContentType: contentType, Body: []byte(body)}
	}
	tests := map[string]struct {
		in   amqp.Delivery
		want map[string]string
	}{
		"headers with ce-":          {dialect("ce-"), binary},
		"headers with cloudEvents:": {dialect("cloudEvents:"), binary},
		"headers with cloudEvents_": {dialect("cloudEvents_"), binary},
		"headers with bare names":   {dialect(""), binary},
		"native timestamps and byte arrays in headers": {
			amqp.Delivery{Headers: amqp.Table{
				"ce-specversion": "1.0", "ce-id": []byte("1"), "ce-source": "/a", "ce-type": "t", "ce-time": time.Unix(1, 0), "ce-big": int64(1) << 40,
			}},
			map[string]string{"id": "1", "source": "/a", "type": "t", "data": "", "time": "Timestamp:1970-01-01T00:00:01Z", "big": "String:1099511627776"},
		},
		"structured JSON with JSON data, byte for byte": {
			structured("application/CloudEvents+json; charset=UTF-8", `{"specversion":"1.0","id":"1","source":"/a","type":"t","data":{"b": 1.0},"n":3,"none":null}`),
			map[string]string{"id": "1", "source": "/a", "type": "t", "data": `{"b": 1.0}`, "n": "Integer:3", "datacontenttype": "String:application/json"},
		},
		"structured JSON with text data": {
			structured("application/cloudevents+json", `{"specversion":"1.0","id":"1","source":"/a","type":"t","datacontenttype":"text/plain","data":"a\nb"}`),
			map[string]string{"id": "1", "source": "/a", "type": "t", "data": "a\nb", "datacontenttype": "String:text/plain"},
		},
		"structured JSON with a JSON string as data": {
			structured("application/cloudevents+json", `{"specversion":"1.0","id":"1","source":"/a","type":"t","datacontenttype":"application/x+json","data":"s"}`),
			map[string]string{"id": "1", "source": "/a", "type": "t", "data": `"s"`, "datacontenttype": "String:application/x+json"},
		},
		"structured JSON with base64 data": {
			structured("application/cloudevents+json", `{"specversion":"1.0","id":"1","source":"/a","type":"t","data_base64":"aGk="}`),
			map[string]string{"datacontenttype": "String:application/json", "id": "1", "source": "/a", "type": "t", "data": "hi"},
		},
		"structured protobuf": {
			structured("application/cloudevents+protobuf", string(packed)),
			map[string]string{"id": "1", "source": "/a", "type": "t", "data": "hi"},
		},

		"a plain message with properties": {
			amqp.Delivery{
				Exchange: "old orders", MessageId: "m-1", Type: "order", AppId: "legacy/1", ContentType: "text/xml", CorrelationId: "c",
				Timestamp: time.Unix(1767323045, 0), Body: []byte("<o/>"), Headers: amqp.Table{"id": "no event"},
			},
			map[string]string{
				"id": "m-1", "source": "/amqp/old%20orders/legacy%2F1", "type": "order", "data": "<o/>", "datacontenttype": "String:text/xml",
				"correlationid": "String:c", "time": "Timestamp:2026-01-02T03:04:05Z",
			},
		},
		"a plain message without any": {
			amqp.Delivery{ContentType: "no media type", Body: []byte("x")},
			map[string]string{"id": "a9a4f3a1", "source": "/amqp/q", "type": "amqp.message", "data": "x"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if strings.HasPrefix(name, "a plain message without") {
				tc.want["id"] = decodeFrom(&tc.in).Event.ID
			}
			d := decodeFrom(&tc.in)
			if d.Malformed != nil {
				t.Fatalf("malformed: %v", d.Malformed)
			}
			if got := attributes(d.Event); !maps.Equal(got, tc.want) {
				t.Errorf("attributes %q, want %q", got, tc.want)
			}
		})
	}
}

func TestDecodeSaysWhatIsMalformed(t *testing.T) {
	t.Parallel()
	with := func(name string, v any) amqp.Delivery {
		return amqp.Delivery{Body: []byte("body"), Headers: amqp.Table{"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/a", "ce-type": "t", name: v}}
	}
	tests := map[string]amqp.Delivery{
		"another spec version":             with("ce-specversion", "0.3"),
		"an empty type":                    with("ce-type", ""),
		"no source":                        with("ce-source", nil),
		"a time that is none":              with("ce-time", "yesterday"),
		"a nested header":                  with("ce-x", amqp.Table{"a": "b"}),
		"a control character":              with("ce-subject", "a\x00b"),
		"structured JSON that is none":     {ContentType: "application/cloudevents+json", Body: []byte("{")},
		"JSON without a spec version":      {ContentType: "application/cloudevents+json", Body: []byte(`{"id":"1","source":"/a","type":"t"}`)},
		"JSON with a fraction":             {ContentType: "application/cloudevents+json", Body: []byte(`{"specversion":"1.0","id":"1","source":"/a","type":"t","n":1.5}`)},
		"JSON with bad base64":             {ContentType: "application/cloudevents+json", Body: []byte(`{"specversion":"1.0","id":"1","source":"/a","type":"t","data_base64":"?"}`)},
		"structured protobuf that is none": {ContentType: "application/cloudevents+protobuf", Body: []byte("\xff")},
		"a batch":                          {ContentType: "application/cloudevents-batch+json", Body: []byte("[]")},
	}
	for name, in := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := decodeFrom(&in)
			if d.Malformed == nil || d.Event != nil {
				t.Fatalf("decoded %+v, want a malformed delivery", d.Event)
			}
			if string(d.Raw) != string(in.Body) || d.Attempt != 1 {
				t.Errorf("raw %q attempt %d, want the body and the first attempt", d.Raw, d.Attempt)
			}
		})
	}
}

func TestDecodeCountsAttempts(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		headers     amqp.Table
		flag        bool
		exchange    string
		attempt     uint32
		redelivered bool
	}{
		"a first delivery":                     {nil, false, "", 1, false},
		"the broker's flag":                    {nil, true, "", 1, true},
		"given back twice":                     {amqp.Table{"x-delivery-count": int64(2)}, true, "orders", 3, true},
		"the third try by a delay queue":       {amqp.Table{"warren-attempt": int64(3)}, false, "", 3, true},
		"the third try, given back once":       {amqp.Table{"warren-attempt": int64(3), "x-delivery-count": int32(1)}, true, "", 4, true},
		"a repeat after an unknown outcome":    {amqp.Table{"warren-republished": true}, false, "orders", 1, true},
		"an attempt written by another client": {amqp.Table{"warren-attempt": "2"}, false, "", 2, true},
		"nonsense":                             {amqp.Table{"warren-attempt": "x", "x-delivery-count": int64(-5)}, true, "", 1, true},
		"an attempt that is a producer's":      {amqp.Table{"warren-attempt": int64(99)}, false, "orders", 1, false},
		"a count that is a producer's":         {amqp.Table{"x-delivery-count": int64(150)}, false, "orders", 1, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := decodeFrom(&amqp.Delivery{Headers: tc.headers, Redelivered: tc.flag, Exchange: tc.exchange})
			if d.Attempt != tc.attempt || d.Redelivered != tc.redelivered {
				t.Errorf("attempt %d redelivered %v, want %d %v", d.Attempt, d.Redelivered, tc.attempt, tc.redelivered)
			}
		})
	}
}

// Of what a producer says in Warren's name, nothing is believed, and no copy has it.
func TestForgedHeadersAreNeitherReadNorCopied(t *testing.T) {
	t.Parallel()
	var forged message.Table
	for _, name := range ourHeaders {
		if name != republishedHeader && name != PartitionHeader && name != expiresHeader {
			forged.AddInt(name, 99)
		}
	}
	properties := message.Properties{Headers: forged}
	d := Decode(&message.Message{Exchange: "x", RoutingKey: "k", Properties: properties, Encoded: string(properties.Append(nil))}, &queueing.ConsumeOptions{Queue: "q"})
	if d.Attempt != 1 || d.Crashes != 0 || d.Redelivered || d.DeadLetter != nil || d.Origin.Name != "x" || d.Origin.Key != "k" || !d.FirstFailure.IsZero() || d.Lifetime != 0 {
		t.Errorf("decoded %+v", d)
	}
	p, _, _, err := Encode(&queueing.Message{RoutingKey: "q", Of: d.Original}, testLimits(), nil)
	if err != nil || len(p.Headers.Fields) != 0 {
		t.Errorf("the copy has %s (%v)", &p.Headers, err)
	}
}

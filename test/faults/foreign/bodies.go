package foreign

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"slices"
	"strings"

	"github.com/warrenmesh/warren/test/internal/rawamqp"
)

func sortByName(list []odd) {
	slices.SortFunc(list, func(a, b odd) int { return cmp.Compare(a.name, b.name) })
}

// whole is a structured event without its last brace.
const whole = `{"specversion":"1.0","id":"1","source":"/FOREIGN","type":"t"`

func typed(name, contentType, body string) odd {
	return odd{name, rawamqp.Message{Properties: rawamqp.Properties{ContentType: contentType}, Body: []byte(body)}}
}

// structured returns bodies in JSON, most of them invalid.
func structured() []odd {
	var out []odd
	for _, b := range []struct{ name, body string }{
		{"JSON that ends early", `{"specversion":`},
		{"no JSON at all", "<event/>"},
		{"a body of nothing", ""},
		{"an id that is a number", strings.Replace(whole, `"id":"1"`, `"id":25`, 1) + "}"},
		{"data and data_base64", whole + `,"data":1,"data_base64":"AA=="}`},
		{"base64 that is none", whole + `,"data_base64":"*"}`},
		{"no source", `{"specversion":"1.0","id":"1","type":"t"}`},
		{"another version", `{"specversion":"0.3","id":"1","source":"/FOREIGN","type":"t"}`},
		{"a list", "[" + whole + "}]"},
		{"an attribute that is an object", whole + `,"ext":{"a":1}}`},
		{"a name that is none", whole + `,"Ext_1":"x"}`},
		{"a number beyond 64 bits", whole + `,"ext":123456789012345678901234567890}`},
		{"UTF-8 that is none", whole + ",\"ext\":\"\xff\xfe\"}"},
		{"text behind the event", whole + "} and more"},
		{"100,000 brackets", whole + `,"data":` + strings.Repeat("[", 50_000) + strings.Repeat("]", 50_000) + "}"},
		{"20,000 members", whole + members(20_000) + "}"},
		{"members of one name", whole + `,"ext":"1","ext":"2","id":"3"}`},
		{"an empty trace context", whole + `,"traceparent":"","tracestate":""}`},
		{"data that is null", whole + `,"data":null}`},
	} {
		out = append(out, typed(b.name, "application/cloudevents+json", b.body))
	}
	protobuf := typed("a format that nobody knows", "application/cloudevents+protobuf", "\x0a\x01\x31")
	both := typed("headers that say otherwise", "application/cloudevents+json; charset=utf-8", whole+"}")
	both.Headers = []rawamqp.Field{field("ce-id", rawamqp.Text("another"))}
	return append(out, protobuf, both)
}

func members(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"a%d":"v"`, i)
	}
	return b.String()
}

// compressed returns bodies with a content encoding, which may be wrong.
func compressed() []odd {
	encoded := func(name, encoding string, body []byte) odd {
		o := typed(name, "application/json", string(body))
		o.ContentEncoding = encoding
		return o
	}
	return []odd{
		encoded("gzip", "gzip", zip([]byte(`{"total":7}`))),
		encoded("gzip that is none", "gzip", []byte(`{"total":7}`)),
		encoded("gzip that ends early", "gzip", zip(bytes.Repeat([]byte("0123456789"), 100))[:40]),
		encoded("64 MiB in 64 KiB", "gzip", zip(make([]byte, 64<<20))),
		encoded("deflate", "deflate", inflated([]byte(`{"total":7}`))),
		encoded("an encoding that nobody knows", "rot13", []byte("uryyb")),
		encoded("an encoding that is a charset", "UTF-8", []byte(`{"total":7}`)),
		encoded("two encodings", "gzip, gzip", zip(zip([]byte(`{"total":7}`)))),
	}
}

func zip(body []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(body) // writing to memory never fails
	_ = w.Close()
	return b.Bytes()
}

func inflated(body []byte) []byte {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, _ = w.Write(body)
	_ = w.Close()
	return b.Bytes()
}

// batches returns messages with several events, or with none.
func batches() []odd {
	var out []odd
	for _, b := range []struct{ name, body string }{
		{"a batch of two", "[" + whole + "}," + strings.Replace(whole, `"id":"1"`, `"id":"2"`, 1) + "}]"},
		{"a batch of none", "[]"},
		{"a batch with one that is broken", "[" + whole + `},{"id":""}]`},
		{"a batch that is none", whole + "}"},
		{"a batch that ends early", "[" + whole + "},"},
	} {
		out = append(out, typed(b.name, "application/cloudevents-batch+json", b.body))
	}
	return out
}

// attributes returns binary events with an invalid header.
func attributes() []odd {
	text := rawamqp.Text
	without := func(name string, drop string, more ...rawamqp.Field) odd {
		o := event(name, more...)
		o.Headers = slices.DeleteFunc(o.Headers, func(f rawamqp.Field) bool { return f.Name == drop })
		return o
	}
	return []odd{
		event("a name with an underscore", field("ce-event_source", text("x"))),
		event("a name in camel case", field("ce-correlationId", text("x"))),
		event("a time that is none", field("ce-time", text("yesterday"))),
		event("a time as a timestamp", field("ce-time", rawamqp.Number('T', 1732345678))),
		event("a time in milliseconds", field("ce-time", rawamqp.Number('l', 1732345678901))),
		event("a time beyond the year 9999", field("ce-time", rawamqp.Number('l', 1<<62))),
		event("an empty subject", field("ce-subject", text(""))),
		event("an attribute that is a table", field("ce-ext", rawamqp.Table(field("a", text("b"))))),
		event("an attribute that is a double", field("ce-ext", rawamqp.Double(1.5))),
		event("an attribute that is a byte array", field("ce-ext", rawamqp.Long('x', "\x00\xff"))),
		without("no source", "ce-source"),
		without("an id that is a number", "ce-id", field("ce-id", rawamqp.Number('I', 7))),
		without("version 0.3", "ce-specversion", field("ce-specversion", text("0.3"))),
		without("an id of control characters", "ce-id", field("ce-id", text("a\x00\x1b"))),
		event("a data attribute", field("ce-data", text("x"))),
	}
}

// properties returns messages whose properties have extreme values.
func properties() []odd {
	long := strings.Repeat("p", 255)
	of := func(name string, p rawamqp.Properties) odd {
		return odd{name, rawamqp.Message{Properties: p, Body: []byte{0, 1, 0xff}}}
	}
	return []odd{
		of("a reply to, a header, a correlation", rawamqp.Properties{ReplyTo: "rpc.q", CorrelationID: "c-1", Headers: []rawamqp.Field{field("tenant", rawamqp.Text("acme"))}}),
		of("every property", rawamqp.Properties{
			ContentType: "x/y", ContentEncoding: "identity", DeliveryMode: 2, Priority: 9, CorrelationID: "c", ReplyTo: "r", Expiration: "300000",
			Timestamp: 1732345678, Type: "kind", ClusterID: "cluster",
		}),
		of("properties of 255 bytes", rawamqp.Properties{ContentType: long, CorrelationID: long, ReplyTo: long, MessageID: long, Type: long, ClusterID: long}),
		of("properties that are no UTF-8", rawamqp.Properties{ContentType: "\xff", CorrelationID: "\xfe\x00", MessageID: "\xff\x00", Type: "\x80"}),
		of("a message that need not last", rawamqp.Properties{DeliveryMode: 1, Priority: 255}),
		of("a delivery mode of 200", rawamqp.Properties{DeliveryMode: 200}),
		of("a timestamp beyond everything", rawamqp.Properties{Timestamp: 1 << 63}),
		of("CR and LF in properties", rawamqp.Properties{Type: "a\r\nb", CorrelationID: "c\r\nd"}),
	}
}

package mapping_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/mapping"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
)

func TestHeadersBesideTheEvent(t *testing.T) {
	t.Parallel()
	event := headers{"specversion": "1.0", "id": "1", "source": "/a", "type": "t"}
	dialect := func(prefix string, more headers) headers {
		out := headers{}
		for name, v := range event {
			out[prefix+name] = v
		}
		for name, v := range more {
			out[name] = v
		}
		return out
	}
	for name, test := range map[string]struct {
		contentType string
		in          headers
		want        string // the names that are visible, sorted
	}{
		"nothing":                     {"", nil, ""},
		"the broker's and Warren's":   {"", headers{"x-death": raw{'A', ""}, "x-delivery-count": 1, "x-first-death-queue": "q", "x-last-death-reason": "r", "x-acquired-count": 1, "x-opt-a": 1, "warren-attempt": 2, "traceparent": "00", "tracestate": "a=b", "baggage": "k=v"}, ""},
		"others' that begin with x-":  {"", headers{"x-request-id": "7", "x-tenant": "acme"}, "x-request-id x-tenant"},
		"of a plain message":          {"", headers{"tenant": "acme", "id": "no event", "ce-event_source": "x"}, "ce-event_source id tenant"},
		"of binary mode":              {"", dialect("ce-", headers{"ce-ext": "x", "tenant": "acme", "ce-bad_name": "y", "cloudEvents_ext": "z"}), "ce-bad_name cloudEvents_ext tenant"},
		"of another dialect":          {"", dialect("cloudEvents:", headers{"cloudEvents:ext": "x", "tenant": "acme"}), "tenant"},
		"of bare names":               {"", dialect("", headers{"ext": "x", "X-Tenant": "acme", "content-type": "text/plain", "list": raw{'A', ""}, "subject": ""}), "X-Tenant list"},
		"of bare names that lack one": {"", headers{"id": "1", "source": "/a"}, "id source"},
		"of structured mode":          {"application/cloudevents+json", dialect("ce-", headers{"cloudEvents_id": "x", "ce-bad_name": "y", "tenant": "acme"}), "ce-bad_name tenant"},
		"of a batch":                  {"application/cloudevents-batch+json", headers{"tenant": "acme"}, "tenant"},
		"of what is malformed":        {"", headers{"ce-specversion": "7", "ce-id": "1", "tenant": "acme"}, "tenant"},
		"void ones":                   {"", dialect("ce-", headers{"tenant": nil}), "tenant"},
		"Warren's names with more":    {"", headers{"warrenty": "x"}, "warrenty"},
		"names in other cases":        {"", headers{"X-Death": "x", "Traceparent": "y"}, "Traceparent X-Death"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &message.Message{Properties: message.Properties{ContentType: test.contentType, Headers: table(test.in)}, Body: []byte(members(""))}
			var names []string
			for _, h := range mapping.Headers(m) {
				names = append(names, h.Name)
			}
			if got := strings.Join(names, " "); got != test.want {
				t.Errorf("visible are %q, want %q", got, test.want)
			}
		})
	}
}

func TestHeadersHaveTheirTypes(t *testing.T) {
	t.Parallel()
	inner := "\x01a" + "t\x01" // a table of one truth value
	deep := ""
	for range 40 {
		deep = string(mustField(message.Field{Kind: message.KindArray, Raw: deep}))
	}
	for name, test := range map[string]struct{ in, want any }{
		"bool":            {true, true},
		"byte":            {number('B', 200, 1), int64(200)},
		"int":             {number('I', -7, 4), int64(-7)},
		"float":           {1.5, 1.5},
		"short float":     {raw{'f', "\x3f\xc0\x00\x00"}, 1.5},
		"decimal":         {raw{'D', "\x02\x00\x00\x00\x7b"}, "1.23"},
		"text":            {"acme", "acme"},
		"no UTF-8":        {"\xff", []byte{0xff}},
		"bytes":           {[]byte{1, 2}, []byte{1, 2}},
		"time":            {time.Unix(7, 0), time.Unix(7, 0).UTC()},
		"time of no year": {number('T', 1<<62, 8), int64(1 << 62)},
		"void":            {nil, nil},
		"array":           {raw{'A', "t\x01S\x00\x00\x00\x01\xff"}, []any{true, []byte{0xff}}},
		"table":           {raw{'F', inner}, []broker.Header{{Name: "a", Value: true}}},
		"empty table":     {raw{'F', ""}, []broker.Header{}},
		"broken inside":   {raw{'A', "z"}, message.Omitted},
		"too deep":        {raw{'A', deep}, nested(32, message.Omitted)},
		"too many":        {raw{'A', strings.Repeat("t\x01", 20_000)}, message.Omitted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &message.Message{Properties: message.Properties{Headers: table(headers{"h": test.in})}}
			got := mapping.Headers(m)
			if len(got) != 1 || !reflect.DeepEqual(got[0].Value, test.want) {
				t.Errorf("headers are %#v, want the value %#v", got, test.want)
			}
		})
	}
}

// mustField encodes a value with its type, without a name.
func mustField(f message.Field) []byte { return f.Append(nil)[1:] }

func nested(depth int, v any) any {
	for range depth {
		v = []any{v}
	}
	return v
}

func TestContentEncodingIsThatOfTheData(t *testing.T) {
	t.Parallel()
	for contentType, want := range map[string]string{"application/json": "gzip", "": "gzip", "application/cloudevents+json": ""} {
		m := &message.Message{Properties: message.Properties{ContentType: contentType, ContentEncoding: "gzip"}}
		if got := mapping.ContentEncoding(m); got != want {
			t.Errorf("content type %q: %q, want %q", contentType, got, want)
		}
	}
}

func TestMessagesOfWarrenCostNoHeaders(t *testing.T) {
	m := binaryMode("ce-", headers{"ce-subject": "s", "traceparent": "00", "warren-partition": 7})
	if n := testing.AllocsPerRun(100, func() { mapping.Headers(m) }); n != 0 {
		t.Errorf("Headers allocates %v times", n)
	}
}

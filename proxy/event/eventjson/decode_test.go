package eventjson_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/event/eventjson"
	"github.com/warrenmesh/warren/proxy/event/eventpb"
)

// minimal is an event with more members put in before the closing brace.
func minimal(more string) string {
	return `{"specversion":"1.0","id":"1","source":"/s","type":"t"` + more + `}`
}

func TestDecodeKeepsPayloads(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in, data, contentType string
	}{
		{"no payload leaves no content type", minimal(``), "", ""},
		{"a JSON payload is taken as it stands", minimal(`,"data": {"b" : 1.0,  "a":[ ],"b":"\u00e9"} `), `{"b" : 1.0,  "a":[ ],"b":"\u00e9"}`, "application/json"},
		{"a number too large for a float keeps its digits", minimal(`,"data":123456789012345678901234567890`), "123456789012345678901234567890", "application/json"},
		{"a string without content type is JSON", minimal(`,"data":"x"`), `"x"`, "application/json"},
		{"null is a JSON payload", minimal(`,"data":null`), `null`, "application/json"},
		{"a +json suffix is JSON", minimal(`,"datacontenttype":"application/vnd.x+json; a=b","data":"x"`), `"x"`, "application/vnd.x+json; a=b"},
		{"a string of another content type is text", minimal(`,"datacontenttype":"text/plain","data":"a\nb"`), "a\nb", "text/plain"},
		{"null of another content type is no payload", minimal(`,"datacontenttype":"text/plain","data":null`), "", "text/plain"},
		{"base64 is decoded", minimal(`,"datacontenttype":"image/png","data_base64":"AAH/"`), "\x00\x01\xff", "image/png"},
		{"base64 without content type is JSON too", minimal(`,"data_base64":"e30="`), "{}", "application/json"},
		{"a byte order mark is no fault", "\ufeff" + minimal(`,"data":1`), "1", "application/json"},
		{"members may come in any order", `{"data":"x","datacontenttype":"text/plain","type":"t","source":"/s","id":"1","specversion":"1.0"}`, "x", "text/plain"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e, err := eventjson.Decode([]byte(tt.in))
			if err != nil {
				t.Fatalf("Decode: %v", err)
			}
			if string(e.Data) != tt.data {
				t.Errorf("data = %q, want %q", e.Data, tt.data)
			}
			if got := e.Text("datacontenttype"); got != tt.contentType {
				t.Errorf("datacontenttype = %q, want %q", got, tt.contentType)
			}
		})
	}
}

func TestDecodeTypesAttributes(t *testing.T) {
	t.Parallel()
	e, err := eventjson.Decode([]byte(minimal(`,"time":"2021-08-19T12:16:32.5-04:00","dataschema":"https://x/y",` +
		`"subject":"s","flag":true,"off":false,"count":-7,"gone":null,"text":"\ufffd\u00e9","empty":"","sequence":1732345678901,` +
		`"traceparent":"","tracestate":"","traceid":"","recordedtime":"2021-08-19T12:16:32+0000","dataref":"/r","expirytime":""`)))
	if err != nil {
		t.Fatalf("Decode: %v", err)
	}
	kinds := map[string]event.Kind{
		"time": event.KindTimestamp, "dataschema": event.KindURI, "subject": event.KindString,
		"flag": event.KindBoolean, "off": event.KindBoolean, "count": event.KindInteger, "text": event.KindString,
		"empty": event.KindString, "sequence": event.KindString, "recordedtime": event.KindTimestamp, "dataref": event.KindURIRef,
		"expirytime": event.KindString,
	}
	for name, kind := range kinds {
		v, ok := e.Lookup(name)
		if !ok || v.Kind() != kind {
			t.Errorf("attribute %q: found %t, kind %s, want %s", name, ok, v.Kind(), kind)
		}
	}
	for _, name := range []string{"gone", "traceparent", "tracestate", "traceid"} {
		if v, ok := e.Lookup(name); ok {
			t.Errorf("attribute %q is %q, want absent", name, v)
		}
	}
	if got := e.Text("sequence"); got != "1732345678901" {
		t.Errorf("sequence = %q", got)
	}
	if got := e.Text("text"); got != "\ufffdé" {
		t.Errorf("text = %q", got)
	}
	if got := e.Text("count"); got != "-7" {
		t.Errorf("count = %q, want -7", got)
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in, want string }{
		{"what is not JSON", `{"a`, "not JSON"},
		{"what is no object", `[]`, "must be a JSON object"},
		{"text after the event", minimal(``) + `{}`, "unexpected text after"},
		{"a missing specversion", `{"id":"1","source":"/s","type":"t"}`, `"specversion": is missing`},
		{"another specversion", `{"specversion":"0.3","id":"1","source":"/s","type":"t"}`, `want "1.0"`},
		{"a missing type", `{"specversion":"1.0","id":"1","source":"/s"}`, `"type": must not be empty`},
		{"a numeric id", `{"specversion":"1.0","id":1,"source":"/s","type":"t"}`, `"id": must be a string`},
		{"a large numeric id", `{"specversion":"1.0","id":1732345678901,"source":"/s","type":"t"}`, `"id": must be a string`},
		{"a member that occurs twice", minimal(`,"id":"2"`), `"id": occurs twice`},
		{"a name with capitals", minimal(`,"Subject":"x"`), `"Subject": attribute names have only`},
		{"a nested attribute", minimal(`,"ext":{"a":1}`), "must be a string, an integer or a boolean"},
		{"an array as an attribute", minimal(`,"ext":[1]`), "must be a string, an integer or a boolean"},
		{"an integer over 64 bits", minimal(`,"ext":9223372036854775808`), "no 64-bit integer"},
		{"a fraction", minimal(`,"ext":1.5`), "no 64-bit integer"},
		{"a whole number with an exponent", minimal(`,"ext":1e3`), "no 64-bit integer"},
		{"a very long number", minimal(`,"ext":` + strings.Repeat("9", 5000)), "9… is no 64-bit integer"},
		{"a numeric subject", minimal(`,"subject":7`), `"subject": must be a string`},
		{"a numeric time", minimal(`,"time":1732345678901`), `"time": must be an RFC 3339 timestamp`},
		{"a boolean schema", minimal(`,"dataschema":true`), `"dataschema": must be a string`},
		{"an expiry that is none", minimal(`,"expirytime":"soon"`), `"expirytime": must be an RFC 3339 timestamp`},
		{"an empty subject", minimal(`,"subject":""`), `"subject": must not be empty`},
		{"null twice", minimal(`,"ext":null,"ext":"x"`), `"ext": occurs twice`},
		{"data twice", minimal(`,"data":1,"data":1`), `"data": occurs twice`},
		{"a broken time", minimal(`,"time":"yesterday"`), "RFC 3339"},
		{"a time protobuf cannot hold", minimal(`,"time":"0000-01-01T00:00:00Z"`), "within the years 1 to 9999"},
		{"an unpaired surrogate", minimal(`,"subject":"\ud800"`), "valid Unicode"},
		{"bytes that are no UTF-8", minimal(",\"subject\":\"\xff\""), "valid Unicode"},
		{"a control character", minimal(`,"subject":"\u0007"`), "control character"},
		{"both forms of data", minimal(`,"data":1,"data_base64":""`), "must not stand beside data"},
		{"an object as text", minimal(`,"datacontenttype":"text/plain","data":{}`), `"data": must be a JSON string, because`},
		{"broken base64", minimal(`,"data_base64":"a"`), "standard base64"},
		{"a number as base64", minimal(`,"data_base64":1`), "must be a JSON string"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := eventjson.Decode([]byte(tt.in))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Decode(%s) = %v, want an error with %q", tt.in, err, tt.want)
			}
		})
	}
}

func TestAppend(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, contentType, data, want string
	}{
		{"without payload", "", "", `{"specversion":"1.0","id":"1","source":"/s","type":"t"}`},
		{"JSON as it is", "application/json", `{"a" : "<é>"}`, `"data":{"a" : "<é>"}}`},
		{"JSON over lines as base64", "application/json", "{\n}", `"data_base64":"ewp9"}`},
		{"broken JSON as base64", "application/json", "{", `"data_base64":"ew=="}`},
		{"text as a string", "text/plain", "a<\n", `"data":"a<\n"}`},
		{"bytes as base64", "image/png", "\xff", `"data_base64":"/w=="}`},
		{"bytes without content type as base64", "", "{}", `"data_base64":"e30="}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := &event.Event{ID: "1", Source: "/s", Type: "t", Data: []byte(tt.data)}
			if tt.contentType != "" {
				e.Set("datacontenttype", event.String(tt.contentType))
			}
			got := string(eventjson.Append(nil, e))
			if !strings.HasSuffix(got, tt.want) {
				t.Fatalf("Append = %s, want the end %s", got, tt.want)
			}
			again, err := eventjson.Decode([]byte(got))
			if err != nil {
				t.Fatalf("Decode(Append): %v", err)
			}
			if string(again.Data) != tt.data {
				t.Errorf("data after a round trip = %q, want %q", again.Data, tt.data)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(minimal(`,"data":{"a":[1,"\ud83d\ude00"]}`)))
	f.Add([]byte(minimal(`,"datacontenttype":"text/plain","data":"a\nb","time":"2021-08-19T12:16:32-04:00"`)))
	f.Add([]byte(minimal(`,"data_base64":"` + base64.StdEncoding.EncodeToString([]byte("\xff\x00")) + `","flag":true,"n":3`)))
	f.Add([]byte(`{"specversion":"1.0","id":"","x":{}}`))
	f.Add([]byte(`{"a":1,}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := eventjson.Decode(raw)
		if err != nil {
			return
		}
		line := eventjson.Append(nil, e)
		again, err := eventjson.Decode(line)
		if err != nil {
			t.Fatalf("Decode(Append) of %s: %v", line, err)
		}
		if string(again.Data) != string(e.Data) {
			t.Errorf("data changed from %q to %q", e.Data, again.Data)
		}
		back, err := eventpb.FromProto(eventpb.ToProto(e))
		if err != nil {
			t.Fatalf("FromProto(ToProto): %v", err)
		}
		if !proto.Equal(eventpb.ToProto(back), eventpb.ToProto(e)) {
			t.Errorf("protobuf round trip changed %s", line)
		}
	})
}

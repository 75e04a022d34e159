package mapping_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/mapping"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
	"github.com/warrenmesh/warren/proxy/event"
)

// sent is the message that carries e in binary mode, over the wire.
func sent(t testing.TB, e *event.Event, more ...broker.Header) *message.Message {
	t.Helper()
	p := message.Properties{ContentType: mapping.ContentType(e)}
	if err := mapping.AppendAttributes(&p.Headers, e); err != nil {
		t.Fatalf("AppendAttributes: %v", err)
	}
	if err := mapping.AppendHeaders(&p.Headers, more); err != nil {
		t.Fatalf("AppendHeaders: %v", err)
	}
	back, err := message.ParseProperties(string(p.Append(nil)))
	if err != nil {
		t.Fatalf("parse what was written: %v", err)
	}
	return &message.Message{Exchange: "x", Properties: back, Body: e.Data}
}

func TestAnEventIsWrittenAsItIsRead(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ contentType, want string }{
		"a content type in its property":       {"text/plain", "datacontenttype=String:text/plain"},
		"an event about structured events":     {"application/cloudevents+json", "datacontenttype=String:application/cloudevents+json"},
		"one about batches":                    {"Application/CloudEvents-batch+json; a=b", "datacontenttype=String:Application/CloudEvents-batch+json; a=b"},
		"a content type too long for property": {"text/" + strings.Repeat("x", 300), "datacontenttype=String:text/" + strings.Repeat("x", 300)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &event.Event{ID: "1", Source: "/a", Type: "t", Data: []byte("d")}
			e.Set("datacontenttype", event.String(test.contentType))
			e.Set("blob", event.Binary([]byte{255}))
			e.Set("count", event.Integer(-1))
			e.Set("ok", event.Boolean(true))
			e.Set("time", event.Timestamp(time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -60)).Add(-time.Hour)))
			wantEvent(t, sent(t, e), "blob=String:/w== count=Integer:-1 "+test.want+" ok=Boolean:true time=Timestamp:9999-12-31T22:59:59-00:01 data=d")
		})
	}
}

func TestTimesAtTheEdgeAreWrittenInUTC(t *testing.T) {
	t.Parallel()
	// In its own zone it is of the year 10000, which RFC 3339 cannot write.
	at := time.Date(9999, 12, 31, 23, 30, 0, 0, time.UTC).In(time.FixedZone("", 3600))
	e := &event.Event{ID: "1", Source: "/a", Type: "t"}
	e.Set("time", event.Timestamp(at))
	wantEvent(t, sent(t, e), "time=Timestamp:9999-12-31T23:30:00Z")
}

func TestHeadersAreWrittenAsTheyAreRead(t *testing.T) {
	t.Parallel()
	want := []broker.Header{
		{Name: "bool", Value: true},
		{Name: "bytes", Value: []byte{0, 255}},
		{Name: "float", Value: 1.5},
		{Name: "int", Value: int64(-1 << 40)},
		{Name: "list", Value: []any{"a", int64(1), nil, []any{}, []broker.Header{{Name: "in", Value: false}}}},
		{Name: "none", Value: nil},
		{Name: "table", Value: []broker.Header{{Name: "a", Value: "b"}, {Name: "c", Value: []any{true}}}},
		{Name: "text", Value: "żółw"},
		{Name: "time", Value: time.Unix(1767323045, 0).UTC()},
	}
	m := sent(t, &event.Event{ID: "1", Source: "/a", Type: "t"}, want...)
	if got := mapping.Headers(m); !reflect.DeepEqual(got, want) {
		t.Errorf("headers are\n%#v\nwant\n%#v", got, want)
	}
	wantEvent(t, m, "")
}

func TestWhatAMQPCannotCarryIsRefused(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]broker.Header{
		"no name":                    {Name: "", Value: "x"},
		"a name of 256 bytes":        {Name: strings.Repeat("n", 256), Value: "x"},
		"a name within a table":      {Name: "h", Value: []broker.Header{{Name: ""}}},
		"a type of Go's own":         {Name: "h", Value: int32(7)},
		"text that is not UTF-8":     {Name: "h", Value: "\xff"},
		"a fraction of a second":     {Name: "h", Value: time.Unix(1, 1)},
		"a time before 1970":         {Name: "h", Value: time.Unix(-1, 0)},
		"a time after 9999":          {Name: "h", Value: time.Unix(253402300800, 0)},
		"a value nested too deep":    {Name: "h", Value: nested(33, true)},
		"a list that is too long":    {Name: "h", Value: make([]any, 8193)},
		"a table that is too long":   {Name: "h", Value: make([]broker.Header, 8193)},
		"lists within that, refused": {Name: "h", Value: []any{[]any{int32(1)}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var table message.Table
			if err := mapping.AppendHeaders(&table, []broker.Header{h}); err == nil {
				t.Errorf("written as %v, want an error", table)
			}
		})
	}
	var table message.Table
	if err := mapping.AppendHeaders(&table, []broker.Header{{Name: strings.Repeat("n", 255), Value: nested(32, make([]any, 8192))}}); err == nil {
		t.Error("32 levels and a list in them are taken, want 32 in all")
	}
	if err := mapping.AppendHeaders(&table, []broker.Header{{Name: strings.Repeat("n", 255), Value: nested(31, make([]any, 8192))}}); err != nil {
		t.Errorf("the most that is allowed: %v", err)
	}
	e := &event.Event{ID: "1", Source: "/a", Type: "t"}
	e.Set(strings.Repeat("n", 253), event.String("x"))
	if err := mapping.AppendAttributes(&table, e); err == nil {
		t.Error("an attribute name of 253 bytes is taken")
	}
}

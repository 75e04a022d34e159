package mapping_test

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/mapping"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
	"github.com/warrenmesh/warren/proxy/event"
)

// raw is a header's value as it is on the wire.
type raw struct {
	kind  message.Kind
	bytes string
}

type headers map[string]any

// number encodes n in size bytes.
func number(kind message.Kind, n int64, size int) raw {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(n))
	return raw{kind, string(b[8-size:])}
}

func table(h headers) message.Table {
	var t message.Table
	for _, name := range slices.Sorted(maps.Keys(h)) {
		f := message.Field{Name: name}
		switch v := h[name].(type) {
		case raw:
			f.Kind, f.Raw = v.kind, v.bytes
		case string:
			f.Kind, f.Raw = message.KindText, v
		case []byte:
			f.Kind, f.Raw = message.KindBytes, string(v)
		case bool:
			t.AddBool(name, v)
			continue
		case int:
			t.AddInt(name, int64(v))
			continue
		case int32:
			t.AddInt32(name, v)
			continue
		case float64:
			f.Kind, f.Raw = message.KindFloat64, number('d', int64(math.Float64bits(v)), 8).bytes
		case time.Time:
			f.Kind, f.Raw = message.KindTimestamp, number('T', v.Unix(), 8).bytes
		case nil:
			f.Kind = message.KindVoid
		case headers:
			inner := table(v)
			f.Kind, f.Raw = message.KindTable, string(inner.Append(nil)[4:])
		default:
			panic(fmt.Sprintf("no header of type %T", v))
		}
		t.Fields = append(t.Fields, f)
	}
	return t
}

// binaryMode has the required attributes and more.
func binaryMode(prefix string, more headers) *message.Message {
	h := headers{prefix + "specversion": "1.0", prefix + "id": "1", prefix + "source": "/a", prefix + "type": "t"}
	maps.Copy(h, more)
	return &message.Message{Properties: message.Properties{Headers: table(h)}}
}

func structured(body string) *message.Message {
	return &message.Message{Properties: message.Properties{ContentType: "application/cloudevents+json"}, Body: []byte(body)}
}

// members is a minimal event in JSON with more members.
func members(more string) string {
	return `{"specversion":"1.0","id":"1","source":"/a","type":"t"` + more + `}`
}

// text flattens an event for comparison: "name=Kind:text …", without what is "1", "/a" and "t".
func text(e *event.Event) string {
	var out []string
	for _, a := range []struct{ name, value, usual string }{{"id", e.ID, "1"}, {"source", e.Source, "/a"}, {"type", e.Type, "t"}} {
		if a.value != a.usual {
			out = append(out, a.name+"="+a.value)
		}
	}
	for _, a := range e.Attrs {
		out = append(out, a.Name+"="+a.Value.Kind().String()+":"+a.Value.String())
	}
	if len(e.Data) > 0 {
		out = append(out, "data="+string(e.Data))
	}
	return strings.Join(out, " ")
}

// wantEvent compares the event of m, which came from the queue q. A want that begins with
// "error: " is of the error.
func wantEvent(t *testing.T, m *message.Message, want string) {
	t.Helper()
	e, err := mapping.Event(m, "q")
	if fault, ok := strings.CutPrefix(want, "error: "); ok {
		if err == nil || !strings.Contains(err.Error(), fault) || e != nil {
			t.Errorf("event %+v, error %v, want an error with %q", e, err, fault)
		}
		return
	}
	if err != nil {
		t.Fatalf("error %v, want %s", err, want)
	}
	if got := text(e); got != want {
		t.Errorf("event is\n%s\nwant\n%s", got, want)
	}
	if err := e.Validate(); err != nil {
		t.Errorf("the event is not valid: %v", err)
	}
}

package mapping

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/warrenmesh/warren/internal/grow"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
	"github.com/warrenmesh/warren/proxy/event"
)

// ContentType is the content_type property of a message that carries e in binary mode,
// "" when the property must be left out and AppendAttributes writes a header instead: a
// short string holds 255 bytes, and a media type of CloudEvents there would make the
// message one in structured mode.
func ContentType(e *event.Event) string {
	s := e.Text(event.AttrDataContentType)
	if _, taken := structuredFormat(s); taken || len(s) > message.MaxName {
		return ""
	}
	return s
}

// AppendAttributes adds the headers of e in binary mode: native for Boolean and Integer,
// the canonical string else. The error says which attribute AMQP cannot carry.
func AppendAttributes(t *message.Table, e *event.Event) error {
	t.AddText(Prefix+event.AttrSpecVersion, event.SpecVersion)
	t.AddText(Prefix+event.AttrID, e.ID)
	t.AddText(Prefix+event.AttrSource, e.Source)
	t.AddText(Prefix+event.AttrType, e.Type)
	for i := range e.Attrs {
		a := &e.Attrs[i]
		if a.Name == event.AttrDataContentType && ContentType(e) != "" {
			continue
		}
		name := headerName(a.Name)
		if len(name) > message.MaxName {
			return fmt.Errorf("attribute name of %d bytes: want at most %d", len(a.Name), message.MaxName-len(Prefix))
		}
		switch a.Value.Kind() {
		case event.KindBoolean:
			t.AddBool(name, a.Value.Bool())
		case event.KindInteger:
			t.AddInt32(name, a.Value.Int())
		case event.KindTimestamp:
			s, err := timestamp(a)
			if err != nil {
				return err
			}
			t.AddText(name, s)
		default:
			t.AddText(name, a.Value.String())
		}
	}
	return nil
}

// headerName returns the header of an attribute. Most events of a service have the same few
// attributes, so that the names of the first ones are kept.
func headerName(attribute string) string {
	if name, ok := names.Get(attribute); ok {
		return name
	}
	name := Prefix + attribute
	if len(name) > message.MaxName || named.Load() >= maxNames {
		return name
	}
	named.Add(1) // a little more than maxNames does no harm
	return names.Add(name[len(Prefix):], func() string { return name })
}

// maxNames is how many names are kept: whoever publishes chooses them.
const maxNames = 256

var (
	names grow.Map[string, string] // header by attribute
	named atomic.Int32
)

// timestamp is a's time in RFC 3339, in UTC where that cannot express its zone.
func timestamp(a *event.Attr) (string, error) {
	t := a.Value.Time()
	if !event.InRange(t) {
		return "", &event.FieldError{Field: a.Name, Reason: "must be a time within the years 1 to 9999 of UTC"}
	}
	if _, offset := t.Zone(); offset%60 != 0 || offset <= -24*3600 || offset >= 24*3600 || t.Year() < 1 || t.Year() > 9999 {
		t = t.UTC()
	}
	return t.Format(time.RFC3339Nano), nil
}

// AppendHeaders adds the headers beside an event. The error names the one that AMQP, or
// another client, cannot take: a name that is empty or over 255 bytes, a time with a
// fraction of a second or before 1970, values nested deeper than 32 levels or of more
// than 8,192 elements, which is the most that amqp091-go reads.
func AppendHeaders(t *message.Table, headers []broker.Header) error {
	for _, h := range headers {
		f, err := field(h, 0)
		if err != nil {
			return fmt.Errorf("header %q: %w", h.Name, err)
		}
		t.Fields = append(t.Fields, f)
	}
	return nil
}

// The most that other clients read.
const (
	maxWrittenDepth    = 32
	maxWrittenElements = 8192
)

func field(h broker.Header, depth int) (message.Field, error) {
	if h.Name == "" || len(h.Name) > message.MaxName {
		return message.Field{}, fmt.Errorf("a name must have 1 to %d bytes, has %d", message.MaxName, len(h.Name))
	}
	f, err := value(h.Value, depth)
	f.Name = h.Name
	return f, err
}

func value(v any, depth int) (message.Field, error) {
	switch v := v.(type) {
	case nil:
		return message.Field{Kind: message.KindVoid}, nil
	case bool:
		if v {
			return message.Field{Kind: message.KindBool, Raw: "\x01"}, nil
		}
		return message.Field{Kind: message.KindBool, Raw: "\x00"}, nil
	case int64:
		return eight(message.KindInt64, uint64(v)), nil //nolint:gosec // two's complement
	case float64:
		return eight(message.KindFloat64, math.Float64bits(v)), nil
	case string:
		if !utf8.ValidString(v) {
			return message.Field{}, fmt.Errorf("text must be UTF-8")
		}
		return message.Field{Kind: message.KindText, Raw: v}, nil
	case []byte:
		return message.Field{Kind: message.KindBytes, Raw: string(v)}, nil
	case time.Time:
		if v.Nanosecond() != 0 || v.Unix() < 0 || !event.InRange(v) {
			return message.Field{}, fmt.Errorf("AMQP has times in whole seconds from 1970 to 9999; write %s as text", v.UTC().Format(time.RFC3339Nano))
		}
		return eight(message.KindTimestamp, uint64(v.Unix())), nil //nolint:gosec // not negative
	case []any:
		return array(v, depth+1)
	case []broker.Header:
		return table(v, depth+1)
	default:
		return message.Field{}, fmt.Errorf("a value of type %T cannot be written", v)
	}
}

func eight(kind message.Kind, bits uint64) message.Field {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], bits)
	return message.Field{Kind: kind, Raw: string(b[:])}
}

func bounded(elements, depth int) error {
	if depth > maxWrittenDepth || elements > maxWrittenElements {
		return fmt.Errorf("want at most %d levels and %d elements", maxWrittenDepth, maxWrittenElements)
	}
	return nil
}

func array(items []any, depth int) (message.Field, error) {
	if err := bounded(len(items), depth); err != nil {
		return message.Field{}, err
	}
	var raw []byte
	for _, item := range items {
		f, err := value(item, depth)
		if err != nil {
			return message.Field{}, err
		}
		raw = append(raw, f.Append(nil)[1:]...) // without the name's length
	}
	return message.Field{Kind: message.KindArray, Raw: string(raw)}, nil
}

func table(entries []broker.Header, depth int) (message.Field, error) {
	if err := bounded(len(entries), depth); err != nil {
		return message.Field{}, err
	}
	var raw []byte
	for _, h := range entries {
		f, err := field(h, depth)
		if err != nil {
			return message.Field{}, err
		}
		raw = f.Append(raw)
	}
	return message.Field{Kind: message.KindTable, Raw: string(raw)}, nil
}

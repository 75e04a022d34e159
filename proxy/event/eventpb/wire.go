package eventpb

import (
	"bytes"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/warrenmesh/warren/proxy/event"
)

// sharedText is the most bytes of text that the attributes of an event share. Whoever keeps
// one of them keeps all, so those of a longer one are copied one by one.
const sharedText = 512

// FromWire makes of the wire form of a CloudEvent what FromProto makes of the message,
// without the message: most events take four allocations instead of thirty. It keeps
// nothing of b. ok is false for what is not as most clients write it, valid or not: unknown
// or repeated fields, proto data, anything that FromProto refuses. That is left to
// proto.Unmarshal and FromProto, which have the last word. fields is how many fields the
// message has, those within its fields counted.
func FromWire(b []byte) (e *event.Event, fields int, ok bool) {
	s := scan{Wire: Wire{b: b}}
	if !s.all() {
		return nil, 0, false
	}
	if s.textEnd <= sharedText {
		s.shared = string(b[:s.textEnd])
	}
	builder := event.Builder{}
	builder.Grow(s.attributes)
	for w := (Wire{b: b}); s.attributes > 0 && !w.Done(); {
		number, kind := w.Tag()
		if number != fieldAttributes {
			w.Skip(number, kind)
			continue
		}
		if entry := w.Bytes(kind); !s.attribute(&builder, entry) {
			return nil, 0, false
		}
	}
	builder.Required(s.string(s.id), s.string(s.source), s.string(s.typ))
	e, err := builder.Event(bytes.Clone(s.data.of(b)))
	return e, s.fields, err == nil
}

// Span is where a field's content is in the wire form.
type Span struct{ from, to int }

func (s Span) of(b []byte) []byte { return b[s.from:s.to] }

// Empty reports whether there is no content.
func (s Span) Empty() bool { return s.from == s.to }

// Wire reads the fields of a message one by one. After something that is none it is at its
// end, and Bad.
type Wire struct {
	b   []byte
	at  int
	bad bool
}

// NewWire reads b.
func NewWire(b []byte) Wire { return Wire{b: b} }

// Within reads the message that is the content of a field.
func (w *Wire) Within(s Span) Wire { return Wire{b: w.b[:s.to], at: s.from} }

// Done reports whether there are no more fields.
func (w *Wire) Done() bool { return w.at >= len(w.b) }

// Bad reports whether something was no field, or not of the kind that was asked for.
func (w *Wire) Bad() bool { return w.bad }

func (w *Wire) fail() { w.at, w.bad = len(w.b), true }

// Tag reads the number and the kind of the next field.
func (w *Wire) Tag() (protowire.Number, protowire.Type) {
	number, kind, n := protowire.ConsumeTag(w.b[w.at:])
	if n < 0 {
		w.fail()
		return 0, 0
	}
	w.at += n
	return number, kind
}

// Bytes reads the content of a field that has a length.
func (w *Wire) Bytes(kind protowire.Type) Span {
	size, n := protowire.ConsumeVarint(w.b[w.at:])
	if kind != protowire.BytesType || n < 0 || size > uint64(len(w.b)-w.at-n) {
		w.fail()
		return Span{}
	}
	from := w.at + n
	w.at = from + int(size) //nolint:gosec // at most len(w.b)
	return Span{from, w.at}
}

// Text reads the content of a string field, which is UTF-8.
func (w *Wire) Text(kind protowire.Type) Span {
	s := w.Bytes(kind)
	if !utf8.Valid(s.of(w.b)) {
		w.fail()
	}
	return s
}

// Varint reads a number.
func (w *Wire) Varint(kind protowire.Type) uint64 {
	v, n := protowire.ConsumeVarint(w.b[w.at:])
	if kind != protowire.VarintType || n < 0 {
		w.fail()
		return 0
	}
	w.at += n
	return v
}

// Skip leaves a field out.
func (w *Wire) Skip(number protowire.Number, kind protowire.Type) {
	n := protowire.ConsumeFieldValue(number, kind, w.b[w.at:])
	if n < 0 {
		w.fail()
		return
	}
	w.at += n
}

// IsText reports whether content is UTF-8.
func (w *Wire) IsText(s Span) bool { return utf8.Valid(s.of(w.b)) }

// String copies text.
func (w *Wire) String(s Span) string { return string(s.of(w.b)) }

// Slice is the content itself.
func (w *Wire) Slice(s Span) []byte { return s.of(w.b) }

// scan is an event's wire form, of which it is known where what is.
type scan struct {
	Wire
	id, source, typ, version Span
	data                     Span
	textEnd                  int    // where the last text ends
	shared                   string // the begin of the form, "" if strings are copied one by one
	attributes, fields       int
}

// all looks at every field. It returns false for what is not as most clients write it.
func (s *scan) all() bool {
	var seen uint64 // fields that may come once
	for !s.Done() {
		number, kind := s.Tag()
		once := uint64(0)
		switch number {
		case fieldID:
			s.id, once = s.Text(kind), 1<<fieldID
		case fieldSource:
			s.source, once = s.Text(kind), 1<<fieldSource
		case fieldSpecVersion:
			s.version, once = s.Text(kind), 1<<fieldSpecVersion
		case fieldType:
			s.typ, once = s.Text(kind), 1<<fieldType
		case fieldAttributes:
			s.Bytes(kind)
			s.attributes++
		case fieldBinaryData:
			s.data, once = s.Bytes(kind), 1<<fieldBinaryData
		case fieldTextData:
			s.data, once = s.Text(kind), 1<<fieldBinaryData // one of both
		default:
			return false
		}
		if s.bad || seen&once != 0 {
			return false
		}
		if once != 1<<fieldBinaryData {
			s.textEnd = s.at
		}
		seen |= once
		s.fields++
	}
	return !s.bad && s.attributes <= event.MaxAttributes && string(s.version.of(s.b)) == event.SpecVersion
}

// string is text of the event.
func (s *scan) string(at Span) string {
	if at.to <= len(s.shared) {
		return s.shared[at.from:at.to]
	}
	return s.String(at)
}

// attribute adds an entry of the attributes.
func (s *scan) attribute(to *event.Builder, at Span) bool {
	key, value, ok := Entry(&s.Wire, at)
	if !ok || value.Empty() || required(string(key.of(s.b))) {
		return false
	}
	name := s.string(key)
	w := s.Within(value)
	v, ok := s.value(&w, name)
	s.fields += 3
	return ok && !w.bad && w.Done() && to.Add(name, v) == nil
}

// Entry reads an entry of a map from text to what has a length, which has both.
func Entry(of *Wire, at Span) (key, value Span, ok bool) {
	w := of.Within(at)
	number, kind := w.Tag()
	if number != 1 {
		return key, value, false
	}
	key = w.Text(kind)
	if number, kind = w.Tag(); number != 2 {
		return key, value, false
	}
	value = w.Bytes(kind)
	return key, value, !w.bad && w.Done()
}

// value reads the one field of an attribute's value.
func (s *scan) value(w *Wire, name string) (event.Value, bool) {
	switch number, kind := w.Tag(); number {
	case valueBoolean:
		return event.Boolean(protowire.DecodeBool(w.Varint(kind))), true
	case valueInteger:
		return event.Integer(int32(w.Varint(kind))), true //nolint:gosec // as protobuf does
	case valueString:
		return event.Typed(name, s.string(w.Text(kind))), true
	case valueBytes:
		return event.Binary(w.Bytes(kind).of(w.b)), true
	case valueURI:
		return event.URI(s.string(w.Text(kind))), true
	case valueURIRef:
		return event.URIRef(s.string(w.Text(kind))), true
	case valueTimestamp:
		inner := w.Within(w.Bytes(kind))
		s.fields += 2
		return timestamp(&inner)
	default:
		return event.Value{}, false
	}
}

// timestamp reads a protobuf Timestamp.
func timestamp(w *Wire) (event.Value, bool) {
	var t timestamppb.Timestamp
	var seen uint64
	for !w.Done() {
		number, kind := w.Tag()
		v := w.Varint(kind)
		if number != 1 && number != 2 || seen&(1<<number) != 0 {
			return event.Value{}, false
		}
		seen |= 1 << number
		if number == 1 {
			t.Seconds = int64(v) //nolint:gosec // two's complement
		} else {
			t.Nanos = int32(v) //nolint:gosec // as protobuf does
		}
	}
	if w.bad || t.CheckValid() != nil {
		return event.Value{}, false
	}
	return event.Timestamp(t.AsTime()), true
}

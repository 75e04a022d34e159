package eventpb

import (
	"math/bits"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/warrenmesh/warren/proxy/event"
)

// The numbers of CloudEvent's fields, and of the kinds of an attribute's value.
const (
	fieldID          protowire.Number = 1
	fieldSource      protowire.Number = 2
	fieldSpecVersion protowire.Number = 3
	fieldType        protowire.Number = 4
	fieldAttributes  protowire.Number = 5
	fieldBinaryData  protowire.Number = 6
	fieldTextData    protowire.Number = 7

	valueBoolean   protowire.Number = 1
	valueInteger   protowire.Number = 2
	valueString    protowire.Number = 3
	valueBytes     protowire.Number = 4
	valueURI       protowire.Number = 5
	valueURIRef    protowire.Number = 6
	valueTimestamp protowire.Number = 7

	entryKey   protowire.Number = 1
	entryValue protowire.Number = 2
)

// AppendEvent appends the wire form of ToProto(e), without making that. e must be valid:
// text that is not UTF-8 is appended as it is.
func AppendEvent(b []byte, e *event.Event) []byte {
	b = AppendString(b, fieldID, e.ID)
	b = AppendString(b, fieldSource, e.Source)
	b = AppendString(b, fieldSpecVersion, event.SpecVersion)
	b = AppendString(b, fieldType, e.Type)
	for i := range e.Attrs {
		var entry, value int
		b, entry = Begin(b, fieldAttributes)
		b = appendText(b, entryKey, e.Attrs[i].Name)
		b, value = Begin(b, entryValue)
		b = appendValue(b, e.Attrs[i].Value)
		b = End(End(b, value), entry)
	}
	if len(e.Data) > 0 {
		b = protowire.AppendBytes(protowire.AppendTag(b, fieldBinaryData, protowire.BytesType), e.Data)
	}
	return b
}

// appendValue appends the wire form of an attribute's value. A member of a oneof is written
// though it is empty.
func appendValue(b []byte, v event.Value) []byte {
	switch v.Kind() {
	case event.KindBoolean:
		return protowire.AppendVarint(protowire.AppendTag(b, valueBoolean, protowire.VarintType), protowire.EncodeBool(v.Bool()))
	case event.KindInteger:
		return protowire.AppendVarint(protowire.AppendTag(b, valueInteger, protowire.VarintType), uint64(int64(v.Int()))) //nolint:gosec // two's complement
	case event.KindBinary:
		return protowire.AppendBytes(protowire.AppendTag(b, valueBytes, protowire.BytesType), v.Bytes())
	case event.KindURI:
		return appendText(b, valueURI, v.String())
	case event.KindURIRef:
		return appendText(b, valueURIRef, v.String())
	case event.KindTimestamp:
		return AppendTime(b, valueTimestamp, v.Time().Unix(), v.Time().Nanosecond())
	default:
		return appendText(b, valueString, v.String())
	}
}

// AppendTime appends a google.protobuf.Timestamp.
func AppendTime(b []byte, number protowire.Number, seconds int64, nanos int) []byte {
	b, at := Begin(b, number)
	b = AppendVarint(b, 1, uint64(seconds)) //nolint:gosec // two's complement
	b = AppendVarint(b, 2, uint64(nanos))   //nolint:gosec // not negative
	return End(b, at)
}

// AppendString appends a text, unless it is empty.
func AppendString(b []byte, number protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return appendText(b, number, s)
}

func appendText(b []byte, number protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, number, protowire.BytesType), s)
}

// AppendVarint appends a number, unless it is 0.
func AppendVarint(b []byte, number protowire.Number, n uint64) []byte {
	if n == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, number, protowire.VarintType), n)
}

// AppendEntry appends an entry of a map of texts.
func AppendEntry(b []byte, number protowire.Number, key, value string) []byte {
	b, at := Begin(b, number)
	return End(appendText(appendText(b, entryKey, key), entryValue, value), at)
}

// Open is a message that was begun by BeginLarge.
type Open struct{ at, room int }

// BeginLarge begins a message in a field, as Begin does, that will have about n bytes. If
// its length takes as many bytes as that of n, EndLarge moves nothing.
func BeginLarge(b []byte, number protowire.Number, n int) ([]byte, Open) {
	b = protowire.AppendTag(b, number, protowire.BytesType)
	room := protowire.SizeVarint(uint64(max(n, 0))) //nolint:gosec // not negative
	for range room {
		b = append(b, 0)
	}
	return b, Open{len(b), room}
}

// EndLarge ends the message that began with o.
func EndLarge(b []byte, o Open) []byte {
	n := len(b) - o.at
	room := protowire.SizeVarint(uint64(n)) //nolint:gosec // a length
	if room > o.room {
		b = slices.Grow(b, room-o.room)[:len(b)+room-o.room]
	}
	if room != o.room {
		copy(b[o.at+room-o.room:], b[o.at:o.at+n])
	}
	protowire.AppendVarint(b[:o.at-o.room], uint64(n)) //nolint:gosec // a length
	return b[:o.at-o.room+room+n]
}

// Begin begins a message in a field: what is appended until End is in it. at is for End.
func Begin(b []byte, number protowire.Number) (out []byte, at int) {
	b = protowire.AppendTag(b, number, protowire.BytesType)
	return append(b, 0), len(b) + 1
}

// End ends the message that began at at. Its length is put before it, which moves a message
// of 128 bytes or more.
func End(b []byte, at int) []byte {
	n := len(b) - at
	room := (bits.Len(uint(n)|1) + 6) / 7 //nolint:gosec // a length
	if room > 1 {
		b = slices.Grow(b, room-1)[:len(b)+room-1]
		copy(b[at+room-1:], b[at:at+n])
	}
	protowire.AppendVarint(b[:at-1], uint64(n)) //nolint:gosec // a length
	return b
}

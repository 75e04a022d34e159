package message

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// Kind is the type octet of a header's value.
type Kind byte

// The kinds RabbitMQ knows.
const (
	KindBool      Kind = 't'
	KindInt8      Kind = 'b'
	KindUint8     Kind = 'B'
	KindInt16     Kind = 's'
	KindUint16    Kind = 'u'
	KindInt32     Kind = 'I'
	KindUint32    Kind = 'i'
	KindInt64     Kind = 'l'
	KindUint64    Kind = 'L' // AMQP-CPP writes its 64-bit integers so; RabbitMQ reads them as signed
	KindFloat32   Kind = 'f'
	KindFloat64   Kind = 'd'
	KindDecimal   Kind = 'D'
	KindText      Kind = 'S'
	KindBytes     Kind = 'x'
	KindTimestamp Kind = 'T'
	KindArray     Kind = 'A'
	KindTable     Kind = 'F'
	KindVoid      Kind = 'V'
)

// kinds are their names in AMQP 0-9-1 and its errata.
var kinds = map[Kind]string{
	KindBool: "boolean", KindInt8: "short-short-int", KindUint8: "short-short-uint", KindInt16: "short-int", KindUint16: "short-uint",
	KindInt32: "long-int", KindUint32: "long-uint", KindInt64: "long-long-int", KindUint64: "long-long-uint",
	KindFloat32: "float", KindFloat64: "double", KindDecimal: "decimal", KindText: "long-string", KindBytes: "byte-array",
	KindTimestamp: "timestamp", KindArray: "array", KindTable: "table", KindVoid: "void",
}

// String is the type's name in AMQP.
func (k Kind) String() string {
	if name, ok := kinds[k]; ok {
		return name
	}
	return fmt.Sprintf("0x%02x", byte(k))
}

// MaxName is the most bytes of a field's name, and of every short string.
const MaxName = 255

// Field is one entry of a table. Raw is its value as encoded, without the type octet
// and, for the kinds that have one, without the length.
type Field struct {
	Name string
	Kind Kind
	Raw  string
}

// Table is a header table: its fields, in their order. Names may repeat; Lookup
// returns the last, as AMQP clients that keep tables in maps do.
type Table struct {
	Fields []Field
	// Rest is what follows the last field that could be read. It is empty but for
	// tables that are broken; a copy ends in it.
	Rest string
}

var errShort = errors.New("is cut short")

// ParseTable reads the content of a table, without its length. After an error the table
// has the fields before the one that is wrong, and all others in Rest.
func ParseTable(s string) (Table, error) {
	var t Table
	err := t.parse(s)
	return t, err
}

// parse reads s into an empty t.
func (t *Table) parse(s string) error {
	if t.Fields == nil {
		t.Fields = make([]Field, 0, min(8+len(s)/32, 64))
	}
	for len(s) > 0 {
		f, rest, err := parseField(s)
		if err != nil {
			t.Rest = s
			return err
		}
		t.Fields = append(t.Fields, f)
		s = rest
	}
	return nil
}

func parseField(s string) (f Field, rest string, err error) {
	n := 1 + int(s[0])
	if len(s) <= n {
		return f, "", fmt.Errorf("header %q %w", s[1:min(n, len(s))], errShort)
	}
	f.Name = s[1:n]
	f.Kind, f.Raw, rest, err = parseValue(s[n:])
	if err != nil {
		return f, "", fmt.Errorf("header %q %w", f.Name, err)
	}
	return f, rest, nil
}

// parseValue splits a value with its type octet from what follows it. s is not empty.
func parseValue(s string) (kind Kind, raw, rest string, err error) {
	kind, s = Kind(s[0]), s[1:]
	n, ok := fixedSize(kind)
	if !ok {
		return kind, "", "", fmt.Errorf("has a value of unknown type 0x%02x", byte(kind))
	}
	if n < 0 {
		if len(s) < 4 {
			return kind, "", "", errShort
		}
		size := uint64(s[0])<<24 | uint64(s[1])<<16 | uint64(s[2])<<8 | uint64(s[3])
		s = s[4:]
		if size > uint64(len(s)) {
			return kind, "", "", errShort
		}
		n = int(size) //nolint:gosec // at most len(s)
	}
	if len(s) < n {
		return kind, "", "", errShort
	}
	return kind, s[:n], s[n:], nil
}

// fixedSize is the encoded size of a kind's values, -1 when a length says it; ok is
// false for unknown kinds.
func fixedSize(k Kind) (n int, ok bool) {
	switch k {
	case KindVoid:
		return 0, true
	case KindBool, KindInt8, KindUint8:
		return 1, true
	case KindInt16, KindUint16:
		return 2, true
	case KindInt32, KindUint32, KindFloat32:
		return 4, true
	case KindDecimal:
		return 5, true
	case KindInt64, KindUint64, KindFloat64, KindTimestamp:
		return 8, true
	case KindText, KindBytes, KindArray, KindTable:
		return -1, true
	default:
		return 0, false
	}
}

// Lookup returns the last field of that name.
func (t *Table) Lookup(name string) (Field, bool) {
	for i := len(t.Fields) - 1; i >= 0; i-- {
		if t.Fields[i].Name == name {
			return t.Fields[i], true
		}
	}
	return Field{}, false
}

// Text returns the field of that name if it is a text or bytes, "" else.
func (t *Table) Text(name string) string {
	f, _ := t.Lookup(name)
	s, _ := f.Text()
	return s
}

// Size is the encoded size of the table, with its length.
func (t *Table) Size() int {
	n := 4 + len(t.Rest)
	for i := range t.Fields {
		n += t.Fields[i].Size()
	}
	return n
}

// Size is the encoded size of the field, with its name and type.
func (f *Field) Size() int {
	n := 2 + len(f.Name) + len(f.Raw)
	if size, ok := fixedSize(f.Kind); ok && size < 0 {
		n += 4
	}
	return n
}

// Without returns the table without the fields that drop chooses. The table itself is
// not changed.
func (t *Table) Without(drop func(name string) bool) Table {
	out := Table{Fields: make([]Field, 0, len(t.Fields)), Rest: t.Rest}
	for _, f := range t.Fields {
		if !drop(f.Name) {
			out.Fields = append(out.Fields, f)
		}
	}
	return out
}

// Append appends the encoded table, with its length.
func (t *Table) Append(b []byte) []byte {
	at := len(b)
	b = append(b, 0, 0, 0, 0)
	for i := range t.Fields {
		b = t.Fields[i].Append(b)
	}
	b = append(b, t.Rest...)
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at-4)) //nolint:gosec // a frame's at most
	return b
}

// Append appends the encoded field. A name over MaxName bytes is cut.
func (f *Field) Append(b []byte) []byte {
	return f.appendValue(appendShort(b, f.Name))
}

// appendValue appends the type and the value.
func (f *Field) appendValue(b []byte) []byte {
	b = append(b, byte(f.Kind))
	if size, ok := fixedSize(f.Kind); ok && size < 0 {
		b = binary.BigEndian.AppendUint32(b, uint32(len(f.Raw))) //nolint:gosec // a frame's at most
	}
	return append(b, f.Raw...)
}

func appendShort(b []byte, s string) []byte {
	s = s[:min(len(s), MaxName)]
	return append(append(b, byte(len(s))), s...)
}

// AddText adds a text.
func (t *Table) AddText(name, s string) {
	t.Fields = append(t.Fields, Field{Name: name, Kind: KindText, Raw: s})
}

// AddBytes adds a byte array.
func (t *Table) AddBytes(name, s string) {
	t.Fields = append(t.Fields, Field{Name: name, Kind: KindBytes, Raw: s})
}

// AddInt adds a 64-bit integer.
func (t *Table) AddInt(name string, n int64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(n)) //nolint:gosec // two's complement
	t.Fields = append(t.Fields, Field{Name: name, Kind: KindInt64, Raw: string(b[:])})
}

// AddInt32 adds a 32-bit integer.
func (t *Table) AddInt32(name string, n int32) {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], uint32(n)) //nolint:gosec // two's complement
	t.Fields = append(t.Fields, Field{Name: name, Kind: KindInt32, Raw: string(b[:])})
}

// AddBool adds a truth value.
func (t *Table) AddBool(name string, v bool) {
	raw := "\x00"
	if v {
		raw = "\x01"
	}
	t.Fields = append(t.Fields, Field{Name: name, Kind: KindBool, Raw: raw})
}

// String is for messages: the names of the fields.
func (t *Table) String() string {
	names := make([]string, len(t.Fields))
	for i := range t.Fields {
		names[i] = t.Fields[i].Name
	}
	return "{" + strings.Join(names, " ") + "}"
}

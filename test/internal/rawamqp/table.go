package rawamqp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Value is a header's value in its wire format: a type octet and the data.
type Value string

// Field is one entry of a header table.
type Field struct {
	Name  string
	Value Value
}

// Raw is a value with any type octet and any bytes, valid or not.
func Raw(octet byte, bytes string) Value { return Value([]byte{octet}) + Value(bytes) }

// Long is a value with a length prefix: 'S', 'x', or encoded nested values.
func Long(octet byte, bytes string) Value {
	return Raw(octet, string(binary.BigEndian.AppendUint32(nil, uint32(len(bytes))))+bytes) //nolint:gosec // small
}

// Text is a value of type 'S'.
func Text(s string) Value { return Long('S', s) }

// Number is an integer or floating-point value of a type with 1, 2, 4 or 8 bytes. bits
// are its lowest bits.
func Number(octet byte, bits uint64) Value {
	b := binary.BigEndian.AppendUint64(nil, bits)
	return Raw(octet, string(b[8-sizes[octet]:]))
}

// Double is a value of type 'd'.
func Double(f float64) Value { return Number('d', math.Float64bits(f)) }

// Bool is a value of type 't'.
func Bool(v bool) Value {
	if v {
		return Raw('t', "\x01")
	}
	return Raw('t', "\x00")
}

// Array is a value of type 'A'.
func Array(values ...Value) Value {
	var all []byte
	for _, v := range values {
		all = append(all, v...)
	}
	return Long('A', string(all))
}

// Table is a value of type 'F'.
func Table(fields ...Field) Value { return Long('F', appendFields(nil, fields)) }

// DeepArray nests n arrays, the innermost empty.
func DeepArray(n int) Value {
	v := Array()
	for range n - 1 {
		v = Array(v)
	}
	return v
}

// DeepTable nests n tables, the innermost with one field.
func DeepTable(n int) Value {
	v := Bool(true)
	for range n {
		v = Table(Field{"a", v})
	}
	return v
}

func appendFields(b []byte, fields []Field) string {
	for _, f := range fields {
		b = append(b, byte(len(f.Name)))
		b = append(append(b, f.Name...), f.Value...)
	}
	return string(b)
}

// sizes holds the sizes of values with a fixed size.
var sizes = map[byte]int{
	'V': 0, 't': 1, 'b': 1, 'B': 1, 's': 2, 'u': 2, 'I': 4, 'i': 4, 'f': 4, 'D': 5, 'l': 8, 'L': 8, 'd': 8, 'T': 8,
}

var errShort = errors.New("the table is truncated")

// parseFields reads the content of a table.
func parseFields(s string) (fields []Field, err error) {
	for len(s) > 0 {
		n := 1 + int(s[0])
		if len(s) <= n {
			return fields, errShort
		}
		value, rest, err := split(s[n:])
		if err != nil {
			return fields, fmt.Errorf("header %q: %w", s[1:n], err)
		}
		fields = append(fields, Field{Name: s[1:n], Value: value})
		s = rest
	}
	return fields, nil
}

// split splits the first value from s, which is not empty.
func split(s string) (v Value, rest string, err error) {
	n, fixed := sizes[s[0]]
	switch s[0] {
	case 'S', 'x', 'A', 'F':
		if len(s) < 5 {
			return "", "", errShort
		}
		n = 4 + int(binary.BigEndian.Uint32([]byte(s[1:5])))
	default:
		if !fixed {
			return "", "", fmt.Errorf("type octet 0x%02x", s[0])
		}
	}
	if len(s) < 1+n {
		return "", "", errShort
	}
	return Value(s[:1+n]), s[1+n:], nil
}

// Text returns a value of type 'S' or 'x'; "" for any other.
func (v Value) Text() string {
	if len(v) < 5 || v[0] != 'S' && v[0] != 'x' {
		return ""
	}
	return string(v[5:])
}

// Items returns the values of an array; nil for any other value.
func (v Value) Items() (items []Value) {
	if len(v) < 5 || v[0] != 'A' {
		return nil
	}
	for rest := string(v[5:]); len(rest) > 0; {
		item, more, err := split(rest)
		if err != nil {
			return items
		}
		items, rest = append(items, item), more
	}
	return items
}

// Fields returns the fields of a table; nil for any other value.
func (v Value) Fields() []Field {
	if len(v) < 5 || v[0] != 'F' {
		return nil
	}
	fields, _ := parseFields(string(v[5:])) // as many as can be read
	return fields
}

// Int returns an integer of any type; 0 for any other value.
func (v Value) Int() int64 {
	if len(v) < 2 {
		return 0
	}
	var n uint64
	for _, b := range []byte(v[1:]) {
		n = n<<8 | uint64(b)
	}
	switch v[0] {
	case 'b':
		return int64(int8(n)) //nolint:gosec // two's complement
	case 's':
		return int64(int16(n)) //nolint:gosec // two's complement
	case 'I':
		return int64(int32(n)) //nolint:gosec // two's complement
	case 'B', 'u', 'i', 'l', 'L', 'T':
		return int64(n) //nolint:gosec // two's complement
	default:
		return 0
	}
}

// AsBroker returns the value as RabbitMQ writes it when it encodes a message's headers
// again. At every depth, a 64-bit integer of type 'L' then has type 'l', and a true
// boolean is 1.
func (v Value) AsBroker() Value {
	switch {
	case len(v) == 0:
		return v
	case v[0] == 'L':
		return "l" + v[1:]
	case v[0] == 't':
		return Bool(len(v) > 1 && v[1] != 0)
	case v[0] == 'A' && len(v) >= 5:
		var items []Value
		for rest := string(v[5:]); len(rest) > 0; {
			item, more, err := split(rest)
			if err != nil {
				return v
			}
			items, rest = append(items, item.AsBroker()), more
		}
		return Array(items...)
	case v[0] == 'F' && len(v) >= 5:
		fields, err := parseFields(string(v[5:]))
		if err != nil {
			return v
		}
		for i := range fields {
			fields[i].Value = fields[i].Value.AsBroker()
		}
		return Table(fields...)
	default:
		return v
	}
}

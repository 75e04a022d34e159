package message

import (
	"math"
	"strconv"
	"time"
)

// Text returns a text or a byte array.
func (f *Field) Text() (string, bool) {
	return f.Raw, f.Kind == KindText || f.Kind == KindBytes
}

// Int returns an integer of any size. A KindUint64 is read as signed, as RabbitMQ does.
func (f *Field) Int() (int64, bool) {
	switch f.Kind {
	case KindInt8:
		return int64(int8(f.bits())), true //nolint:gosec // two's complement
	case KindInt16:
		return int64(int16(f.bits())), true //nolint:gosec // two's complement
	case KindInt32:
		return int64(int32(f.bits())), true //nolint:gosec // two's complement
	case KindUint8, KindUint16, KindUint32, KindInt64, KindUint64:
		return int64(f.bits()), true //nolint:gosec // two's complement
	default:
		return 0, false
	}
}

// Bool returns a truth value.
func (f *Field) Bool() (v, ok bool) { return f.Kind == KindBool && f.bits() != 0, f.Kind == KindBool }

// Float returns a floating-point number.
func (f *Field) Float() (float64, bool) {
	switch f.Kind {
	case KindFloat32:
		return float64(math.Float32frombits(uint32(f.bits()))), true //nolint:gosec // 4 bytes
	case KindFloat64:
		return math.Float64frombits(f.bits()), true
	default:
		return 0, false
	}
}

// Decimal returns a decimal number as text: its digits with a point before the last
// scale of them, or in the form 7e-200 when the scale is over 20.
func (f *Field) Decimal() (string, bool) {
	if f.Kind != KindDecimal {
		return "", false
	}
	scale, n := int(f.Raw[0]), int64(int32(f.bits())) //nolint:gosec // the last 4 bytes
	if scale > 20 {
		return strconv.FormatInt(n, 10) + "e-" + strconv.Itoa(scale), true
	}
	return strconv.FormatFloat(float64(n)/math.Pow10(scale), 'f', scale, 64), true
}

// Seconds returns a timestamp's number, which AMQP says is of seconds since 1970; it
// may be any, and some clients write milliseconds.
func (f *Field) Seconds() (int64, bool) {
	return int64(f.bits()), f.Kind == KindTimestamp //nolint:gosec // two's complement
}

// First returns the first element of an array.
func (f *Field) First() (Field, bool) {
	if f.Kind != KindArray || f.Raw == "" {
		return Field{}, false
	}
	kind, raw, _, err := parseValue(f.Raw)
	return Field{Kind: kind, Raw: raw}, err == nil
}

// bits are the bytes of a number, in the order of the network.
func (f *Field) bits() (n uint64) {
	for i := range len(f.Raw) {
		n = n<<8 | uint64(f.Raw[i])
	}
	return n
}

// Budget bounds what Value makes of nested values, for all of a message together.
type Budget struct {
	Depth    int // of tables and arrays in each other
	Elements int // of all tables and arrays
}

// Omitted stands for a nested value over the budget, or one that is broken.
const Omitted = "(omitted: nested too deep, too large, or broken)"

// Value returns the value in Go's types: bool, int64, float64, string (also a decimal),
// []byte, time.Time (in UTC; the number itself, int64, if it is of no year from 0 to
// 9999), nil, []any, and Pairs for a table. What the budget does not allow is Omitted;
// the budget's elements are used up.
func (f *Field) Value(budget *Budget) any { return f.value(budget, 0) }

// Pair is an entry of a table with its value.
type Pair struct {
	Name  string
	Value any
}

// Pairs is a table with its values, in order.
type Pairs []Pair

func (f *Field) value(budget *Budget, depth int) any {
	switch f.Kind {
	case KindBool:
		v, _ := f.Bool()
		return v
	case KindFloat32, KindFloat64:
		v, _ := f.Float()
		return v
	case KindDecimal:
		v, _ := f.Decimal()
		return v
	case KindText:
		return f.Raw
	case KindBytes:
		return []byte(f.Raw)
	case KindTimestamp:
		return f.timeOrNumber()
	case KindVoid:
		return nil
	case KindArray:
		return f.array(budget, depth+1)
	case KindTable:
		return f.table(budget, depth+1)
	default:
		v, _ := f.Int()
		return v
	}
}

func (f *Field) timeOrNumber() any {
	n, _ := f.Seconds()
	if n < minSeconds || n > maxSeconds {
		return n
	}
	return time.Unix(n, 0).UTC()
}

// The first second of the year 0 and the last of 9999, in UTC.
const (
	minSeconds = -62167219200
	maxSeconds = 253402300799
)

func (f *Field) array(budget *Budget, depth int) any {
	if depth > budget.Depth {
		return Omitted
	}
	out := []any{}
	for s := f.Raw; len(s) > 0; {
		kind, raw, rest, err := parseValue(s)
		if budget.Elements--; err != nil || budget.Elements < 0 {
			return Omitted
		}
		element := Field{Kind: kind, Raw: raw}
		out = append(out, element.value(budget, depth))
		s = rest
	}
	return out
}

func (f *Field) table(budget *Budget, depth int) any {
	if depth > budget.Depth {
		return Omitted
	}
	out := Pairs{}
	for s := f.Raw; len(s) > 0; {
		field, rest, err := parseField(s)
		if budget.Elements--; err != nil || budget.Elements < 0 {
			return Omitted
		}
		out = append(out, Pair{field.Name, field.value(budget, depth)})
		s = rest
	}
	return out
}

package event

import (
	"encoding/base64"
	"strconv"
	"time"
)

// Kind is a CloudEvents attribute type (CloudEvents 1.0.2, section "Type System").
type Kind uint8

// The kinds. The zero Value is an empty string.
const (
	KindString Kind = iota
	KindBoolean
	KindInteger
	KindBinary
	KindURI
	KindURIRef
	KindTimestamp
)

// String returns the specification's name of the kind.
func (k Kind) String() string {
	names := [...]string{"String", "Boolean", "Integer", "Binary", "URI", "URI-reference", "Timestamp"}
	if int(k) < len(names) {
		return names[k]
	}
	return "Kind(" + strconv.Itoa(int(k)) + ")"
}

// Value is one typed attribute value. Values are immutable and comparable only
// through Equal.
type Value struct {
	kind Kind
	num  int64 // boolean, integer
	text string
	time time.Time
}

// String makes a String value.
func String(s string) Value { return Value{kind: KindString, text: s} }

// URI makes a URI value.
func URI(s string) Value { return Value{kind: KindURI, text: s} }

// URIRef makes a URI-reference value.
func URIRef(s string) Value { return Value{kind: KindURIRef, text: s} }

// Binary makes a Binary value; b is copied.
func Binary(b []byte) Value { return Value{kind: KindBinary, text: string(b)} }

// Integer makes an Integer value.
func Integer(n int32) Value { return Value{kind: KindInteger, num: int64(n)} }

// Boolean makes a Boolean value.
func Boolean(b bool) Value {
	v := Value{kind: KindBoolean}
	if b {
		v.num = 1
	}
	return v
}

// Timestamp makes a Timestamp value; the zone offset is kept.
func Timestamp(t time.Time) Value { return Value{kind: KindTimestamp, time: t} }

// Kind returns the value's type.
func (v Value) Kind() Kind { return v.kind }

// Bool returns a Boolean's value, false for other kinds.
func (v Value) Bool() bool { return v.kind == KindBoolean && v.num != 0 }

// Int returns an Integer's value, 0 for other kinds.
func (v Value) Int() int32 { return int32(v.num) }

// Bytes returns a copy of a Binary's value, nil for other kinds.
func (v Value) Bytes() []byte {
	if v.kind != KindBinary {
		return nil
	}
	return []byte(v.text)
}

// Len is the length of the text or of the bytes, 0 for other kinds.
func (v Value) Len() int { return len(v.text) }

// Time returns a Timestamp's value, the zero time for other kinds.
func (v Value) Time() time.Time { return v.time }

// String returns the canonical string form of the specification: "true", decimal
// digits, RFC 3339 with nanoseconds, base64 for Binary.
func (v Value) String() string {
	switch v.kind {
	case KindBoolean:
		return strconv.FormatBool(v.num != 0)
	case KindInteger:
		return strconv.FormatInt(v.num, 10)
	case KindBinary:
		return base64.StdEncoding.EncodeToString([]byte(v.text))
	case KindTimestamp:
		return v.time.Format(time.RFC3339Nano)
	default:
		return v.text
	}
}

// Size is about how many bytes the value takes when it is written; it makes no text.
func (v Value) Size() int {
	const most = 12 // of a number, or of a time's two
	return max(len(v.text), most)
}

// Equal reports whether two values have the same kind and meaning.
func (v Value) Equal(o Value) bool {
	return v.kind == o.kind && v.num == o.num && v.text == o.text && v.time.Equal(o.time)
}

package event

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	attrRecordedTime = "recordedtime"
	attrDataRef      = "dataref"
)

// Typed gives the text of an attribute the type that the specification, or a documented
// extension, has for the name: time, expirytime and recordedtime are Timestamps,
// dataschema is a URI, dataref a URI-reference. What does not parse stays a String,
// which Validate refuses where the type matters.
func Typed(name, s string) Value {
	switch name {
	case AttrTime, AttrExpiryTime, attrRecordedTime:
		if t, err := ParseTime(s); err == nil {
			return Timestamp(t)
		}
	case AttrDataSchema:
		return URI(s)
	case attrDataRef:
		if s != "" && checkURIRef(name, s) == nil {
			return URIRef(s)
		}
	}
	return String(s)
}

// Timed reports whether Typed makes a Timestamp of the attribute's text.
func Timed(name string) bool {
	return name == AttrTime || name == AttrExpiryTime || name == attrRecordedTime
}

// Textual reports whether the specification, or a documented extension, defines the
// attribute as text. Bytes in such an attribute are read as text.
func Textual(name string) bool {
	switch name {
	case AttrID, AttrSource, AttrSpecVersion, AttrType, AttrDataContentType, AttrDataSchema, AttrSubject,
		AttrPartitionKey, AttrTraceParent, AttrTraceState, AttrCorrelationID, attrDataRef:
		return true
	}
	return Timed(name)
}

// ParseTime reads a time in RFC 3339, of the years 1 to 9999 in UTC, which is what a
// protobuf Timestamp holds. An offset may lack its colon (+0000), as several languages
// format it; the value is the same, and is written with the colon from here on.
func ParseTime(s string) (time.Time, error) {
	upper := strings.ToUpper(s) // t and z are allowed, too
	t, err := time.Parse(time.RFC3339, withColon(upper))
	switch {
	case err != nil || !strict(upper):
		return time.Time{}, fmt.Errorf("%.40q is no RFC 3339 timestamp; want one such as 2026-11-23T10:00:00Z", s)
	case !InRange(t):
		return time.Time{}, fmt.Errorf("%.40q is not within the years 1 to 9999 of UTC", s)
	}
	return t, nil
}

// The places of a date and time in RFC 3339: 2006-01-02T15:04:05 and what follows.
const (
	hourEnd  = len("2006-01-02T15")
	dateSize = len("2006-01-02T15:04:05")
)

// withColon returns s with a colon in an offset that has none.
func withColon(s string) string {
	n := len(s) - len("+0000")
	if n < dateSize || (s[n] != '+' && s[n] != '-') {
		return s
	}
	return s[:n+3] + ":" + s[n+3:]
}

// strict reports false for what time.Parse takes though it is not RFC 3339: hours of
// one digit, a comma before the fraction, offsets of 24 hours or 60 minutes. See
// https://go.dev/issue/54580.
func strict(s string) bool {
	if len(s) <= dateSize || s[hourEnd] != ':' || s[dateSize] == ',' {
		return false
	}
	offset := strings.LastIndexAny(s[dateSize:], "+-")
	if offset < 0 {
		return true
	}
	zone := s[dateSize+offset+1:]
	return zone[:2] < "24" && zone[len(zone)-2:] < "60"
}

// InRange reports whether t is of the years 1 to 9999 in UTC.
func InRange(t time.Time) bool {
	y := t.UTC().Year()
	return 1 <= y && y <= 9999
}

// milliseconds is the number from which on a count since 1970 is one of milliseconds:
// as seconds it is in the year 5138, as milliseconds in 1973.
const milliseconds = 100_000_000_000

// SinceEpoch makes a time of a count since 1970, whose unit producers do not agree on:
// seconds below 100,000,000,000, milliseconds from there on, likewise before 1970. ok
// is false outside the years 1 to 9999.
func SinceEpoch(n int64) (t time.Time, ok bool) {
	if n >= milliseconds || n <= -milliseconds {
		t = time.UnixMilli(n).UTC()
	} else {
		t = time.Unix(n, 0).UTC()
	}
	return t, InRange(t)
}

// Whole makes a value of an integer: an Integer if it has 32 bits, else the String of
// its digits, for CloudEvents has no larger type. The error says that the attribute is
// one that the specification makes a string.
func Whole(name string, n int64) (Value, error) {
	if int64(int32(n)) != n { //nolint:gosec // compared
		return Number(name, strconv.FormatInt(n, 10))
	}
	v := Integer(int32(n)) //nolint:gosec // compared
	return v, v.fits(name)
}

// Number makes a String of a number that CloudEvents has no type for; the error is that
// of Whole.
func Number(name, digits string) (Value, error) { return String(digits), Integer(0).fits(name) }

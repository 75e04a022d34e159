package cejson

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/warrenmesh/warren/proxy/event"
)

// Decode reads one event in structured-mode JSON and validates it. The error says
// what is wrong with which attribute and what would be right. The event keeps no
// reference to raw.
//
// Attribute types follow the specification where it names them (time is a
// Timestamp, dataschema a URI) and the JSON type elsewhere; null means absent. A
// member that occurs twice is refused, because readers disagree about which wins.
func Decode(raw []byte) (*event.Event, error) {
	members, err := members(raw)
	if err != nil {
		return nil, err
	}
	e := &event.Event{}
	for _, m := range members {
		if m.name == memberData || m.name == memberDataBase64 {
			continue
		}
		if err := setAttribute(e, m.name, m.raw); err != nil {
			return nil, err
		}
	}
	if err := setData(e, members); err != nil {
		return nil, err
	}
	if err := e.Validate(); err != nil {
		return nil, err
	}
	return e, nil
}

// member is one member of the event's object, its value as it stands in the input.
type member struct {
	name string
	raw  json.RawMessage
}

func members(raw []byte) ([]member, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if tok, err := dec.Token(); err != nil {
		return nil, syntaxError(err)
	} else if tok != json.Delim('{') {
		return nil, errors.New("an event must be a JSON object")
	}
	var list []member
	seen := map[string]bool{}
	version := false
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return nil, syntaxError(err)
		}
		m := member{name: tok.(string)} // a key, or Token would have failed
		if err := dec.Decode(&m.raw); err != nil {
			return nil, syntaxError(err)
		}
		if seen[m.name] {
			return nil, &event.FieldError{Field: m.name, Reason: "occurs twice"}
		}
		seen[m.name] = true
		version = version || m.name == event.AttrSpecVersion
		list = append(list, m)
	}
	if _, err := dec.Token(); err != nil { // the closing brace
		return nil, syntaxError(err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("unexpected text after the event")
	}
	if !version {
		return nil, &event.FieldError{Field: event.AttrSpecVersion, Reason: `is missing; want "1.0"`}
	}
	return list, nil
}

func syntaxError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("not JSON: the event ends too early")
	}
	return fmt.Errorf("not JSON: %w", err)
}

func setAttribute(e *event.Event, name string, raw json.RawMessage) error {
	v, set, err := attribute(name, raw)
	if err != nil || !set {
		return err
	}
	switch name {
	case event.AttrSpecVersion:
		if v.Kind() != event.KindString || v.String() != event.SpecVersion {
			return &event.FieldError{Field: name, Reason: `want "1.0"`}
		}
	case event.AttrID, event.AttrSource, event.AttrType, event.AttrSubject, event.AttrDataContentType,
		event.AttrPartitionKey, event.AttrTraceParent, event.AttrTraceState:
		if v.Kind() != event.KindString {
			return &event.FieldError{Field: name, Reason: "must be a JSON string"}
		}
	}
	if err := event.CheckName(name); err != nil {
		return err
	}
	e.Set(name, v)
	return nil
}

// attribute converts one JSON value; set is false for null.
func attribute(name string, raw json.RawMessage) (v event.Value, set bool, err error) {
	switch raw[0] {
	case 'n':
		return event.Value{}, false, nil
	case 't', 'f':
		return event.Boolean(raw[0] == 't'), true, nil
	case '"':
		s, err := text(name, raw)
		if err != nil {
			return event.Value{}, false, err
		}
		v, err := Parse(name, s)
		return v, err == nil, err
	case '{', '[':
		return event.Value{}, false, &event.FieldError{Field: name, Reason: "must be a string, an integer or a boolean"}
	default:
		n, err := strconv.ParseInt(string(raw), 10, 64)
		if err != nil || n < math.MinInt32 || n > math.MaxInt32 {
			return event.Value{}, false, &event.FieldError{
				Field: name, Reason: fmt.Sprintf("%s is no 32-bit integer; write it as a string", raw),
			}
		}
		return event.Integer(int32(n)), true, nil
	}
}

// Parse gives an attribute's text the type the specification has for that name;
// a name it does not know is a String.
func Parse(name, s string) (event.Value, error) {
	switch name {
	case event.AttrTime, event.AttrExpiryTime, "recordedtime":
		t, err := time.Parse(time.RFC3339Nano, s)
		if err != nil || t.UTC().Year() < 1 || t.UTC().Year() > 9999 {
			return event.Value{}, &event.FieldError{
				Field: name, Reason: fmt.Sprintf("%q is no RFC 3339 timestamp; want one such as 2026-11-23T10:00:00Z", s),
			}
		}
		return event.Timestamp(t), nil
	case event.AttrDataSchema:
		return event.URI(s), nil
	case "dataref":
		return event.URIRef(s), nil
	default:
		return event.String(s), nil
	}
}

// text unquotes a JSON string and refuses what cannot be kept: invalid UTF-8 and
// unpaired surrogates, which encoding/json silently replaces.
func text(name string, raw json.RawMessage) (string, error) {
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", syntaxError(err)
	}
	const replacement = string(utf8.RuneError)
	spelled := strings.Count(string(raw), replacement) +
		strings.Count(strings.ToLower(string(raw)), `\ufffd`)
	if !utf8.Valid(raw) || strings.Count(s, replacement) > spelled {
		return "", &event.FieldError{Field: name, Reason: "must be valid Unicode"}
	}
	return s, nil
}

func setData(e *event.Event, members []member) error {
	var data, encoded json.RawMessage
	for _, m := range members {
		switch m.name {
		case memberData:
			data = m.raw
		case memberDataBase64:
			encoded = m.raw
		}
	}
	if string(encoded) == "null" {
		encoded = nil
	}
	if data != nil && encoded != nil {
		return &event.FieldError{Field: memberDataBase64, Reason: "must not stand beside data"}
	}
	if data == nil && encoded == nil {
		return nil
	}
	if _, ok := e.Lookup(event.AttrDataContentType); !ok {
		e.Set(event.AttrDataContentType, event.String(defaultContentType))
	}
	var err error
	switch contentType := e.Text(event.AttrDataContentType); {
	case encoded != nil:
		e.Data, err = decodeBase64(encoded)
	case IsJSON(contentType):
		e.Data = data
	case string(data) == "null":
	case data[0] == '"':
		var s string
		s, err = text(memberData, data)
		e.Data = []byte(s)
	default:
		err = &event.FieldError{
			Field: memberData, Reason: fmt.Sprintf("must be a JSON string, because datacontenttype is %q", contentType),
		}
	}
	return err
}

func decodeBase64(raw json.RawMessage) ([]byte, error) {
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, &event.FieldError{Field: memberDataBase64, Reason: "must be a JSON string"}
	}
	data, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil, &event.FieldError{Field: memberDataBase64, Reason: "must be standard base64 with padding"}
	}
	return data, nil
}

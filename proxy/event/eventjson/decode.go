package eventjson

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/warrenmesh/warren/proxy/event"
)

// Decode reads one event and validates it. The error names the attribute, what is
// wrong with it and what would be valid. The event keeps no reference to raw.
//
// Attribute types follow the specification where it names them (time is a Timestamp,
// dataschema a URI) and the JSON type elsewhere.
func Decode(raw []byte) (*event.Event, error) {
	d := decoding{seen: map[string]struct{}{}}
	if err := d.members(bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))); err != nil {
		return nil, err
	}
	e, err := d.builder.Event(nil)
	if err != nil {
		return nil, err
	}
	if err := d.setData(e); err != nil {
		return nil, err
	}
	if err := e.Validate(); err != nil {
		return nil, err
	}
	return e, nil
}

// decoding is one event while it is decoded.
type decoding struct {
	builder       event.Builder
	seen          map[string]struct{}
	data, encoded json.RawMessage // the members of the payload, nil where they are absent
}

// members reads the members of the event's object one by one, and ends with the first
// that is wrong: an event of a million members costs no more than one of a thousand.
func (d *decoding) members(raw []byte) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if tok, err := dec.Token(); err != nil {
		return syntaxError(err)
	} else if tok != json.Delim('{') {
		return errors.New("an event must be a JSON object")
	}
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return syntaxError(err)
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return syntaxError(err)
		}
		if err := d.member(tok.(string), value); err != nil { // a key, or Token would have failed
			return err
		}
	}
	if _, err := dec.Token(); err != nil { // the closing brace
		return syntaxError(err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("unexpected text after the event")
	}
	return nil
}

func syntaxError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("not JSON: the event ends too early")
	}
	return fmt.Errorf("not JSON: %w", err)
}

func (d *decoding) member(name string, raw json.RawMessage) error {
	if _, twice := d.seen[name]; twice {
		return &event.FieldError{Field: name, Reason: "occurs twice"}
	}
	d.seen[name] = struct{}{}
	switch {
	case name == memberData:
		d.data = raw
		return nil
	case name == memberDataBase64 && string(raw) != "null":
		d.encoded = raw
		return nil
	case string(raw) == "null": // absent
		if len(d.seen) > 2*event.MaxAttributes {
			return &event.FieldError{Field: "attributes", Reason: fmt.Sprintf("are more than %d", event.MaxAttributes)}
		}
		return nil
	}
	v, err := attribute(name, raw)
	if err != nil {
		return err
	}
	return d.builder.Add(name, v)
}

// attribute converts one JSON value.
func attribute(name string, raw json.RawMessage) (event.Value, error) {
	switch raw[0] {
	case 't', 'f':
		return event.Boolean(raw[0] == 't'), nil
	case '"':
		s, err := text(name, raw)
		if err != nil {
			return event.Value{}, err
		}
		return Parse(name, s)
	case '{', '[':
		return event.Value{}, &event.FieldError{Field: name, Reason: "must be a string, an integer or a boolean"}
	default:
		n, err := strconv.ParseInt(string(raw), 10, 64)
		if err != nil {
			return event.Value{}, &event.FieldError{Field: name, Reason: fmt.Sprintf("%s is no 64-bit integer; write it as a string", clip(raw))}
		}
		return event.Whole(name, n)
	}
}

// clip bounds the text that an error repeats.
func clip(raw json.RawMessage) string {
	if len(raw) <= 40 {
		return string(raw)
	}
	return string(raw[:40]) + "…"
}

// Parse gives an attribute's text the type the specification has for that name, as
// event.Typed does, and says what is wrong with a time that is none.
func Parse(name, s string) (event.Value, error) {
	v := event.Typed(name, s)
	if name == event.AttrTime && v.Kind() != event.KindTimestamp {
		_, err := event.ParseTime(s)
		return v, &event.FieldError{Field: name, Reason: err.Error()}
	}
	return v, nil
}

// text unquotes a JSON string and refuses what cannot be kept: invalid UTF-8 and
// unpaired surrogates, which encoding/json silently replaces.
func text(name string, raw json.RawMessage) (string, error) {
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", syntaxError(err)
	}
	const replacement = string(utf8.RuneError)
	if !utf8.Valid(raw) {
		return "", &event.FieldError{Field: name, Reason: "must be valid Unicode"}
	}
	if n := strings.Count(s, replacement); n > 0 {
		spelled := strings.Count(string(raw), replacement) + strings.Count(strings.ToLower(string(raw)), `\ufffd`)
		if n > spelled {
			return "", &event.FieldError{Field: name, Reason: "must be valid Unicode"}
		}
	}
	return s, nil
}

// setData sets the payload. Without a content type it is JSON by the format's
// definition (section 3.1.1), which is said explicitly from here on.
func (d *decoding) setData(e *event.Event) (err error) {
	if d.data != nil && d.encoded != nil {
		return &event.FieldError{Field: memberDataBase64, Reason: "must not stand beside data"}
	}
	if d.data == nil && d.encoded == nil {
		return nil
	}
	if _, ok := e.Lookup(event.AttrDataContentType); !ok {
		e.Set(event.AttrDataContentType, event.String(defaultContentType))
	}
	switch contentType := e.Text(event.AttrDataContentType); {
	case d.encoded != nil:
		e.Data, err = decodeBase64(d.encoded)
	case IsJSON(contentType):
		e.Data = d.data
	case string(d.data) == "null":
	case d.data[0] == '"':
		var s string
		s, err = text(memberData, d.data)
		e.Data = []byte(s)
	default:
		err = &event.FieldError{
			Field: memberData, Reason: fmt.Sprintf("must be a JSON string, because datacontenttype is %.80q", contentType),
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

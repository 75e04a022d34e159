package eventjson

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/warrenmesh/warren/proxy/event"
)

// Append appends the event in structured-mode JSON, without a line break, and
// returns the extended buffer: required attributes first, the others by name, the
// payload last. JSON payloads are written as they are and text as a string. A
// payload that would not survive that byte for byte (JSON over several lines,
// bytes that are no UTF-8, an event without datacontenttype) goes into
// data_base64. The event must be valid.
func Append(dst []byte, e *event.Event) []byte {
	dst = append(dst, `{"specversion":"`+event.SpecVersion+`"`...)
	dst = appendText(dst, event.AttrID, e.ID)
	dst = appendText(dst, event.AttrSource, e.Source)
	dst = appendText(dst, event.AttrType, e.Type)
	for _, a := range e.Attrs {
		switch a.Value.Kind() {
		case event.KindBoolean, event.KindInteger:
			dst = appendName(dst, a.Name)
			dst = append(dst, a.Value.String()...)
		default:
			dst = appendText(dst, a.Name, a.Value.String())
		}
	}
	return append(appendData(dst, e), '}')
}

func appendData(dst []byte, e *event.Event) []byte {
	if len(e.Data) == 0 {
		return dst
	}
	contentType := e.Text(event.AttrDataContentType)
	switch {
	case IsJSON(contentType) && verbatim(e.Data):
		dst = appendName(dst, memberData)
		return append(dst, e.Data...)
	case contentType != "" && !IsJSON(contentType) && utf8.Valid(e.Data):
		return appendText(dst, memberData, string(e.Data))
	default:
		return appendText(dst, memberDataBase64, base64.StdEncoding.EncodeToString(e.Data))
	}
}

// verbatim reports whether JSON can stand in a line of NDJSON and be read back as
// the same bytes.
func verbatim(data []byte) bool {
	return utf8.Valid(data) && !bytes.ContainsAny(data, "\n\r") &&
		len(bytes.TrimSpace(data)) == len(data) && json.Valid(data)
}

func appendName(dst []byte, name string) []byte {
	dst = append(dst, ',', '"')
	dst = append(dst, name...) // only a-z, 0-9 and _
	return append(dst, '"', ':')
}

func appendText(dst []byte, name, s string) []byte {
	dst = appendName(dst, name)
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic("eventjson: encode a string: " + err.Error()) // cannot happen
	}
	return append(dst, strings.TrimSuffix(b.String(), "\n")...)
}

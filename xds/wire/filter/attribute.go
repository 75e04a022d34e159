package filter

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// An event is matched as if it were its CloudEvents-HTTP binary form: attribute
// "type" is header ce-type, its value percent-encoded; datacontenttype is
// Content-Type itself, as it is.
// https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md#31-binary-content-mode
const (
	headerPrefix      = "ce-"
	contentType       = "content-type"
	contentTypeAttr   = "datacontenttype"
	firstPlain        = 0x21
	lastPlain         = 0x7e
	percentEncodedLen = len("%20")
)

// Header returns the name of the header that carries an attribute.
func Header(attribute string) string {
	name, _ := toHeader(attribute, "")
	return name
}

func toHeader(attribute, value string) (name, headerValue string) {
	if attribute == contentTypeAttr {
		return contentType, value
	}
	return headerPrefix + attribute, percentEncode(value)
}

func fromHeader(name, headerValue string) (attribute, value string, err error) {
	if name == contentType {
		return contentTypeAttr, headerValue, nil
	}
	attribute, found := strings.CutPrefix(name, headerPrefix)
	if !found || attribute == contentTypeAttr {
		return "", "", fmt.Errorf("header %q: want ce-<attribute> or %s", name, contentType)
	}
	if value, err = percentDecode(headerValue); err != nil {
		return "", "", err
	}
	return attribute, value, nil
}

func percentEncode(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c < firstPlain || c > lastPlain || c == '"' || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func percentDecode(s string) (string, error) {
	var b strings.Builder
	for rest := s; rest != ""; {
		if rest[0] != '%' {
			b.WriteByte(rest[0])
			rest = rest[1:]
			continue
		}
		if len(rest) < percentEncodedLen {
			return "", fmt.Errorf("value %q: '%%' without two hexadecimal digits", s)
		}
		c, err := strconv.ParseUint(rest[1:percentEncodedLen], 16, 8)
		if err != nil {
			return "", fmt.Errorf("value %q: '%%' without two hexadecimal digits", s)
		}
		b.WriteByte(byte(c))
		rest = rest[percentEncodedLen:]
	}
	if !utf8.ValidString(b.String()) {
		return "", fmt.Errorf("value %q: not UTF-8", s)
	}
	return b.String(), nil
}

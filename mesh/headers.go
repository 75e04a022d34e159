package mesh

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Words in a list of headers that stand for properties of AMQP, not for headers.
const (
	PropertyReplyTo         = "reply_to"
	PropertyContentEncoding = "content_encoding"
)

// MaxHeader is the most bytes the name of a header may have: AMQP's short string.
const MaxHeader = 255

// reserved are the beginnings of names that publishers may not set: CloudEvents
// attributes, Warren's own headers and the broker's.
var reserved = [...]string{"ce-", "cloudEvents", "warren-", "x-"}

// ReservedHeader reports whether a publisher may never set the header. Reserved are
// CloudEvents attributes, the headers of Warren and of the broker, and the trace
// context of the hop. CC and BCC are reserved because RabbitMQ would route the message
// to more queues.
func ReservedHeader(name string) bool {
	switch name {
	case "traceparent", "tracestate", "baggage", "CC", "BCC", PropertyReplyTo, PropertyContentEncoding:
		return true
	}
	return slices.ContainsFunc(reserved[:], func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// CheckHeader reports what is wrong with an entry of a HeaderList: the name of a
// header, the beginning of names followed by "*", or one of the words for properties.
func CheckHeader(entry string) error {
	name, _ := strings.CutSuffix(entry, "*")
	switch {
	case entry == PropertyReplyTo || entry == PropertyContentEncoding:
		return nil
	case entry == "":
		return errors.New("is empty: want the name of a header, or a beginning of names such as \"app-*\"")
	case !utf8.ValidString(entry) || len(name) > MaxHeader || strings.ContainsFunc(entry, unicode.IsControl):
		return fmt.Errorf("%q is no name of at most %d bytes of UTF-8 without control characters", entry, MaxHeader)
	case strings.Contains(name, "*"):
		return fmt.Errorf("%q: want * at the end only", entry)
	case ReservedHeader(name):
		return fmt.Errorf("%q is reserved: publishers never set %s*, traceparent, tracestate, baggage, CC and BCC", entry, strings.Join(reserved[:], "*, "))
	}
	return nil
}

// HeaderList is a list of what CheckHeader allows; the zero value is empty. It is one
// text, so that a Destination can be compared.
type HeaderList string

// NewHeaderList makes a list of entries, which have no line breaks.
func NewHeaderList(entries []string) HeaderList { return HeaderList(strings.Join(entries, "\n")) }

// Entries returns the entries, nil of an empty list.
func (l HeaderList) Entries() []string {
	if l == "" {
		return nil
	}
	return strings.Split(string(l), "\n")
}

// Allows reports whether publishers may set the header, or the property by its word. It
// never allows a reserved header.
func (l HeaderList) Allows(name string) bool {
	property := name == PropertyReplyTo || name == PropertyContentEncoding
	if name == "" || !property && ReservedHeader(name) {
		return false
	}
	for entry := range strings.SplitSeq(string(l), "\n") {
		prefix, open := strings.CutSuffix(entry, "*")
		if entry == name || open && !property && strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// Package foreign contains messages as other programs put them into a queue. They are
// valid AMQP, but no CloudEvents producer should write them. The package is data and
// shares nothing with Warren.
//
// Every message can be recognised everywhere. Its app id is its Tag, and the source of
// an event made from it contains the tag: the event has it from the app id, or from its
// own attribute.
package foreign

import (
	"fmt"
	"strings"

	"github.com/warrenmesh/warren/test/internal/rawamqp"
)

// Message is one message of another program.
type Message struct {
	// Tag is "foreign-" and a number. Kind is the family, and Name says what is
	// unusual.
	Tag, Kind, Name string
	rawamqp.Message
}

const prefix = "foreign-"

// All returns every message, in the order of their tags. The smallest message of each
// family comes first, so that the first few messages cover many families.
func All() []Message {
	families := []struct {
		kind string
		list []odd
	}{
		{"wide and deep headers", deep()}, {"type octets", octets()}, {"header names", names()}, {"large headers", large()},
		{"structured", structured()}, {"compressed", compressed()}, {"batches", batches()}, {"attributes", attributes()},
		{"properties", properties()}, {"forged headers", forged()},
	}
	var out []Message
	for round, more := 0, true; more; round++ {
		more = false
		for _, f := range families {
			if round < len(f.list) {
				more = true
				out = append(out, f.list[round].message(f.kind, len(out)+1))
			}
		}
	}
	return out
}

// Tag is the tag of a number, for messages that are made elsewhere. The numbers of All
// are below 500, those of Oversize below 900.
func Tag(n int) string { return fmt.Sprint(prefix, n) }

// Oversize returns messages that RabbitMQ accepts once but may refuse as a copy,
// because of added headers or of a property that only their sender may set. Messages
// with a user id must be published by that user.
func Oversize() []Message {
	var out []Message
	for _, o := range append(large(), oversize()...) {
		out = append(out, o.message("too large or too odd as a copy", 500+len(out)))
	}
	return out
}

// User is the user id of some messages of Oversize.
const User = "stranger"

// odd is a message without its tag.
type odd struct {
	name string
	rawamqp.Message
}

// placeholder is replaced by the tag in texts, bodies and headers.
const placeholder = "FOREIGN"

func (o odd) message(kind string, n int) Message {
	m := Message{Tag: fmt.Sprint(prefix, n), Kind: kind, Name: o.name, Message: o.Message}
	m.AppID = m.Tag
	if m.MessageID == "" {
		m.MessageID = m.Tag
	}
	m.Body = []byte(strings.ReplaceAll(string(m.Body), placeholder, m.Tag))
	for i := range m.Headers {
		if m.Headers[i].Value == rawamqp.Text("/"+placeholder) {
			m.Headers[i].Value = rawamqp.Text("/" + m.Tag)
		}
	}
	return m
}

// TagOf finds the tag in an app id or an event's source; "" when there is none.
func TagOf(text string) string {
	_, number, ok := strings.Cut(text, prefix)
	if !ok {
		return ""
	}
	end := strings.IndexFunc(number, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(number)
	}
	return prefix + number[:end]
}

// with is a message with these headers and a small body.
func with(name string, fields ...rawamqp.Field) odd {
	return odd{name, rawamqp.Message{Properties: rawamqp.Properties{Headers: fields, ContentType: "text/plain"}, Body: []byte("hello")}}
}

// event is a binary event with these additional headers.
func event(name string, fields ...rawamqp.Field) odd {
	return with(name, append([]rawamqp.Field{
		{Name: "ce-specversion", Value: rawamqp.Text("1.0")}, {Name: "ce-id", Value: rawamqp.Text("1")},
		{Name: "ce-source", Value: rawamqp.Text("/" + placeholder)}, {Name: "ce-type", Value: rawamqp.Text("t")},
	}, fields...)...)
}

func field(name string, v rawamqp.Value) rawamqp.Field { return rawamqp.Field{Name: name, Value: v} }

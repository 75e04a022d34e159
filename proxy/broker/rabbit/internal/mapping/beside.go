package mapping

import (
	"strings"
	"unicode/utf8"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
	"github.com/warrenmesh/warren/proxy/event"
)

// The most that Headers makes of nested tables and arrays of one message. What is over
// it is message.Omitted; a copy of the message has it all the same.
const (
	maxDepth    = 32
	maxElements = 10_000
)

// Headers are the headers of m that travel beside its event, in their order: all but
// the attributes, Warren's own, those that the broker writes, and the hop's trace
// context. A header whose name is none of an attribute is among them, whatever its
// prefix.
func Headers(m *message.Message) []broker.Header {
	if !strange(&m.Headers) {
		return nil
	}
	r, _ := read(m, &event.Room{}) // of a message that is no event the mode is known, too
	budget := message.Budget{Depth: maxDepth, Elements: maxElements}
	var out []broker.Header
	for i := range m.Headers.Fields {
		if f := &m.Headers.Fields[i]; r.beside(f) {
			out = append(out, broker.Header{Name: f.Name, Value: visible(f.Value(&budget))})
		}
	}
	return out
}

// strange reports whether there is a header that may travel beside the event. What Warren
// itself publishes mostly has none, which is to cost nothing.
func strange(t *message.Table) bool {
	for i := range t.Fields {
		name := t.Fields[i].Name
		if rest, ok := strings.CutPrefix(name, Prefix); ok && event.CheckName(rest) == nil {
			continue
		}
		if !hidden(name) {
			return true
		}
	}
	return false
}

// hidden reports whether the header is never shown.
func hidden(name string) bool {
	return strings.HasPrefix(name, OwnPrefix) || hop(name) || ofBroker(name)
}

// beside reports whether a header is one beside the event.
func (r *reading) beside(f *message.Field) bool {
	if hidden(f.Name) {
		return false
	}
	switch r.mode {
	case modeStructured:
		return !repeats(f.Name)
	case modeBinary:
		name, ok := strings.CutPrefix(f.Name, r.prefix)
		return !ok || event.CheckName(name) != nil
	case modeBare:
		if f.Name == httpContentType { // Knative's copy of the property
			return false
		}
		_, is := r.event.Lookup(f.Name)
		return !is && (bareName(f) || event.CheckName(f.Name) != nil)
	default:
		return true
	}
}

// ContentEncoding is how the data of m's event is compressed, "" when it is not. That of
// structured mode is the body's: it is undone where the body is read.
func ContentEncoding(m *message.Message) string {
	if _, ok := structuredFormat(m.ContentType); ok {
		return ""
	}
	return m.ContentEncoding
}

// visible makes of a header's value what broker.Header promises: text that is not UTF-8
// is bytes, and a table is a list of headers.
func visible(v any) any {
	switch v := v.(type) {
	case string:
		if !utf8.ValidString(v) {
			return []byte(v)
		}
	case []any:
		for i := range v {
			v[i] = visible(v[i])
		}
	case message.Pairs:
		out := make([]broker.Header, len(v))
		for i, p := range v {
			out[i] = broker.Header{Name: p.Name, Value: visible(p.Value)}
		}
		return out
	}
	return v
}

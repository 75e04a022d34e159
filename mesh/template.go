package mesh

import (
	"fmt"
	"strings"
)

// Template is a routing-key template: text with {attribute} placeholders. An
// attribute the event does not have expands to nothing.
type Template string

// MaxRoutingKey is the most bytes AMQP 0-9-1 allows in a routing key (shortstr).
const MaxRoutingKey = 255

// Segment is a piece of a compiled template: literal text or an attribute name.
type Segment struct {
	Literal   string
	Attribute string // "" for literal text
}

// Segments splits the template. The error says what is wrong with it.
func (t Template) Segments() ([]Segment, error) {
	var out []Segment
	rest := string(t)
	for rest != "" {
		open := strings.IndexAny(rest, "{}")
		if open < 0 {
			return append(out, Segment{Literal: rest}), nil
		}
		if rest[open] == '}' {
			return nil, fmt.Errorf("template %q: '}' without '{'", string(t))
		}
		if open > 0 {
			out = append(out, Segment{Literal: rest[:open]})
		}
		end := strings.IndexByte(rest[open:], '}')
		if end < 0 {
			return nil, fmt.Errorf("template %q: '{' without '}'", string(t))
		}
		name := rest[open+1 : open+end]
		if !attributeName(name) {
			return nil, fmt.Errorf("template %q: %q is not an attribute name (a-z, 0-9)", string(t), name)
		}
		out = append(out, Segment{Attribute: name})
		rest = rest[open+end+1:]
	}
	return out, nil
}

func attributeName(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return s != "" && s != "data"
}

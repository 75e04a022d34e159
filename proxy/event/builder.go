package event

import (
	"fmt"
	"slices"
	"strings"
)

// MaxAttributes is the most attributes an event may have besides the required ones.
// Without a bound one message could have a hundred thousand.
const MaxAttributes = 1000

// Builder makes an event of attributes that come in any order. Set keeps an event
// sorted at each step, which takes many attributes quadratic time; a Builder sorts
// once. The zero Builder is ready.
//
// What says nothing is left out: a trace context (traceparent, tracestate, traceid)
// that is empty, which is how publishers write that they do not trace.
type Builder struct {
	room    *Room // where the event is made, nil for nowhere in particular
	event   Event
	attrs   []Attr
	version bool
}

// Room is the memory of an event with a few attributes, for whoever allocates that together
// with what lives as long. The zero value is ready, for one Builder.
type Room struct {
	event Event
	attrs [6]Attr
}

// Builder returns a Builder whose event is in r.
func (r *Room) Builder() Builder { return Builder{room: r, attrs: r.attrs[:0]} }

// Grow makes room for n attributes.
func (b *Builder) Grow(n int) { b.attrs = slices.Grow(b.attrs, min(n, MaxAttributes)) }

// Required sets the required attributes, of the one specversion there is.
func (b *Builder) Required(id, source, typ string) {
	b.event.ID, b.event.Source, b.event.Type, b.version = id, source, typ, true
}

// Add adds an attribute. One that was added before is replaced. The error, a
// *FieldError, says that the name is none, that the specification gives the attribute
// another type or value, or that there are more than MaxAttributes.
func (b *Builder) Add(name string, v Value) error {
	if err := v.fits(name); err != nil {
		return err
	}
	switch name {
	case AttrID:
		b.event.ID = v.text
	case AttrSource:
		b.event.Source = v.text
	case AttrType:
		b.event.Type = v.text
	case AttrSpecVersion:
		if v.text != SpecVersion {
			return &FieldError{name, fmt.Sprintf("is %.20q, want %q", v.text, SpecVersion)}
		}
		b.version = true
	default:
		if err := CheckName(name); err != nil {
			return err
		}
		if len(b.attrs) == MaxAttributes {
			return errTooMany
		}
		b.attrs = append(b.attrs, Attr{Name: name, Value: v})
	}
	return nil
}

var errTooMany = &FieldError{"attributes", fmt.Sprintf("are more than %d", MaxAttributes)}

// fits reports whether the specification lets the attribute have a value of v's type.
func (v Value) fits(name string) error {
	switch name {
	case AttrID, AttrSource, AttrType, AttrSpecVersion, AttrSubject, AttrDataContentType, AttrDataSchema:
		if v.kind != KindString && v.kind != KindURI && v.kind != KindURIRef {
			return &FieldError{name, "must be a string, not " + v.kind.article() + " " + v.kind.String()}
		}
	}
	return nil
}

// Event returns the event with data, which it shares. The builder must not be used
// any more. An event without specversion is refused; else the event is not validated.
func (b *Builder) Event(data []byte) (*Event, error) {
	if !b.version {
		return nil, &FieldError{AttrSpecVersion, fmt.Sprintf("is missing; want %q", SpecVersion)}
	}
	slices.SortStableFunc(b.attrs, func(x, y Attr) int { return strings.Compare(x.Name, y.Name) })
	var e *Event
	if b.room != nil {
		e = &b.room.event
	} else {
		e = new(Event)
	}
	*e = b.event
	e.Attrs, e.Data = lastOfEach(b.attrs), data
	return e, nil
}

func (k Kind) article() string {
	if k == KindInteger {
		return "an"
	}
	return "a"
}

// lastOfEach drops empty trace contexts and keeps, of equal names, the one added last.
func lastOfEach(sorted []Attr) []Attr {
	out := sorted[:0]
	for i, a := range sorted {
		last := i+1 == len(sorted) || sorted[i+1].Name != a.Name
		if last && !a.void() {
			out = append(out, a)
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// void reports whether the attribute is an empty trace context.
func (a *Attr) void() bool {
	switch a.Name {
	case AttrTraceParent, AttrTraceState, "traceid":
		return a.Value.kind == KindString && a.Value.text == ""
	}
	return false
}

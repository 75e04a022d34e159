// Package event holds Warren's one in-memory form of a CloudEvents 1.0 event.
//
// It owns the event, its attribute values and their validation. It knows nothing
// of gRPC, AMQP or configuration and imports the standard library only; every
// other room converts to and from it. An Event is not safe for concurrent
// mutation; once handed to another room it is treated as read-only by all.
//
//	e := &event.Event{ID: "1", Source: "/shop", Type: "com.shop.order.placed"}
//	e.Set("subject", event.String("order-17"))
//	if err := e.Validate(); err != nil { ... }
package event

import (
	"slices"
	"strings"
)

// Names of the attributes the specification defines.
const (
	AttrID              = "id"
	AttrSource          = "source"
	AttrSpecVersion     = "specversion"
	AttrType            = "type"
	AttrDataContentType = "datacontenttype"
	AttrDataSchema      = "dataschema"
	AttrSubject         = "subject"
	AttrTime            = "time"
	AttrPartitionKey    = "partitionkey"
	AttrTraceParent     = "traceparent"
	AttrTraceState      = "tracestate"
	AttrExpiryTime      = "expirytime"
	AttrCorrelationID   = "correlationid"
)

// SpecVersion is the only CloudEvents version Warren speaks.
const SpecVersion = "1.0"

// Event is one CloudEvents 1.0 event. The required attributes are fields; all
// others, optional ones and extensions alike, are in Attrs.
type Event struct {
	ID     string
	Source string
	Type   string

	// Attrs holds every other attribute, sorted by name, without duplicates.
	// Use Set and Lookup.
	Attrs []Attr

	// Data is the payload, byte for byte; nil and empty are the same.
	Data []byte
}

// Attr is one named attribute.
type Attr struct {
	Name  string
	Value Value
}

// Set adds or replaces an attribute. The required attributes are set too, from
// the canonical string form; specversion is ignored, because it is constant.
func (e *Event) Set(name string, v Value) {
	switch name {
	case AttrID:
		e.ID = v.String()
		return
	case AttrSource:
		e.Source = v.String()
		return
	case AttrType:
		e.Type = v.String()
		return
	case AttrSpecVersion:
		return
	}
	i, found := slices.BinarySearchFunc(e.Attrs, name, compareAttr)
	if found {
		e.Attrs[i].Value = v
		return
	}
	e.Attrs = slices.Insert(e.Attrs, i, Attr{Name: name, Value: v})
}

// Lookup returns the value of an attribute, required ones included, and whether
// the event has it. An empty required attribute counts as missing.
func (e *Event) Lookup(name string) (Value, bool) {
	switch name {
	case AttrID:
		return String(e.ID), e.ID != ""
	case AttrSource:
		return URIRef(e.Source), e.Source != ""
	case AttrType:
		return String(e.Type), e.Type != ""
	case AttrSpecVersion:
		return String(SpecVersion), true
	}
	i, found := slices.BinarySearchFunc(e.Attrs, name, compareAttr)
	if !found {
		return Value{}, false
	}
	return e.Attrs[i].Value, true
}

// Text returns the canonical string form of an attribute, "" when it is missing.
func (e *Event) Text(name string) string {
	v, ok := e.Lookup(name)
	if !ok {
		return ""
	}
	return v.String()
}

// Clone returns a copy that shares Data, which nobody writes to.
func (e *Event) Clone() *Event {
	c := *e
	c.Attrs = slices.Clone(e.Attrs)
	return &c
}

func compareAttr(a Attr, name string) int { return strings.Compare(a.Name, name) }

//go:build jaeger

package jaeger

import (
	"slices"
	"strings"
)

// trace is the answer of /api/traces/{id}.
type trace struct {
	TraceID   string
	Spans     []span
	Processes map[string]process
}

// process is the process that recorded a span.
type process struct {
	ServiceName string
	Tags        []tag
}

// component returns the attribute warren.component of the resource.
func (p process) component() string {
	name, _ := find(p.Tags, "warren.component").(string)
	return name
}

type span struct {
	SpanID        string
	OperationName string
	ProcessID     string
	References    []struct{ RefType, TraceID, SpanID string }
	Tags          []tag
}

type tag struct {
	Key   string
	Value any
}

// find returns the value of a tag; nil when there is none with that key.
func find(tags []tag, key string) any {
	for _, tag := range tags {
		if tag.Key == key {
			return tag.Value
		}
	}
	return nil
}

// tag returns the value of a tag; nil when the span has none with that key.
func (s *span) tag(key string) any { return find(s.Tags, key) }

// parent returns the id of the span's parent; "" for a root.
func (s *span) parent() string {
	for _, ref := range s.References {
		if ref.RefType == "CHILD_OF" {
			return ref.SpanID
		}
	}
	return ""
}

// find returns the first span with that service and name; nil when there is none.
func (t *trace) find(service, name string) *span {
	for i := range t.Spans {
		if s := &t.Spans[i]; s.OperationName == name && t.Processes[s.ProcessID].ServiceName == service {
			return s
		}
	}
	return nil
}

// hop returns the first span that h describes; nil when there is none.
func (t *trace) hop(h hop) *span {
	for i := range t.Spans {
		s := &t.Spans[i]
		component, _ := s.tag("warren.component").(string)
		if component == "" {
			component = t.Processes[s.ProcessID].component()
		}
		if s.OperationName == h.name && t.Processes[s.ProcessID].ServiceName == h.service && component == h.component {
			return s
		}
	}
	return nil
}

// between returns the names of the spans between s and above, both excluded for s and
// included for above; nil when above is no ancestor of s.
func (t *trace) between(s, above *span) []string {
	var names []string
	for parent := s.parent(); parent != ""; {
		i := slices.IndexFunc(t.Spans, func(s span) bool { return s.SpanID == parent })
		if i < 0 {
			return nil
		}
		names = append(names, t.Spans[i].OperationName)
		if t.Spans[i].SpanID == above.SpanID {
			return names
		}
		parent = t.Spans[i].parent()
	}
	return nil
}

// String lists the spans, for failure messages.
func (t trace) String() string {
	lines := make([]string, 0, len(t.Spans))
	for _, s := range t.Spans {
		lines = append(lines, t.Processes[s.ProcessID].ServiceName+": "+s.OperationName)
	}
	slices.Sort(lines)
	return strings.Join(lines, ", ")
}

// edge is one dependency in /api/dependencies.
type edge struct {
	Parent, Child string
	CallCount     int
}

// hasEdge reports whether parent → child is among edges.
func hasEdge(edges []edge, parent, child string) bool {
	return slices.ContainsFunc(edges, func(e edge) bool { return e.Parent == parent && e.Child == child })
}

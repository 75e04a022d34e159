//go:build jaeger

package jaeger

import (
	"slices"
	"strings"
)

// trace is what /api/traces/{id} answers.
type trace struct {
	TraceID   string
	Spans     []span
	Processes map[string]struct{ ServiceName string }
}

type span struct {
	SpanID        string
	OperationName string
	ProcessID     string
	References    []struct{ RefType, TraceID, SpanID string }
	Tags          []struct {
		Key   string
		Value any
	}
}

// tag returns the value of a tag, nil if the span has none of that key.
func (s *span) tag(key string) any {
	for _, tag := range s.Tags {
		if tag.Key == key {
			return tag.Value
		}
	}
	return nil
}

// parent returns the id of the span's parent, "" for a root.
func (s *span) parent() string {
	for _, ref := range s.References {
		if ref.RefType == "CHILD_OF" {
			return ref.SpanID
		}
	}
	return ""
}

// find returns the first span of that service and name, or nil.
func (t *trace) find(service, name string) *span {
	for i := range t.Spans {
		if s := &t.Spans[i]; s.OperationName == name && t.Processes[s.ProcessID].ServiceName == service {
			return s
		}
	}
	return nil
}

// String lists the spans, for failures.
func (t trace) String() string {
	lines := make([]string, 0, len(t.Spans))
	for _, s := range t.Spans {
		lines = append(lines, t.Processes[s.ProcessID].ServiceName+": "+s.OperationName)
	}
	slices.Sort(lines)
	return strings.Join(lines, ", ")
}

// edge is one of /api/dependencies.
type edge struct {
	Parent, Child string
	CallCount     int
}

// hasEdge reports whether parent → child is among edges.
func hasEdge(edges []edge, parent, child string) bool {
	return slices.ContainsFunc(edges, func(e edge) bool { return e.Parent == parent && e.Child == child })
}

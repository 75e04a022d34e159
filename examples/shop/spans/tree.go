package spans

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// row is one line of the tree.
type row struct {
	label string // branches and name
	span  Span
}

// Write prints the trace as a tree. Children are below their parent, in the order of
// their start. A span whose parent is missing is at the top, marked with "…". Starts
// are relative to the first span.
func (t Trace) Write(w io.Writer) error {
	if len(t) == 0 {
		_, err := fmt.Fprintln(w, "no spans")
		return err
	}
	rows := t.rows()
	label, service := 0, 0
	for _, r := range rows {
		label = max(label, utf8.RuneCountInString(r.label))
		service = max(service, len(owner(r.span)))
	}
	begin, _ := t.bounds()
	var out strings.Builder
	fmt.Fprintf(&out, "trace %s: %d spans, %d services (%s), %s\n", t[0].TraceID, len(t),
		len(t.Services()), strings.Join(t.Services(), ", "), millis(t.Duration()))
	for _, r := range rows {
		pad := strings.Repeat(" ", label-utf8.RuneCountInString(r.label))
		line := fmt.Sprintf("%s%s  %-*s  %-8s  +%-9s %10s", r.label, pad, service, owner(r.span), r.span.Kind,
			millis(r.span.Start.Sub(begin)), millis(r.span.Duration))
		if r.span.Failed {
			line += strings.TrimRight("  error: "+r.span.Message, ": ")
		}
		out.WriteString(line + "\n")
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// rows makes the lines of the tree. Every span appears once, even when parents form a
// cycle.
func (t Trace) rows() []row {
	children := make(map[string][]Span)
	for _, s := range t {
		children[s.Parent] = append(children[s.Parent], s)
	}
	for _, c := range children {
		slices.SortStableFunc(c, byStart)
	}
	l := layout{children: children, seen: make(map[string]bool)}
	for _, root := range t.roots() {
		mark := ""
		if root.Parent != "" {
			mark = "… "
		}
		l.add(root, mark, "")
	}
	for _, s := range t { // a cycle has no root
		l.add(s, "… ", "")
	}
	return l.rows
}

type layout struct {
	children map[string][]Span
	seen     map[string]bool
	rows     []row
}

// add appends a span with the prefix branch, and its children with the prefix indent.
func (l *layout) add(s Span, branch, indent string) {
	if l.seen[s.ID] {
		return
	}
	l.seen[s.ID] = true
	l.rows = append(l.rows, row{label: branch + s.Name, span: s})
	below := l.children[s.ID]
	for i, child := range below {
		if i == len(below)-1 {
			l.add(child, indent+"└─ ", indent+"   ")
		} else {
			l.add(child, indent+"├─ ", indent+"│  ")
		}
	}
}

// owner names the service of a span, and marks the spans of its sidecar.
func owner(s Span) string {
	if s.Component == "" {
		return s.Service
	}
	return s.Service + " (" + s.Component + ")"
}

func millis(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}

// Package spans collects the spans that all processes of the demo export, and prints
// the trace of one event as a tree.
//
// It owns a small OTLP receiver (Collector), a reader of Jaeger's HTTP API (Jaeger) and
// the tree. It stores nothing on disk, and finds traces only by their id; use Jaeger
// for other queries.
//
// Collector and Jaeger are safe for concurrent use; the rest is pure.
//
//	collector := spans.NewCollector(0)
//	addr, err := collector.Start(ctx, "127.0.0.1:0")   // OTEL_EXPORTER_OTLP_ENDPOINT=http://<addr>
//	trace, err := collector.Fetch(ctx, id)
//	trace.Write(os.Stdout)
package spans

import (
	"slices"
	"time"
)

// Span is the part of a span that the tree needs.
type Span struct {
	// TraceID, ID and Parent are lower-case hex; Parent is empty for a root.
	TraceID, ID, Parent string
	// Service is the resource's service.name.
	Service string
	// Component is warren.component: "sidecar" on Warren's spans, empty on the
	// service's own.
	Component string
	// Name of the span.
	Name string
	// Kind in lower case: internal, server, client, producer, consumer.
	Kind string
	// Start and Duration, as the process recorded them. The clocks of one host agree.
	Start    time.Time
	Duration time.Duration
	// Failed means that the status is Error; Message is its description.
	Failed  bool
	Message string
}

// Trace holds the spans of one trace, in any order.
type Trace []Span

// Services lists the service names, sorted.
func (t Trace) Services() []string {
	var out []string
	for _, s := range t {
		if !slices.Contains(out, s.Service) {
			out = append(out, s.Service)
		}
	}
	slices.Sort(out)
	return out
}

// Duration is the time from the first start to the last end.
func (t Trace) Duration() time.Duration {
	if len(t) == 0 {
		return 0
	}
	begin, end := t.bounds()
	return end.Sub(begin)
}

// Whole reports whether there is exactly one root and every other span has its parent.
// Spans that arrive later then only add to the tree.
func (t Trace) Whole() bool {
	return len(t) > 0 && len(t.roots()) == 1 && t.roots()[0].Parent == ""
}

func (t Trace) bounds() (begin, end time.Time) {
	begin, end = t[0].Start, t[0].Start
	for _, s := range t {
		if s.Start.Before(begin) {
			begin = s.Start
		}
		if last := s.Start.Add(s.Duration); last.After(end) {
			end = last
		}
	}
	return begin, end
}

// roots are the spans without a parent, or whose parent is not in the trace.
func (t Trace) roots() []Span {
	known := make(map[string]bool, len(t))
	for _, s := range t {
		known[s.ID] = true
	}
	var out []Span
	for _, s := range t {
		if !known[s.Parent] {
			out = append(out, s)
		}
	}
	slices.SortStableFunc(out, byStart)
	return out
}

func byStart(a, b Span) int { return a.Start.Compare(b.Start) }

package check

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/warrenmesh/warren/test/faults/history"
)

// Invariant is one of the invariants of the package comment.
type Invariant uint8

// The invariants.
const (
	I0Proof Invariant = iota
	I1Lost
	I2Nowhere
	I3Duplicates
	I4Order
	I5Acks
	I6Honest
	I7Recovery
	I8Growth
)

// String returns "I0" to "I8".
func (i Invariant) String() string { return fmt.Sprintf("I%d", uint8(i)) }

// Report is the judgement of one run.
type Report struct {
	Scenario string
	Seed     uint64

	// Events counts events by their best answer: OK + Unknown + Failed = Events.
	Events, OK, Unknown, Failed int
	// Calls counts their calls, Unanswered those that never returned, and Late those
	// that returned too late.
	Calls, Unanswered, Late int

	// Delivered counts events that reached a service, once for each subscription;
	// Deliveries counts every copy.
	Delivered, Deliveries int
	// Copies after the first: Retried by a service's retry, Repeated by the publisher,
	// Flagged and Unflagged for all others.
	Retried, Repeated, Flagged, Unflagged int

	// Events owed to a subscription, once for each subscription: lost, still queued,
	// destroyed by the fault as the scenario expects, gone without an ack, in the
	// dead-letter queue.
	Lost, Left, Destroyed, Unacked, DeadLettered int
	// Reasons counts the dead letters by their reason.
	Reasons map[string]int
	// FalseOK counts events answered OK that no subscription got, and OKs to calls that
	// had to be refused.
	FalseOK int
	// OrderViolations counts confirms out of order, and events that came after a newer
	// one of their key or before the one ahead of them was settled.
	OrderViolations int

	// Recovery is the longest time from the healing of a fault to the first OK of a
	// topic, DeliveryRecovery to the first delivery of a subscription. 0 means that
	// there was nothing to measure.
	Recovery, DeliveryRecovery time.Duration

	// Publishes counts tries to publish by their path through the sidecars, Settlements
	// settlements. They are 0 when no sidecar told.
	Publishes, Settlements history.Ways

	// InFlight is the largest number of calls and deliveries in flight at a fault.
	InFlight int
	// Processes, in the order of their names.
	Processes []Process

	// Violations by invariant and kind. The run passed when there are none.
	Violations []Violation
}

// Process is the usage of one process before the first fault and at the end. Peak is
// its largest resident set, in bytes.
type Process struct {
	Name          string
	Peak          uint64
	Before, After Usage
	Judged        bool // whether its growth is judged
}

// Usage is the median of some samples. A value that was not measured is 0.
type Usage struct {
	Memory     uint64 // bytes
	Goroutines int
	FDs        int
	Samples    int
}

// Violation is one way in which an invariant was broken.
type Violation struct {
	Invariant Invariant
	What      string   // "OK, and never delivered"
	Count     int      // how often
	Examples  []string // the first few, in words
}

// Passed reports whether the run kept every invariant.
func (r *Report) Passed() bool { return len(r.Violations) == 0 }

// Broken reports whether the invariant has a violation.
func (r *Report) Broken(i Invariant) bool {
	for _, v := range r.Violations {
		if v.Invariant == i {
			return true
		}
	}
	return false
}

// Explain writes the violations, each with its examples.
func (r *Report) Explain(w io.Writer) {
	for _, v := range r.Violations {
		fmt.Fprintf(w, "%s %s: %d\n", v.Invariant, v.What, v.Count)
		for _, e := range v.Examples {
			fmt.Fprintf(w, "    %s\n", e)
		}
		if more := v.Count - len(v.Examples); more > 0 && len(v.Examples) > 0 {
			fmt.Fprintf(w, "    and %d more\n", more)
		}
	}
}

// findings collects violations, with examples of each kind.
type findings struct {
	examples int
	list     []Violation
}

func (f *findings) add(i Invariant, what, format string, args ...any) {
	v := f.of(i, what)
	v.Count++
	if len(v.Examples) < f.examples {
		v.Examples = append(v.Examples, fmt.Sprintf(format, args...))
	}
}

// of returns the violation of a kind. It searches a list, because there are few kinds.
func (f *findings) of(i Invariant, what string) *Violation {
	for n := range f.list {
		if v := &f.list[n]; v.Invariant == i && v.What == what {
			return v
		}
	}
	f.list = append(f.list, Violation{Invariant: i, What: what})
	return &f.list[len(f.list)-1]
}

// column is a column of the tables, with its name in each.
type column struct {
	short, long string
	width       int // of the text table; negative means left-aligned
	value       func(*Report) string
}

var columns = []column{
	{"scenario", "scenario", -28, func(r *Report) string { return r.Scenario }},
	{"events", "events", 8, count(func(r *Report) int { return r.Events })},
	{"ok", "OK", 8, count(func(r *Report) int { return r.OK })},
	{"unkn", "unknown", 6, count(func(r *Report) int { return r.Unknown })},
	{"failed", "failed", 6, count(func(r *Report) int { return r.Failed })},
	{"deliv", "delivered", 8, count(func(r *Report) int { return r.Delivered })},
	{"dup", "duplicates flagged / unflagged", 7, func(r *Report) string { return fmt.Sprintf("%d/%d", r.Flagged, r.Unflagged) }},
	{"lost", "lost", 4, count(func(r *Report) int { return r.Lost })},
	{"order", "order violations", 5, count(func(r *Report) int { return r.OrderViolations })},
	{"false", "false OK", 5, count(func(r *Report) int { return r.FalseOK })},
	{"recov", "recovery", 7, func(r *Report) string { return span(max(r.Recovery, r.DeliveryRecovery)) }},
	{"peak", "peak memory", 8, func(r *Report) string { return size(r.Peak()) }},
	{"gorout", "goroutines before / after", 9, (*Report).goroutines},
	{"pub f/s", "publishes fast / slow", 11, func(r *Report) string { return ways(r.Publishes) }},
	{"settle f/s", "settlements fast / slow", 11, func(r *Report) string { return ways(r.Settlements) }},
	{"verdict", "verdict", -4, (*Report).Verdict},
}

func ways(w history.Ways) string { return fmt.Sprintf("%d/%d", w.Fast, w.Slow) }

func count(of func(*Report) int) func(*Report) string {
	return func(r *Report) string { return fmt.Sprint(of(r)) }
}

// Header returns the first line of a text table, for lines of Line.
func Header() string {
	return textRow(func(c column) string { return c.short })
}

// Line returns the run as a line of a text table.
func (r *Report) Line() string {
	return textRow(func(c column) string { return c.value(r) })
}

// MarkdownHeader returns the first two lines of a Markdown table, for lines of
// MarkdownLine.
func MarkdownHeader() string {
	rule := "|"
	for _, c := range columns {
		if c.width < 0 {
			rule += "---|"
		} else {
			rule += "---:|"
		}
	}
	return markdownRow(func(c column) string { return c.long }) + "\n" + rule
}

// MarkdownLine returns the run as a line of a Markdown table.
func (r *Report) MarkdownLine() string {
	return markdownRow(func(c column) string { return c.value(r) })
}

// Verdict returns "ok", or the invariants that were broken.
func (r *Report) Verdict() string {
	var broken []string
	for i := I0Proof; i <= I8Growth; i++ {
		if r.Broken(i) {
			broken = append(broken, i.String())
		}
	}
	if len(broken) == 0 {
		return "ok"
	}
	return strings.Join(broken, " ")
}

// Peak returns the largest resident set of any judged process, in bytes.
func (r *Report) Peak() uint64 {
	var peak uint64
	for _, p := range r.Processes {
		if p.Judged {
			peak = max(peak, p.Peak)
		}
	}
	return peak
}

// goroutines returns the sums over all judged processes.
func (r *Report) goroutines() string {
	var before, after int
	for _, p := range r.Processes {
		if p.Judged {
			before += p.Before.Goroutines
			after += p.After.Goroutines
		}
	}
	return fmt.Sprintf("%d/%d", before, after)
}

func textRow(cell func(column) string) string {
	var b strings.Builder
	for _, c := range columns {
		fmt.Fprintf(&b, "%*s ", c.width, cell(c))
	}
	return strings.TrimRight(b.String(), " ")
}

func markdownRow(cell func(column) string) string {
	row := "|"
	for _, c := range columns {
		row += " " + strings.ReplaceAll(cell(c), "|", `\|`) + " |"
	}
	return row
}

// span formats a recovery; 0 means that there was nothing to measure.
func span(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return d.Round(time.Millisecond).String()
}

func size(bytes uint64) string {
	if bytes == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1fMiB", float64(bytes)/(1<<20))
}

package check

import (
	"fmt"
	"strings"
	"time"
)

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
	{"verdict", "verdict", -4, (*Report).Verdict},
}

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

package faults

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/warrenmesh/warren/test/faults/check"
	"github.com/warrenmesh/warren/test/faults/rig"
)

// Page is the result of a run for docs/faults.md. Each minor version of RabbitMQ has a
// section there.
type Page struct {
	Results []*Result
	Command string
	Facts   Facts
	Took    time.Duration
}

// Facts describe the machine and the versions, which the numbers depend on.
type Facts struct {
	Date     string
	Cores    int
	Go       string
	RabbitMQ string
}

// Facts reads the versions from the cluster that ran last.
func (r *Runner) Facts(ctx context.Context) Facts {
	f := Facts{Date: time.Now().UTC().Format(time.DateOnly), Cores: runtime.NumCPU(), Go: strings.TrimPrefix(runtime.Version(), "go"), RabbitMQ: "unknown"}
	if r.cluster != nil {
		if version, err := r.cluster.Members[0].Call(ctx, "rabbit_misc:version()."); err == nil {
			f.RabbitMQ = strings.Trim(version, `"`)
		}
	}
	return f
}

const pageHead = `# The fault matrix

<!-- written by 'make faults'; do not edit -->

Every row is a fault that the rig injected into the built sidecar and control plane,
under load, on real RabbitMQ nodes, with the proof that it took effect. One checker
judges every row by the recorded history of each publish and each delivery:

- I0: the fault is proven, something was in flight when it began, and events took the fast and the slow
  [path](metrics.md#the-fast-path-and-the-slow-path) through the sidecars where the row needs them.
- I1: every subscription receives every event that was answered OK. I2: no service receives an event
  that certainly failed.
- I3: duplicates are flagged, and there are no more than events were in flight.
- I4: the first deliveries of a key are in order, and a service gets an event after the one before is settled.
- I5: the broker drops no event that no service acknowledged. I6: every answer is true and in time,
  and an event is a dead letter only for a reason that the row allows.
- I7: service resumes within the row's bound. I8: memory, goroutines and descriptors do not grow.

Each version of RabbitMQ has a report of its own. [compatibility.md](compatibility.md)
says what else was tested with it.

`

// Markdown renders the page. It keeps the sections of an earlier page about other
// versions.
func (p *Page) Markdown(earlier string) string {
	sections := others(earlier, p.Facts.RabbitMQ)
	sections[p.Facts.RabbitMQ] = p.section()
	var b strings.Builder
	b.WriteString(pageHead + joinSections(sections) + "## Rows without a scenario\n\n")
	for _, row := range slices.Sorted(maps.Keys(Missing)) {
		fmt.Fprintf(&b, "- %d: %s.\n", row, Missing[row])
	}
	return b.String()
}

// section renders the results, without a heading.
func (p *Page) section() string {
	var b strings.Builder
	events, failed := 0, 0
	for _, r := range p.Results {
		events += r.Report.Events
		if !r.Passed() {
			failed++
		}
	}
	fmt.Fprintf(&b, "`%s` on %s: %d scenarios, %d failed, %d events in %.0f s; %d cores, RabbitMQ %s, Go %s.\n\n",
		p.Command, p.Facts.Date, len(p.Results), failed, events, p.Took.Seconds(), p.Facts.Cores, p.Facts.RabbitMQ, p.Facts.Go)
	results := slices.SortedStableFunc(slices.Values(p.Results), func(a, b *Result) int { return a.Scenario.Row - b.Scenario.Row })
	b.WriteString(check.MarkdownHeader() + "\n")
	for _, r := range results {
		b.WriteString(r.Report.MarkdownLine() + "\n")
	}
	publishes, settlements := Ways(results)
	fmt.Fprintf(&b, "\nIn all, %d publishes took the fast path and %d the slow one, and %d and %d settlements.\n", publishes.Fast, publishes.Slow, settlements.Fast, settlements.Slow)
	b.WriteString("A sidecar that was started again has forgotten the counts of before.\n")
	b.WriteString("\nMemory is the largest resident set of one process. Recovery is the longest time from the\nhealing of a fault to the first OK that began after it, or the first delivery.\n\n### What was injected\n\n")
	for _, r := range results {
		r.tell(&b)
	}
	return b.String()
}

// tell writes the line of a row, and its failures.
func (r *Result) tell(b *strings.Builder) {
	fmt.Fprintf(b, "- **%d %s**: %s.", r.Scenario.Row, r.Scenario.Name, r.Scenario.Fault)
	if r.Scenario.Holds != "" {
		fmt.Fprintf(b, " Besides: %s.", r.Scenario.Holds)
	}
	const most = 3
	for i, f := range r.Faults {
		if i == most {
			fmt.Fprintf(b, " And %d more.", len(r.Faults)-most)
			break
		}
		fmt.Fprintf(b, " Proof: %s.", f)
	}
	b.WriteString("\n")
	for _, v := range r.Report.Violations {
		fmt.Fprintf(b, "  - %s %s: %d\n", v.Invariant, v.What, v.Count)
	}
	for _, f := range r.Failures {
		fmt.Fprintf(b, "  - %s\n", rig.FirstLine(f))
	}
}

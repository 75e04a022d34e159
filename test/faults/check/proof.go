package check

import (
	"cmp"
	"slices"
	"time"

	"github.com/warrenmesh/warren/test/faults/history"
)

// proof judges whether the run was disturbed and large enough to be a test. It returns
// how many calls and deliveries were in flight at all faults together.
func (c *checker) proof() (inFlight int) {
	if n := c.report.Events; n < c.want.MinEvents {
		c.found.add(I0Proof, "too few events", "%d were published, %d are demanded", n, c.want.MinEvents)
	}
	took := 0
	open := c.openAtFaults()
	for i, f := range c.faults() {
		if f.Proof == "" {
			c.found.add(I0Proof, "a fault without proof", "nothing shows that %q at %v took hold", f.Name, ms(f.Injected))
		}
		if f.Healed < f.Injected {
			c.found.add(I0Proof, "a fault that never healed", "%q was injected at %v", f.Name, ms(f.Injected))
		}
		if f.Proof != "" && min(f.InFlight, open[i]) >= c.want.MinInFlight {
			took++
		}
		most := max(f.InFlight, open[i])
		c.report.InFlight = max(c.report.InFlight, most)
		inFlight += most
	}
	if took < c.want.MinFaults {
		c.found.add(I0Proof, "too little disturbed", "%d of %d faults are proven and met at least %d in flight, %d are demanded", took, len(c.run.Faults), c.want.MinInFlight, c.want.MinFaults)
	}
	return inFlight
}

// faults returns the faults in the order in which they were injected.
func (c *checker) faults() []history.Fault {
	faults := slices.Clone(c.run.Faults)
	slices.SortStableFunc(faults, func(a, b history.Fault) int { return cmp.Compare(a.Injected, b.Injected) })
	return faults
}

// openAtFaults counts, from the history itself, the calls and deliveries that were open
// when each fault was injected: the recorder's own count is no proof.
func (c *checker) openAtFaults() []int {
	var at []time.Duration
	for _, f := range c.faults() {
		at = append(at, f.Injected)
	}
	change := make([]int, len(at)+1) // at index i: the difference from fault i-1 to fault i
	span := func(from, to time.Duration, ended bool) {
		first, _ := slices.BinarySearch(at, from) // a call open at t began at or before t
		after := min(first+1, len(at))            // a call that never ended counts for one fault only
		if ended {
			after, _ = slices.BinarySearch(at, to) // it ended after this time
		}
		change[first]++
		change[max(first, after)]--
	}
	for i := range c.run.Publishes {
		p := &c.run.Publishes[i]
		span(p.Start, p.End, p.Result != history.Unanswered)
	}
	for i := range c.run.Deliveries {
		d := &c.run.Deliveries[i]
		span(d.At, d.SettledAt, d.Outcome != history.None)
	}
	for i := 1; i < len(change); i++ {
		change[i] += change[i-1]
	}
	return change[:len(at)]
}

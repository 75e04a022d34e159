package check

import (
	"cmp"
	"slices"
	"time"

	"github.com/warrenmesh/warren/test/faults/history"
)

// growth compares each process before the first fault and at the end (I8).
func (c *checker) growth() {
	before, after := c.quiet()
	warm := c.warm()
	byProcess := map[string][]history.Sample{}
	for _, s := range c.run.Samples {
		byProcess[s.Process] = append(byProcess[s.Process], s)
	}
	for _, name := range c.want.Processes {
		byProcess[name] = append(byProcess[name], []history.Sample{}...) // so that a process without samples is reported
	}
	for _, name := range sorted(byProcess) {
		p := Process{Name: name, Judged: len(c.want.Processes) == 0 || slices.Contains(c.want.Processes, name)}
		var cold, early, late []history.Sample
		for _, s := range byProcess[name] {
			p.Peak = max(p.Peak, s.RSS)
			switch {
			case s.At < min(warm, before):
				cold = append(cold, s)
			case s.At < before:
				early = append(early, s)
			}
			if s.At >= after {
				late = append(late, s)
			}
		}
		if len(early) == 0 { // the fault came before the load had an effect
			early = cold
		}
		p.Before, p.After = usage(early), usage(late)
		c.report.Processes = append(c.report.Processes, p)
		if p.Judged {
			c.grown(&p)
		}
	}
	if c.want.Growth != (Growth{}) && len(c.report.Processes) == 0 {
		c.found.add(I0Proof, "growth was not measured", "there are no samples of any process")
	}
}

// quiet returns the end of the samples before the faults, and the beginning of the
// samples after the run.
func (c *checker) quiet() (before, after time.Duration) {
	for i, f := range c.faults() {
		if i == 0 {
			before = f.Injected
		}
		after = max(after, f.Healed)
	}
	return before, max(after, c.run.Drained)
}

// warm returns when a process is warm: the load has opened the channels and buffers
// that it needs and keeps.
func (c *checker) warm() time.Duration {
	var first time.Duration
	for i := range c.run.Deliveries {
		if at := c.run.Deliveries[i].At; i == 0 || at < first {
			first = at
		}
	}
	return first + warmUp
}

// warmUp is how long after its first delivery a load has used every part of a process.
const warmUp = 250 * time.Millisecond

func (c *checker) grown(p *Process) {
	g := c.want.Growth
	if g != (Growth{}) && (p.Before.Samples == 0 || p.After.Samples == 0) {
		c.found.add(I0Proof, "growth was not measured", "%s: %d samples before the first fault, %d at the end", p.Name, p.Before.Samples, p.After.Samples)
		return
	}
	if g.Memory > 0 && p.After.Memory > p.Before.Memory+g.Memory {
		c.found.add(I8Growth, "memory grew", "%s: from %s to %s, %s more are allowed", p.Name, size(p.Before.Memory), size(p.After.Memory), size(g.Memory))
	}
	if g.Goroutines > 0 && p.After.Goroutines > p.Before.Goroutines+g.Goroutines {
		c.found.add(I8Growth, "goroutines grew", "%s: from %d to %d, %d more are allowed", p.Name, p.Before.Goroutines, p.After.Goroutines, g.Goroutines)
	}
	if g.FDs > 0 && p.After.FDs > p.Before.FDs+g.FDs {
		c.found.add(I8Growth, "file descriptors grew", "%s: from %d to %d, %d more are allowed", p.Name, p.Before.FDs, p.After.FDs, g.FDs)
	}
	if g.PeakMemory > 0 && p.Peak > g.PeakMemory {
		c.found.add(I8Growth, "memory peaked too high", "%s: %s, the bound is %s", p.Name, size(p.Peak), size(g.PeakMemory))
	}
}

// usage is the median of each value over the samples that measured it.
func usage(samples []history.Sample) Usage {
	var memory []uint64
	var goroutines, fds []int
	for _, s := range samples {
		memory = measured(memory, cmp.Or(s.Anon, s.RSS))
		goroutines = measured(goroutines, s.Goroutines)
		fds = measured(fds, s.FDs)
	}
	return Usage{Memory: median(memory), Goroutines: median(goroutines), FDs: median(fds), Samples: len(samples)}
}

func measured[N cmp.Ordered](ns []N, n N) []N {
	var zero N
	if n == zero {
		return ns
	}
	return append(ns, n)
}

func median[N cmp.Ordered](ns []N) N {
	if len(ns) == 0 {
		var zero N
		return zero
	}
	slices.Sort(ns)
	return ns[len(ns)/2]
}

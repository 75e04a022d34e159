package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/warrenmesh/warren/test/bench/internal/measure"
)

// outcome is what one plan measured.
type outcome struct {
	queue   string
	results []*result
	idle    []idleSample // none unless that was asked for
}

// printAll writes the tables of all outcomes, then what one has to know to read them, then
// the lines for scripts.
func printAll(w io.Writer, outcomes []outcome, emptyCall time.Duration, known bool) {
	for _, o := range outcomes {
		if len(o.results) == 0 {
			continue
		}
		_, _ = fmt.Fprintf(w, "%s queues, medians over the rounds:\n", o.queue)
		o.table(w)
		o.latencies(w)
		_, _ = fmt.Fprintln(w, o.libs(emptyCall))
		o.pairs(w, beforeName)
		o.pairs(w, baseName)
		for _, r := range o.results {
			if len(r.voided) > 0 && len(r.valid) > 0 {
				_, _ = fmt.Fprintf(w, "%s: %d rounds were void for foreign CPU, %d count\n", r.workload.Name, len(r.voided), len(r.valid))
			}
		}
	}
	if !known {
		_, _ = fmt.Fprintln(w, "the broker is not a process of this machine: its CPU and that of others are unknown")
	}
	for _, o := range outcomes {
		for _, r := range o.results {
			if why := r.fault(); why != "" {
				_, _ = fmt.Fprintf(w, "void: %s queues, %s\n", o.queue, why)
			}
		}
	}
	for _, o := range outcomes {
		if len(o.idle) > 0 {
			printIdle(w, o.queue, o.idle)
		}
	}
	for _, name := range []string{daprName, beforeName, warrenName} {
		for _, o := range outcomes {
			if o.has(name) {
				_, _ = fmt.Fprintln(w, o.line(name))
			}
		}
	}
}

func (o *outcome) has(name string) bool {
	for _, r := range o.results {
		if r.has(name) {
			return true
		}
	}
	return false
}

// table prints medians over the rounds, and ratios with their range.
func (o *outcome) table(w io.Writer) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(tw, "workload\ttarget\tmsgs/s\tp50 ms\tp99 ms\tp99.9 ms\tdriver µs\tsidecar µs\tbroker µs\tRSS MB\t/lib\trange\t")
	for _, r := range o.results {
		for _, name := range targetNames {
			if !r.has(name) {
				continue
			}
			of := func(pick func(measure.Sample) float64) float64 { return r.median(name, pick) }
			_, _ = fmt.Fprintf(tw, "%s\t%s\t%.0f\t%s\t%s\t%s\t%.1f\t%s\t%.1f\t%s\t", r.workload.Name, name, of(rate),
				known("%.2f", of(p50)), known("%.2f", of(p99)), known("%.2f", of(p999)), of(driver), known("%.1f", of(sidecar)), of(broker), known("%.0f", of(memory)))
			if name == libName {
				_, _ = fmt.Fprint(tw, "\t\t\n")
				continue
			}
			x := r.ratio(name, libName, rate)
			_, _ = fmt.Fprintf(tw, "%.2f\t%.2f-%.2f\t\n", x.Median, x.Low, x.High)
		}
	}
	_ = tw.Flush()
}

// known formats a figure that may be missing: a drain has no latencies, because its
// messages waited in the queue, and lib has no sidecar.
func known(format string, value float64) string {
	if value == 0 {
		return "-"
	}
	return fmt.Sprintf(format, value)
}

// latencies prints how latencies at a fixed rate compare, where throughputs say nothing.
func (o *outcome) latencies(w io.Writer) {
	for _, r := range o.results {
		if r.workload.Rate == 0 {
			continue
		}
		for _, name := range []string{daprName, beforeName, warrenName} {
			if r.has(name) {
				_, _ = fmt.Fprintf(w, "%s: %s/lib p50 %.2f p99 %.2f p99.9 %.2f\n", r.workload.Name, name,
					r.ratio(name, libName, p50).Median, r.ratio(name, libName, p99).Median, r.ratio(name, libName, p999).Median)
			}
		}
	}
}

// libs says what lib takes and what a system call costs: figures of different machines
// compare only beside them.
func (o *outcome) libs(emptyCall time.Duration) string {
	var out strings.Builder
	_, _ = fmt.Fprintf(&out, "%s queues, lib's CPU µs a message:", o.queue)
	for _, r := range o.results {
		_, _ = fmt.Fprintf(&out, " %s %.1f", r.workload.Name, r.median(libName, driver))
	}
	_, _ = fmt.Fprintf(&out, "; an empty system call takes %.2f µs", float64(emptyCall)/float64(time.Microsecond))
	return out.String()
}

// pairs prints how warren compares with another sidecar, round by round.
func (o *outcome) pairs(w io.Writer, other string) {
	for _, r := range o.results {
		if !r.has(other) {
			continue
		}
		x, cpu := r.ratio(warrenName, other, rate), r.ratio(warrenName, other, sidecar)
		_, _ = fmt.Fprintf(w, "%s: warren/%s %.2f (%.2f-%.2f), p50 %s, p99 %s, sidecar CPU %.2f (%.1f µs, %s %.1f µs)\n",
			r.workload.Name, other, x.Median, x.Low, x.High, known("%.2f", r.ratio(warrenName, other, p50).Median), known("%.2f", r.ratio(warrenName, other, p99).Median),
			cpu.Median, r.median(warrenName, sidecar), other, r.median(other, sidecar))
	}
}

// line is the summary of one target, for scripts; "-" stands for values that were not
// measured.
func (o *outcome) line(name string) string {
	out := "bench"
	if o.queue != "quorum" {
		out += "-" + o.queue
	}
	if name != warrenName {
		out += "-" + name
	}
	out += ":"
	by := map[string]*result{}
	for _, r := range o.results {
		by[r.workload.Name] = r
	}
	for _, w := range inLine {
		value := "-"
		if r := by[w.Name]; r != nil && r.has(name) {
			value = fmt.Sprintf("%.2f", r.ratio(name, libName, rate).Median)
		}
		out += fmt.Sprintf(" %s/lib %s", w.Name, value)
	}
	for _, w := range inLine {
		value := "-"
		if r := by[w.Name]; r != nil && r.has(name) {
			value = fmt.Sprintf("%.1f", r.median(name, sidecar))
		}
		out += fmt.Sprintf(" cpu_%s_us %s", strings.TrimRight(w.Name, "0123456789"), value)
	}
	return out
}

package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// table prints medians over the rounds, and ratios with their range.
func table(w io.Writer, results []*result, targets []*target) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(tw, "workload\ttarget\tmsgs/s\tp50 ms\tp99 ms\tdriver µs\tsidecar µs\tbroker µs\t/lib\trange\t")
	for _, r := range results {
		for _, t := range targets {
			of := func(pick func(sample) float64) float64 { return r.median(t.name, pick) }
			_, _ = fmt.Fprintf(tw, "%s\t%s\t%.0f\t%s\t%s\t%.1f\t%s\t%.1f\t", r.workload.name, t.name, of(rate),
				latency(of(p50)), latency(of(p99)), of(driver), micros(t, of(sidecar)), of(broker))
			if t.name == libName {
				_, _ = fmt.Fprint(tw, "\t\t\n")
				continue
			}
			x := r.ratio(t.name, libName)
			_, _ = fmt.Fprintf(tw, "%.2f\t%.2f-%.2f\t\n", x.Median, x.Low, x.High)
		}
	}
	_ = tw.Flush()
}

// latency formats a latency. A drain has none, because its messages waited in the
// queue.
func latency(ms float64) string {
	if ms == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", ms)
}

func micros(t *target, us float64) string {
	if len(t.sidecars) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f", us)
}

// line is the summary of one target, for scripts; "-" stands for values that were not
// measured.
func line(results []*result, name string) string {
	out := "bench:"
	if name != warrenName {
		out = "bench-" + name + ":"
	}
	by := map[string]*result{}
	for _, r := range results {
		by[r.workload.name] = r
	}
	for _, w := range []workload{unary64, stream, drain, endToEnd} {
		value := "-"
		if r := by[w.name]; r != nil {
			value = fmt.Sprintf("%.2f", r.ratio(name, libName).Median)
		}
		out += fmt.Sprintf(" %s/lib %s", w.name, value)
	}
	for _, cpu := range []struct {
		key string
		w   workload
	}{{"cpu_stream_us", stream}, {"cpu_unary_us", unary64}} {
		value := "-"
		if r := by[cpu.w.name]; r != nil {
			value = fmt.Sprintf("%.1f", r.median(name, sidecar))
		}
		out += fmt.Sprintf(" %s %s", cpu.key, value)
	}
	return out
}

// changes prints how this sidecar compares with the one of -before, round by round.
func changes(w io.Writer, results []*result) {
	for _, r := range results {
		x := r.ratio(warrenName, beforeName)
		_, _ = fmt.Fprintf(w, "%s: warren/before %.2f (%.2f-%.2f), sidecar CPU %.1f µs, before %.1f µs\n",
			r.workload.name, x.Median, x.Low, x.High, r.median(warrenName, sidecar), r.median(beforeName, sidecar))
	}
}

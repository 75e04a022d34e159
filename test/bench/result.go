package main

import (
	"fmt"
	"math"
	"time"

	"github.com/warrenmesh/warren/test/bench/internal/stat"
)

// round has one sample of each target, by its name.
type round map[string]sample

// foreign is that of the target it was worst for.
func (r round) foreign() float64 {
	worst := 0.0
	for _, s := range r {
		worst = max(worst, s.foreign)
	}
	return worst
}

// result is all rounds of one workload.
type result struct {
	workload  workload
	samples   map[string][]sample // by target, in the order of the rounds
	repeated  int                 // rounds thrown away and measured again
	disturbed int                 // rounds that stayed disturbed and count all the same
}

func (r *result) add(round round, disturbed bool) {
	for name, s := range round {
		r.samples[name] = append(r.samples[name], s)
	}
	if disturbed {
		r.disturbed++
	}
}

// each picks one figure out of every sample of a target.
func (r *result) each(name string, pick func(sample) float64) []float64 {
	var out []float64
	for _, s := range r.samples[name] {
		out = append(out, pick(s))
	}
	return out
}

func (r *result) median(name string, pick func(sample) float64) float64 {
	return stat.Median(r.each(name, pick))
}

// ratio compares the rates of two targets, round by round.
func (r *result) ratio(name, base string) stat.Spread {
	return stat.Ratios(r.each(name, rate), r.each(base, rate))
}

func rate(s sample) float64    { return s.rate }
func driver(s sample) float64  { return s.driver }
func sidecar(s sample) float64 { return s.sidecar }
func broker(s sample) float64  { return s.broker }
func p50(s sample) float64     { return float64(s.p50) / float64(time.Millisecond) }
func p99(s sample) float64     { return float64(s.p99) / float64(time.Millisecond) }

// maxDrift is how far lib's CPU time for a message of one workload may be from what
// its other workloads let expect.
const maxDrift = 0.25

// faults returns why a run is void, nothing when it is valid.
func faults(results []*result, queue string) []string {
	var out []string
	for _, r := range results {
		if r.disturbed > 0 {
			out = append(out, fmt.Sprintf("%s: in %d of %d rounds more than %.2f cores were busy with something else",
				r.workload.name, r.disturbed, len(r.samples[libName]), maxForeign))
		}
	}
	if queue != "classic" {
		return out // the references are of classic queues
	}
	return append(out, drifted(results)...)
}

// drifted checks that lib's workloads cost what they should in proportion to each
// other: a machine may be faster or slower than that of the references, but then in
// all of them. With fewer than three there is no telling which one is off.
func drifted(results []*result) []string {
	var known []*result
	var factors []float64
	for _, r := range results {
		if r.workload.reference > 0 {
			known = append(known, r)
			factors = append(factors, r.median(libName, driver)/r.workload.reference)
		}
	}
	if len(known) < 3 {
		return nil
	}
	machine := stat.Median(factors)
	var out []string
	for i, r := range known {
		if off := factors[i]/machine - 1; math.Abs(off) > maxDrift || math.IsNaN(off) {
			out = append(out, fmt.Sprintf("%s: lib took %.1f µs of CPU a message, %+.0f %% from what its other workloads let expect",
				r.workload.name, r.median(libName, driver), 100*off))
		}
	}
	return out
}

package main

import (
	"fmt"
	"math"
	"time"

	"github.com/warrenmesh/warren/test/bench/internal/stat"
)

// round has one sample of each target, by its name.
type round map[string]sample

// foreign is the largest foreign CPU use of the round's samples.
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
	repeated  int                 // rounds that were discarded and measured again
	disturbed int                 // disturbed rounds that were not measured again and count
}

func (r *result) add(round round, disturbed bool) {
	for name, s := range round {
		r.samples[name] = append(r.samples[name], s)
	}
	if disturbed {
		r.disturbed++
	}
}

// each picks one figure from every sample of a target.
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

// maxDrift bounds how far lib's CPU time for a message of one workload may be from the
// value that its other workloads predict.
const maxDrift = 0.25

// faults returns the reasons for which a run is void; none when it is valid.
func faults(results []*result, queue string) []string {
	var out []string
	for _, r := range results {
		if r.disturbed > 0 {
			out = append(out, fmt.Sprintf("%s: in %d of %d rounds more than %.2f cores were busy with something else",
				r.workload.name, r.disturbed, len(r.samples[libName]), maxForeign))
		}
	}
	if queue != "classic" {
		return out // the references are for classic queues
	}
	return append(out, drifted(results)...)
}

// drifted checks the ratios of lib's CPU times between workloads. A machine may be
// faster or slower than the one of the references, but then it is so in all workloads.
// It takes at least three workloads to tell which one is off.
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

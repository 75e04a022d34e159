package main

import (
	"fmt"
	"time"

	"github.com/warrenmesh/warren/test/bench/internal/measure"
	"github.com/warrenmesh/warren/test/bench/internal/stat"
)

// maxForeign is how many cores processes may use in a phase that are not part of the
// comparison.
const maxForeign = 0.25

// round has one sample of each target, by its name.
type round map[string]measure.Sample

// foreign is the largest foreign CPU use of the round's samples.
func (r round) foreign() float64 {
	worst := 0.0
	for _, s := range r {
		worst = max(worst, s.Foreign)
	}
	return worst
}

// void reports whether the round says nothing: something else needed the machine. It
// does not matter what the figures are.
func (r round) void() bool { return r.foreign() > maxForeign }

// result is all rounds of one workload.
type result struct {
	workload workload
	valid    []round
	voided   []round // left out, unless no round is valid
}

func (r *result) add(round round) {
	if round.void() {
		r.voided = append(r.voided, round)
	} else {
		r.valid = append(r.valid, round)
	}
}

// rounds are those that count. Figures of void rounds are better than none, but then
// fault has a reason.
func (r *result) rounds() []round {
	if len(r.valid) == 0 {
		return r.voided
	}
	return r.valid
}

// fault is the reason for which the figures must not be quoted; "" when they are valid.
func (r *result) fault() string {
	if len(r.valid) > 0 {
		return ""
	}
	return fmt.Sprintf("%s: in each of %d rounds, more than %.2f cores were busy with something else", r.workload.Name, len(r.voided), maxForeign)
}

// has reports whether a target was measured.
func (r *result) has(name string) bool {
	for _, round := range r.rounds() {
		if _, ok := round[name]; ok {
			return true
		}
	}
	return false
}

// median is the median of one figure of a target over the rounds.
func (r *result) median(name string, pick func(measure.Sample) float64) float64 {
	var all []float64
	for _, round := range r.rounds() {
		if s, ok := round[name]; ok {
			all = append(all, pick(s))
		}
	}
	return stat.Median(all)
}

// ratio compares one figure of two targets, round by round.
func (r *result) ratio(name, base string, pick func(measure.Sample) float64) stat.Spread {
	var values, bases []float64
	for _, round := range r.rounds() {
		values, bases = append(values, pick(round[name])), append(bases, pick(round[base]))
	}
	return stat.Ratios(values, bases)
}

func rate(s measure.Sample) float64    { return s.Rate }
func driver(s measure.Sample) float64  { return s.Driver }
func sidecar(s measure.Sample) float64 { return s.Sidecar }
func broker(s measure.Sample) float64  { return s.Broker }
func p50(s measure.Sample) float64     { return milliseconds(s.P50) }
func p99(s measure.Sample) float64     { return milliseconds(s.P99) }
func p999(s measure.Sample) float64    { return milliseconds(s.P999) }
func memory(s measure.Sample) float64  { return float64(s.RSS) / (1 << 20) }

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

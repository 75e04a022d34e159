package soak

import (
	"fmt"
	"io"
	"math/rand/v2"
	"time"
)

const (
	// warmUp is the time before the first fault, which the later samples are compared
	// with.
	warmUp = 5 * time.Second
	// calm is the least time from the end of one fault to the beginning of the next,
	// and after the last one: recovery can be measured only while there is no fault.
	calm = 3 * time.Second
	// spread is how much longer than calm that time may be.
	spread = 5 * time.Second
	// grain is the unit to which times are rounded, so that they are easy to read.
	grain = 100 * time.Millisecond
)

// Kind is a fault that may be drawn.
type Kind struct {
	Name string
	// Targets is the number of things that the fault can affect, such as nodes; 0 means
	// one.
	Targets int
	// Min and Max bound its duration. With Max 0 the fault has no duration.
	Min, Max time.Duration
	// Weight is how often it is drawn relative to the other kinds; 0 means 1.
	Weight int
}

// Step is one fault of a schedule.
type Step struct {
	At     time.Duration // since the load began
	Kind   string
	Target int // from 0, below the kind's Targets
	Lasts  time.Duration
}

// String returns the step as it is printed.
func (s Step) String() string {
	text := fmt.Sprintf("%8.1fs  %s on %d", s.At.Seconds(), s.Kind, s.Target)
	if s.Lasts > 0 {
		text += fmt.Sprintf(" for %.1fs", s.Lasts.Seconds())
	}
	return text
}

// Generate draws the faults of a run that lasts total. Each fault ends, and leaves time
// to recover, before the next one begins and before the run ends. There are no steps
// when the run is too short for a fault, or when there are no kinds.
func Generate(seed uint64, total time.Duration, kinds []Kind) []Step {
	random := rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15)) //nolint:gosec // repeatable, not secret
	var steps []Step
	for at := warmUp; len(kinds) > 0; {
		k := draw(random, kinds)
		s := Step{At: at, Kind: k.Name, Target: random.IntN(max(k.Targets, 1)), Lasts: between(random, k.Min, k.Max)}
		ends := at + s.Lasts + calm
		if ends > total {
			break
		}
		steps = append(steps, s)
		at = ends + between(random, 0, spread)
	}
	return steps
}

// Print writes the seed and one line for each step.
func Print(w io.Writer, seed uint64, steps []Step) {
	fmt.Fprintf(w, "seed %d: %d faults\n", seed, len(steps))
	for _, s := range steps {
		fmt.Fprintln(w, s)
	}
}

func draw(random *rand.Rand, kinds []Kind) Kind {
	sum := 0
	for _, k := range kinds {
		sum += max(k.Weight, 1)
	}
	n := random.IntN(sum)
	for _, k := range kinds {
		if n -= max(k.Weight, 1); n < 0 {
			return k
		}
	}
	return kinds[len(kinds)-1]
}

// between draws from [low, high], in grains.
func between(random *rand.Rand, low, high time.Duration) time.Duration {
	if high <= low {
		return high
	}
	d := low + time.Duration(random.Int64N(int64(high-low)+1))
	return max(low, min(d.Round(grain), high))
}

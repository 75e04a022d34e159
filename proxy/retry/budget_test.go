package retry_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/warrenmesh/warren/internal/budget"
	"github.com/warrenmesh/warren/proxy/retry"
)

func TestRepeatsAreAShareOfWhatIsInFlight(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		percent, least uint32
		inFlight, want int
	}{
		{20, 3, 0, 3},
		{20, 3, 1, 3},
		{20, 3, 15, 3},
		{20, 3, 19, 3},
		{20, 3, 20, 4},
		{20, 3, 1000, 200},
		{50, 0, 1, 0},
		{0, 0, 1000, 0},
		{100, 1, 7, 7},
	} {
		b := retry.NewBudget(test.percent, test.least)
		for range test.inFlight {
			b.Begin()
		}
		got := 0
		for b.TryRepeat() {
			got++
		}
		if got != test.want {
			t.Errorf("%d%%, at least %d, of %d in flight: %d repeats at once, want %d", test.percent, test.least, test.inFlight, got, test.want)
		}
		if got == 0 {
			continue
		}
		b.Repeated()
		if !b.TryRepeat() || b.TryRepeat() {
			t.Error("a repeat that ended did not make room for exactly one")
		}
	}
}

func TestABudgetShrinksWithWhatIsInFlight(t *testing.T) {
	t.Parallel()
	b := retry.NewBudget(20, 1)
	for range 10 {
		b.Begin()
	}
	for range 2 {
		if !b.TryRepeat() {
			t.Fatal("one of 2 repeats of 10 in flight was refused")
		}
	}
	for range 5 {
		b.End()
	}
	b.Repeated()
	if b.TryRepeat() {
		t.Error("a second repeat of 5 in flight was allowed")
	}
}

func TestABudgetIsNeverExceededUnderContention(t *testing.T) {
	t.Parallel()
	b := retry.NewBudget(20, 3)
	var repeating, most atomic.Int64
	var workers sync.WaitGroup
	for range 16 {
		workers.Go(func() {
			for range 2000 {
				b.Begin()
				if b.TryRepeat() {
					n := repeating.Add(1)
					for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
					}
					repeating.Add(-1)
					b.Repeated()
				}
				b.End()
			}
		})
	}
	workers.Wait()
	if most.Load() > 3 {
		t.Errorf("%d repeats at once of 16 in flight, want at most 3", most.Load())
	}
}

// Budget: no allocation; it is asked for each publish.
func BenchmarkBudget(b *testing.B) {
	repeats := retry.NewBudget(retry.DefaultPercent, retry.DefaultLeast)
	budget.Allocs(b, 0)
	for b.Loop() {
		repeats.Begin()
		repeats.End()
	}
}

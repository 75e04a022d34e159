package mesh_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/warrenmesh/warren/mesh"
)

func TestBackoffDoublesUpToItsMaximum(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for name, test := range map[string]struct {
		backoff mesh.Backoff
		want    []time.Duration // after the first attempt, the second, and so on
	}{
		"doubling":                       {mesh.Backoff{Base: 50 * ms, Max: 2000 * ms}, []time.Duration{50 * ms, 100 * ms, 200 * ms, 400 * ms, 800 * ms, 1600 * ms, 2000 * ms, 2000 * ms}},
		"a maximum on the way":           {mesh.Backoff{Base: 3 * ms, Max: 12 * ms}, []time.Duration{3 * ms, 6 * ms, 12 * ms, 12 * ms}},
		"a constant":                     {mesh.Backoff{Base: 7 * ms, Max: 7 * ms}, []time.Duration{7 * ms, 7 * ms, 7 * ms}},
		"a base beyond the maximum":      {mesh.Backoff{Base: 9 * ms, Max: 5 * ms}, []time.Duration{5 * ms, 5 * ms}},
		"none":                           {mesh.Backoff{}, []time.Duration{0, 0, 0}},
		"half of the longest duration":   {mesh.Backoff{Base: math.MaxInt64/2 + 1, Max: math.MaxInt64}, []time.Duration{math.MaxInt64/2 + 1, math.MaxInt64, math.MaxInt64}},
		"a maximum that is never needed": {mesh.Backoff{Base: 1, Max: math.MaxInt64}, []time.Duration{1, 2, 4, 8}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i, want := range test.want {
				if got := test.backoff.Delay(uint32(i + 1)); got != want {
					t.Errorf("after attempt %d it waits %s, want %s", i+1, got, want)
				}
			}
		})
	}
	if got := (mesh.Backoff{Base: time.Second, Max: time.Minute}).Delay(0); got != time.Second {
		t.Errorf("before any attempt it waits %s, want the base", got)
	}
}

// However long the maximum is, doubling never passes what a Duration holds: a delay
// below zero would be no delay at all.
func TestBackoffNeverShrinks(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		b := mesh.Backoff{Base: time.Duration(random.Int64N(math.MaxInt64>>random.IntN(63))) + 1}
		b.Max = b.Base + time.Duration(random.Int64N(int64(math.MaxInt64-b.Base)+1))
		last := b.Base
		for n := uint32(1); n <= 100; n++ {
			d := b.Delay(n)
			if d < last || d > b.Max {
				t.Fatalf("%+v: after attempt %d it waits %d, after the one before %d", b, n, d, last)
			}
			last = d
		}
		if last != b.Max {
			t.Fatalf("%+v: after 100 attempts it waits %d, want the maximum", b, last)
		}
	}
}

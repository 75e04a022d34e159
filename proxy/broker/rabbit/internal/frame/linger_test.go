package frame

import (
	"testing"
	"time"
)

// reads lets n deliveries come before each read for a while, and returns how often it waited.
func reads(l *linger, from time.Time, every time.Duration, n, times int, spare bool) (waits int, now time.Time) {
	now = from
	for range times {
		for range n {
			l.count(spare)
		}
		now = now.Add(every)
		if l.before(now) > 0 {
			waits++
		}
	}
	return waits, now
}

func TestTheReaderLingersOnlyWhileDeliveriesComeFast(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	start := time.Now()
	for name, test := range map[string]struct {
		every time.Duration
		n     int
		spare bool
		waits bool
	}{
		"20,000 a second":                       {every: 200 * time.Microsecond, n: 4, spare: true, waits: true},
		"5,000 a second, one by one":            {every: 200 * time.Microsecond, n: 1, spare: true},
		"1,000 a second":                        {every: ms, n: 1, spare: true},
		"20,000 a second with a small prefetch": {every: 200 * time.Microsecond, n: 4},
	} {
		l := &linger{}
		waits, now := reads(l, start, test.every, test.n, 100, test.spare)
		if (waits > 0) != test.waits {
			t.Errorf("%s: waited %d times of 100", name, waits)
		}
		if waits, _ = reads(l, now, 100*ms, 1, 3, test.spare); waits > 0 {
			t.Errorf("%s: waited %d times when it was slow again", name, waits)
		}
	}
}

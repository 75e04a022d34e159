package balance_test

import (
	"testing"
	"time"

	"github.com/warrenmesh/warren/internal/budget"
	"github.com/warrenmesh/warren/proxy/balance"
)

// row makes n failures at now and returns for how long the node is avoided then.
func row(o *balance.Outlier, n int, now time.Duration) time.Duration {
	var d time.Duration
	for range n {
		d = max(d, o.Failed(now))
	}
	return d
}

func TestANodeIsAvoidedAfterFailuresInARow(t *testing.T) {
	t.Parallel()
	const begin = time.Hour
	t.Run("and not for less", func(t *testing.T) {
		t.Parallel()
		var o balance.Outlier
		for range 10 {
			if d := row(&o, 4, begin); d != 0 || o.Avoid(begin) || o.MayAvoid() {
				t.Fatalf("avoided for %v after 4 failures", d)
			}
			o.Succeeded()
		}
	})
	t.Run("until its time is up", func(t *testing.T) {
		t.Parallel()
		var o balance.Outlier
		if d := row(&o, 5, begin); d != time.Second {
			t.Errorf("avoided for %v, want 1s", d)
		}
		if !o.MayAvoid() || !o.Avoid(begin) || !o.Avoid(begin+time.Second-1) || o.Avoid(begin+time.Second) {
			t.Error("not avoided for exactly that second")
		}
	})
	t.Run("and what was under way then counts no more", func(t *testing.T) {
		t.Parallel()
		var o balance.Outlier
		row(&o, 1000, begin)
		if d := row(&o, 4, begin+2*time.Second); d != 0 {
			t.Errorf("avoided for %v after 4 new failures", d)
		}
	})
	t.Run("longer each time, up to 30s, and a success between does not make it shorter", func(t *testing.T) {
		t.Parallel()
		var o balance.Outlier
		now := begin
		for n := 1; n <= 40; n++ {
			want := min(time.Duration(n)*time.Second, 30*time.Second)
			if d := row(&o, 5, now); d != want {
				t.Fatalf("the %d. time it is avoided for %v, want %v", n, d, want)
			}
			now += want + time.Second
			o.Succeeded()
		}
	})
	t.Run("until it was good for half a minute", func(t *testing.T) {
		t.Parallel()
		var o balance.Outlier
		row(&o, 5, begin)
		row(&o, 5, begin+10*time.Second)
		if d := row(&o, 5, begin+43*time.Second); d != time.Second {
			t.Errorf("avoided for %v, want 1s again", d)
		}
	})
}

// Budget: no allocation, no lock while nothing fails.
func BenchmarkOutlier(b *testing.B) {
	var o balance.Outlier
	budget.Allocs(b, 0)
	for b.Loop() {
		if o.MayAvoid() {
			b.Fatal("avoided")
		}
		o.Succeeded()
	}
}

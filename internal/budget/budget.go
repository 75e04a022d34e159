// Package budget makes a benchmark fail when it allocates more than it may, so that
// the budget is tested. There is no budget of time, because machines are noisy.
package budget

import (
	"runtime"
	"testing"
)

// warm is how many rounds it takes until one-time allocations do not count any more.
const warm = 1000

// Allocs reports allocations like b.ReportAllocs, and fails b when a round of its loop
// takes more than most of them, those of all goroutines together. It is called right
// before the loop. With fewer than 1,000 rounds it only reports.
func Allocs(b *testing.B, most float64) {
	b.Helper()
	b.ReportAllocs()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	b.Cleanup(func() {
		var after runtime.MemStats
		runtime.ReadMemStats(&after)
		if got := float64(after.Mallocs-before.Mallocs) / float64(b.N); b.N >= warm && got > most+0.5 {
			b.Errorf("%.1f allocations a round, the budget is %g", got, most)
		}
	})
}

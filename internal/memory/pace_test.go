package memory

import "testing"

func TestASmallHeapGrowsByTheHeadroomAndALargeOneDoubles(t *testing.T) {
	t.Parallel()
	for live, want := range map[uint64]int{0: most, 1 << 20: most, 4 << 20: 250, 8 << 20: 125, 10 << 20: usual, 1 << 30: usual} {
		if got := percent(live); got != want {
			t.Errorf("a live heap of %d bytes may grow by %d %%, want %d", live, got, want)
		}
	}
}

package stat_test

import (
	"slices"
	"testing"

	"github.com/warrenmesh/warren/test/bench/internal/stat"
)

func TestMedianIsTheMiddleOne(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 4}, 4}, {[]float64{4, 1, 2, 100}, 3},
	} {
		before := slices.Clone(c.values)
		if got := stat.Median(c.values); got != c.want {
			t.Errorf("median of %v is %v, want %v", c.values, got, c.want)
		}
		if !slices.Equal(before, c.values) {
			t.Errorf("%v became %v", before, c.values)
		}
	}
}

func TestAPercentileIsAValueThatWasSeen(t *testing.T) {
	t.Parallel()
	hundred := make([]int, 100)
	for i := range hundred {
		hundred[i] = i + 1
	}
	for _, c := range []struct {
		values []int
		share  float64
		want   int
	}{
		{nil, 0.5, 0}, {[]int{7}, 0.99, 7}, {[]int{1, 2}, 0.5, 1}, {[]int{1, 2, 3}, 0, 1}, {[]int{1, 2, 3}, 1, 3},
		{hundred, 0.5, 50}, {hundred, 0.99, 99}, {hundred, 0.999, 100},
	} {
		if got := stat.Rank(c.values, c.share); got != c.want {
			t.Errorf("percentile %v of %d values is %d, want %d", c.share, len(c.values), got, c.want)
		}
	}
}

func TestRatiosCompareNeighboursNotAverages(t *testing.T) {
	t.Parallel()
	// The machine became twice as fast after the first pair: each pair says 0.5.
	got := stat.Ratios([]float64{50, 100, 100}, []float64{100, 200, 200})
	if want := (stat.Spread{Median: 0.5, Low: 0.5, High: 0.5}); got != want {
		t.Errorf("ratios are %v, want %v", got, want)
	}
	got = stat.Ratios([]float64{1, 3, 2, 9}, []float64{1, 1, 1})
	if want := (stat.Spread{Median: 2, Low: 1, High: 3}); got != want {
		t.Errorf("ratios are %v, want %v", got, want)
	}
	if got = stat.Ratios([]float64{1}, []float64{0}); got != (stat.Spread{}) {
		t.Errorf("a ratio to nothing is %v", got)
	}
}

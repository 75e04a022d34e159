// Package stat computes the statistics of the comparison: medians, and ratios of pairs
// that were measured one right after the other. It is pure.
//
//	ratio := stat.Ratios(warren, lib) // ratio.Median, ratio.Low, ratio.High
package stat

import (
	"cmp"
	"slices"
)

// Median returns the middle value, the mean of the two middle values of an even number,
// and 0 for no values. It does not change values.
func Median[T ~int64 | ~float64](values []T) T {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// Percentile returns the smallest value v such that at least share (0 to 1) of all
// values are at most v; 0 for no values. It sorts values.
func Percentile[T cmp.Ordered](values []T, share float64) T {
	if len(values) == 0 {
		var zero T
		return zero
	}
	slices.Sort(values)
	rank := int(share*float64(len(values))+0.999999) - 1
	return values[min(max(rank, 0), len(values)-1)]
}

// Spread is a median with the lowest and highest value.
type Spread struct{ Median, Low, High float64 }

// Ratios divides each value by the value of the same index in base and returns the
// spread of the quotients. A drift of the machine that lasts longer than one pair
// cancels out. Pairs with a base of 0 and values without a partner are left out.
func Ratios(values, base []float64) Spread {
	var ratios []float64
	for i := range min(len(values), len(base)) {
		if base[i] != 0 {
			ratios = append(ratios, values[i]/base[i])
		}
	}
	if len(ratios) == 0 {
		return Spread{}
	}
	return Spread{Median(ratios), slices.Min(ratios), slices.Max(ratios)}
}

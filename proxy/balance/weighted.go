// Package balance chooses among the weighted backends of a rule, the partitions of a
// topic and the nodes of a broker. It avoids nodes that keep failing. It is pure: the
// caller passes time and randomness. Everything is safe for concurrent use.
package balance

// Weighted chooses an index with a probability proportional to its weight.
type Weighted struct {
	cumulative []uint32 // running sums; an index of weight 0 repeats its predecessor
}

// NewWeighted builds a chooser. When all weights are 0 the first index is always
// chosen; the control plane refuses such a rule.
func NewWeighted(weights []uint32) Weighted {
	w := Weighted{cumulative: make([]uint32, len(weights))}
	var sum uint32
	for i, weight := range weights {
		sum += weight
		w.cumulative[i] = sum
	}
	return w
}

// Pick maps a uniformly distributed random number to an index. Two or three
// backends are the rule, so a scan beats a search.
func (w Weighted) Pick(random uint32) int {
	n := len(w.cumulative)
	if n < 2 || w.cumulative[n-1] == 0 {
		return 0
	}
	// Multiply-shift maps onto [0, sum) without the bias of a modulo.
	at := uint32(uint64(random) * uint64(w.cumulative[n-1]) >> 32)
	for i, c := range w.cumulative {
		if at < c {
			return i
		}
	}
	return n - 1
}

package retry

import "sync/atomic"

// Budget bounds the repeats of a broker's publishes that are under way at once to a
// share of the publishes in flight, so that repeats cannot keep a broker down that
// has trouble already. It only counts, and is safe for concurrent use.
//
//	b.Begin(); defer b.End()             // each publish
//	if b.TryRepeat() { ...; b.Repeated() } // each repeat of it
type Budget struct {
	// set at construction
	percent int64
	least   int64

	// atomic
	inFlight  atomic.Int64
	repeating atomic.Int64
}

// The default budget of a broker.
const (
	DefaultPercent = 20
	DefaultLeast   = 3
)

// NewBudget allows percent of the publishes in flight to be repeats, and least of
// them however few are in flight.
func NewBudget(percent, least uint32) *Budget {
	return &Budget{percent: int64(percent), least: int64(least)}
}

// Begin counts a publish as in flight, until End.
func (b *Budget) Begin() { b.inFlight.Add(1) }

// End ends a publish that Begin counted.
func (b *Budget) End() { b.inFlight.Add(-1) }

// TryRepeat begins a repeat and reports true when the budget has room for it; it
// ends with Repeated.
func (b *Budget) TryRepeat() bool {
	if b.repeating.Add(1) <= max(b.least, b.inFlight.Load()*b.percent/100) {
		return true
	}
	b.repeating.Add(-1)
	return false
}

// Repeated ends a repeat that TryRepeat began.
func (b *Budget) Repeated() { b.repeating.Add(-1) }

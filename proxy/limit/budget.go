// Package limit bounds what a sidecar takes on at once. It only counts: who is
// refused or held back, and how that is said, is the caller's. Everything here is
// lock-free and safe for concurrent use.
package limit

import "sync/atomic"

// Budget is a number of things and a number of bytes that may be in use at once.
type Budget struct {
	maxCount int64
	maxBytes int64
	count    atomic.Int64
	bytes    atomic.Int64
}

// NewBudget allows count things of bytes bytes in all; zero or less means no bound.
func NewBudget(count, bytes int64) *Budget { return &Budget{maxCount: count, maxBytes: bytes} }

// TryTake takes one thing of size bytes and reports whether there was room. A thing
// larger than the whole budget is let through when nothing else is in use, so that
// it is slow rather than impossible.
func (b *Budget) TryTake(size int64) bool { return b.take(size, b.maxBytes) }

// TryTakeOf is TryTake within one part of the bytes, of so many parts: it leaves the
// other parts to those who call TryTake.
func (b *Budget) TryTakeOf(size, parts int64) bool { return b.take(size, b.maxBytes/parts) }

func (b *Budget) take(size, most int64) bool {
	count, bytes := b.count.Add(1), b.bytes.Add(size)
	fits := (b.maxCount <= 0 || count <= b.maxCount) && (b.maxBytes <= 0 || bytes <= most)
	if fits || count == 1 {
		return true
	}
	b.Give(size)
	return false
}

// Give returns one thing of size bytes that TryTake took.
func (b *Budget) Give(size int64) {
	b.count.Add(-1)
	b.bytes.Add(-size)
}

// InUse returns what is taken. It may for a moment include a take that is about to
// be refused.
func (b *Budget) InUse() (count, bytes int64) { return b.count.Load(), b.bytes.Load() }

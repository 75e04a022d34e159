// Package pace bounds how often something may happen: a token bucket, and a log
// that stays short however often its message comes. Both are safe for concurrent
// use.
package pace

import (
	"math"
	"sync"
	"time"
)

// Bucket holds up to burst tokens and gets perSecond of them back each second. It
// starts full.
type Bucket struct {
	perSecond float64
	burst     float64

	mu     sync.Mutex // guards what follows
	tokens float64    // below zero: so many were reserved ahead
	at     time.Time  // when tokens was right; zero before the first use
}

// NewBucket builds a bucket. Both bounds must be above zero.
func NewBucket(perSecond, burst float64) *Bucket {
	return &Bucket{perSecond: perSecond, burst: burst, tokens: burst}
}

// TryTake takes a token and reports whether there was one.
func (b *Bucket) TryTake(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refill(now)
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// Reserve takes n tokens, even those that are still to come, and returns how long
// the caller must wait until they have: callers are served in the order in which
// they reserve.
func (b *Bucket) Reserve(now time.Time, n int) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refill(now)
	b.tokens -= float64(n)
	if b.tokens >= 0 {
		return 0
	}
	return time.Duration(math.Ceil(-b.tokens / b.perSecond * float64(time.Second)))
}

// Return gives a token back that turned out not to be needed.
func (b *Bucket) Return() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens = min(b.tokens+1, b.burst)
}

// refill adds what came since the last use. b.mu is held.
func (b *Bucket) refill(now time.Time) {
	if !b.at.IsZero() && now.After(b.at) {
		b.tokens = min(b.tokens+now.Sub(b.at).Seconds()*b.perSecond, b.burst)
	}
	if now.After(b.at) {
		b.at = now
	}
}

package balance

import (
	"sync"
	"sync/atomic"
	"time"
)

// Outlier notices that a node fails one publish after the other, and decides for how
// long the node is avoided:
//
//	                5 failures in a row
//	trusted ────────────────────────────▶ avoided for n × 1 s, at most 30 s
//	   ▲                                      │
//	   └──────────── its time is up ──────────┘
//
// n is how often that happened without half a minute free of it between. A node whose
// process is stopped, or behind a half-open connection, looks connected until a
// watchdog notices; until then only its failures show it. Times are durations since a
// moment of the caller's choice, so that setting the clock changes nothing. The zero
// value trusts; it is safe for concurrent use.
type Outlier struct {
	failures atomic.Uint32 // in a row
	until    atomic.Int64  // a time.Duration; 0 when never avoided yet

	mu    sync.Mutex
	times int64 // guarded by mu; n of the last time
}

const (
	outlierFailures = 5
	outlierBase     = time.Second
	outlierMax      = 30 * time.Second
)

// Avoid reports whether another node is to be preferred now.
func (o *Outlier) Avoid(now time.Duration) bool { return int64(now) < o.until.Load() }

// MayAvoid is Avoid without a clock: false means that Avoid is false at any time.
func (o *Outlier) MayAvoid() bool { return o.until.Load() != 0 }

// Succeeded ends a row of failures.
func (o *Outlier) Succeeded() {
	if o.failures.Load() != 0 {
		o.failures.Store(0)
	}
}

// Failed counts a failure. It returns for how long the node is avoided when this one
// made it so, else 0. What fails while the node is avoided was begun before, and does
// not count.
func (o *Outlier) Failed(now time.Duration) time.Duration {
	if o.Avoid(now) || o.failures.Add(1) < outlierFailures {
		return 0
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.Avoid(now) {
		return 0
	}
	if now-time.Duration(o.until.Load()) > outlierMax {
		o.times = 0
	}
	o.times++
	d := min(time.Duration(o.times)*outlierBase, outlierMax)
	o.failures.Store(0)
	o.until.Store(int64(now + d))
	return d
}

// Package ledger is what a sidecar remembers of deliveries beyond the stream they went out
// on: attempts that have no outcome yet, events that the service acknowledged, and what
// became a dead letter. It is written by whoever settles, and asked before an event is
// handed out:
//
//	a delivery ──▶ Attempts.Claim, Acknowledged.Has ──▶ the service
//	                    ▲               ▲                   │
//	                    └─ Attempts, ───┴─ Acknowledged, ───┴─▶ Reports ──▶ the log, operators
//
// It settles nothing, and all of it is in memory: a restart forgets it. Everything in it is
// bounded and safe for concurrent use.
package ledger

import (
	"sync"

	"github.com/warrenmesh/warren/mesh"
)

// Ledger is a sidecar's. The zero value is empty.
type Ledger struct {
	Attempts Attempts
	Reports  Reports

	mu           sync.Mutex
	acknowledged map[mesh.Name]*Acknowledged // guarded by mu
}

// Acknowledged returns what the service acknowledged of a subscription. It outlives
// streams.
func (l *Ledger) Acknowledged(sub mesh.Name) *Acknowledged {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.acknowledged[sub]
	if a == nil {
		if l.acknowledged == nil {
			l.acknowledged = map[mesh.Name]*Acknowledged{}
		}
		a = &Acknowledged{}
		l.acknowledged[sub] = a
	}
	return a
}

// Package bell tells any number of waiters that something has changed.
package bell

import "sync"

// Bell rings for all who wait. The zero value is ready. It is safe for concurrent use.
//
//	for {
//		rung := b.Rung() // before the look: a change after it is not missed
//		if look() {
//			return
//		}
//		<-rung
//	}
type Bell struct {
	mu   sync.Mutex
	rung chan struct{} // guarded by mu; closed and replaced by Ring, nil while nobody has asked for it
}

// Rung returns a channel that the next Ring closes.
func (b *Bell) Rung() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rung == nil {
		b.rung = make(chan struct{})
	}
	return b.rung
}

// Ring wakes all who wait now. It does not block.
func (b *Bell) Ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rung != nil {
		close(b.rung)
		b.rung = nil
	}
}

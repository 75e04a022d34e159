package membroker

import (
	"context"
	"maps"
	"slices"
	"sync"
)

// hold is one period in which confirms are withheld; done ends it.
type hold struct {
	done chan struct{}
}

// Interrupt cuts every node from the broker, as a lost connection would: pending
// receipts fail with Closed, unsettled deliveries go back to their queues, and the
// nodes come back with later epochs. It returns when the old epochs are dead.
func (b *Broker) Interrupt() {
	for _, s := range b.attached() {
		s.close()
	}
}

// Interrupt cuts this node alone from its broker; see Broker.Interrupt.
func (n *Node) Interrupt() {
	if s := n.live(); s != nil {
		s.close()
	}
}

// Outage cuts every node and keeps them down until end is called, which is
// idempotent. Several outages may overlap.
func (b *Broker) Outage() (end func()) {
	b.mu.Lock()
	b.down++
	if b.up == nil {
		b.up = make(chan struct{})
	}
	b.mu.Unlock()
	b.Interrupt()
	return sync.OnceFunc(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.down--; b.down == 0 {
			close(b.up)
			b.up = nil
		}
	})
}

// Alarm makes every publish fail with Blocked, as a broker short of memory does,
// until end is called, which is idempotent. Consumers go on.
func (b *Broker) Alarm() (end func()) {
	b.alarm(1)
	return sync.OnceFunc(func() { b.alarm(-1) })
}

// alarm counts alarms and tells the nodes.
func (b *Broker) alarm(change int32) {
	b.blocked.Add(change)
	for _, s := range b.attached() {
		s.node.options.OnState()
	}
}

// attached returns the sessions of all nodes that are up.
func (b *Broker) attached() []*session {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return slices.Collect(maps.Keys(b.sessions))
}

// HoldConfirms withholds the confirms of all publishes from now on, until release
// is called, which is idempotent. The messages themselves are queued and can be
// consumed. A second hold ends the first.
func (b *Broker) HoldConfirms() (release func()) {
	h := &hold{done: make(chan struct{})}
	if old := b.hold.Swap(h); old != nil {
		close(old.done)
	}
	return func() {
		if b.hold.CompareAndSwap(h, nil) {
			close(h.done)
		}
	}
}

// awaitUp blocks while an outage is in force, at most until ctx ends.
func (b *Broker) awaitUp(ctx context.Context) error {
	for {
		b.mu.RLock()
		up := b.up
		b.mu.RUnlock()
		if up == nil {
			return ctx.Err()
		}
		select {
		case <-up:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

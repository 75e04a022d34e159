// Package faulty is the in-process broker with faults, for tests. No product links it.
//
//	b := faulty.New(membroker.Options{})
//	end := b.Outage()
package faulty

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/warrenmesh/warren/proxy/broker/membroker"
)

// Broker is a membroker.Broker to which something can happen. All methods act at once on
// all its nodes, and are safe for concurrent use.
type Broker struct {
	*membroker.Broker
	faults *faults
}

// New makes an empty broker that works. options.Faults is not looked at.
func New(options membroker.Options) *Broker {
	f := &faults{connections: map[membroker.Connection]struct{}{}}
	options.Faults = f
	return &Broker{membroker.New(options), f}
}

// Interrupt cuts every node from the broker, as a lost connection would: pending
// unconfirmed publishes fail with Closed, unsettled deliveries go back to their queues, and the
// nodes come back with later epochs. It returns when the old epochs are dead.
func (b *Broker) Interrupt() {
	for _, c := range b.faults.list() {
		c.Cut()
	}
}

// InterruptNode cuts n alone; see Interrupt.
func (b *Broker) InterruptNode(n *membroker.Node) {
	for _, c := range b.faults.list() {
		if c.Node() == n {
			c.Cut()
		}
	}
}

// Outage cuts every node and keeps them down until end is called, which is
// idempotent. Several outages may overlap.
func (b *Broker) Outage() (end func()) {
	f := b.faults
	f.mu.Lock()
	f.down++
	if f.up == nil {
		f.up = make(chan struct{})
	}
	f.mu.Unlock()
	b.Interrupt()
	return sync.OnceFunc(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.down--; f.down == 0 {
			close(f.up)
			f.up = nil
		}
	})
}

// Alarm makes every publish fail with Blocked, as a broker short of memory does,
// until end is called, which is idempotent. Consumers go on.
func (b *Broker) Alarm() (end func()) {
	b.faults.alarm(1)
	return sync.OnceFunc(func() { b.faults.alarm(-1) })
}

// HoldConfirms withholds the confirms of all publishes from now on, until release
// is called, which is idempotent. The messages themselves are queued and can be
// consumed. A second hold ends the first.
func (b *Broker) HoldConfirms() (release func()) {
	f, held := b.faults, make(chan struct{})
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.held != nil {
		close(f.held)
	}
	f.held = held
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.held == held {
			close(held)
			f.held = nil
		}
	}
}

// faults implements membroker.Faults.
type faults struct {
	mu          sync.Mutex // guards what follows
	connections map[membroker.Connection]struct{}
	down        int           // outages in force
	up          chan struct{} // closed when the last outage ends; nil when there is none
	alarms      int           // in force
	held        chan struct{} // closed when confirms flow again; nil while they do
}

func (f *faults) list() []membroker.Connection {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Collect(maps.Keys(f.connections))
}

func (f *faults) alarm(change int) {
	f.mu.Lock()
	f.alarms += change
	f.mu.Unlock()
	for _, c := range f.list() {
		c.Changed()
	}
}

// AwaitUp implements membroker.Faults.
func (f *faults) AwaitUp(ctx context.Context) error {
	for {
		f.mu.Lock()
		up := f.up
		f.mu.Unlock()
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

// Attached implements membroker.Faults.
func (f *faults) Attached(c membroker.Connection) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.connections[c] = struct{}{}
	return f.down == 0
}

// Detached implements membroker.Faults.
func (f *faults) Detached(c membroker.Connection) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.connections, c)
}

// Blocked implements membroker.Faults.
func (f *faults) Blocked() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.alarms > 0
}

// Held implements membroker.Faults.
func (f *faults) Held() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.held == nil {
		return nil
	}
	return f.held
}

package deliver

import (
	"sync"
	"sync/atomic"

	"github.com/warrenmesh/warren/proxy/broker"
)

// poisonLimit is how often the broker may take an event back unsettled before it
// is dead-lettered whatever else is known: it may be what kills this sidecar. It is
// high, because everything prefetched behind a bad event is taken back with it.
const poisonLimit = 100

// maxUnfinished bounds the events remembered; the oldest are forgotten first, and
// then have their attempts counted anew.
const maxUnfinished = 10_000

// unfinished counts the attempts that ended with the service's stream instead of
// an outcome, for example because the event crashed it. The broker's own count
// cannot serve: it also grows for what was only prefetched and never seen. It is
// kept in memory, so a crash of the sidecar forgets it, and poisonLimit stands in.
// It is safe for concurrent use.
type unfinished struct {
	mu     sync.Mutex
	some   atomic.Bool         // there are counts; saves the lock while there are none
	counts map[eventKey]uint32 // guarded by mu
	order  []eventKey          // guarded by mu; oldest first, may name forgotten keys
}

// eventKey is an event in a queue; source and id make it unique.
type eventKey struct{ queue, source, id string }

func keyOf(d *broker.Delivery) eventKey { return eventKey{d.Queue, d.Event.Source, d.Event.ID} }

func (u *unfinished) add(d *broker.Delivery) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.counts == nil {
		u.counts = map[eventKey]uint32{}
	}
	key := keyOf(d)
	if _, known := u.counts[key]; !known {
		u.order = append(u.order, key)
	}
	u.counts[key]++
	u.some.Store(true)
	for len(u.order) > maxUnfinished {
		delete(u.counts, u.order[0])
		u.order = u.order[1:]
	}
}

// of returns the count of d.
func (u *unfinished) of(d *broker.Delivery) uint32 {
	if !u.some.Load() {
		return 0
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.counts[keyOf(d)]
}

// forget drops the count of an event that has its outcome.
func (u *unfinished) forget(d *broker.Delivery) {
	if !u.some.Load() || d.Event == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.counts, keyOf(d))
	if len(u.counts) == 0 {
		u.some.Store(false)
		u.order = nil
	}
}

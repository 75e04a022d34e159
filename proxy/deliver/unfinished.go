package deliver

import (
	"container/list"
	"sync"
	"sync/atomic"
	"time"

	"github.com/warrenmesh/warren/proxy/broker"
)

// poisonLimit is how often the broker may take an event back unsettled before it
// is dead-lettered whatever else is known: it may be what kills this sidecar. It is
// high, because everything prefetched behind a bad event is taken back with it.
const poisonLimit = 100

const (
	// maxUnfinished bounds the events remembered; the oldest are forgotten first, and
	// then have their attempts counted anew.
	maxUnfinished = 10_000
	// unfinishedFor is how long one is remembered after its last attempt. It may have
	// been settled by another sidecar, and a later event may have its id.
	unfinishedFor = time.Hour
)

// unfinished remembers the attempts of events that are still in their queue: those
// that ended with the service's stream instead of an outcome, for example because
// the event crashed it, and those of ordered events, which wait for the next one
// unsettled. Of events that the broker makes wait it knows when the first one
// failed. The broker's own count cannot serve: it also grows for what was only
// prefetched and never seen. It is kept in memory, so a crash of the sidecar
// forgets it, and poisonLimit stands in. It is safe for concurrent use.
type unfinished struct {
	mu     sync.Mutex
	some   atomic.Bool                // there are some; saves the lock while there are none
	events map[eventKey]*list.Element // guarded by mu; in order
	order  list.List                  // guarded by mu; *attempt, that of the oldest event first
}

// attempt is what is known of an event's last attempt.
type attempt struct {
	key    eventKey
	number uint32
	first  time.Time // when the first one failed
	ended  time.Time
	due    time.Time // when the next one may begin; zero means at once
	// crashes counts the attempts in which the service went away with the event in
	// its hands, whoever's fault that was.
	crashes uint32
}

// eventKey is an event in a queue; source and id make it unique.
type eventKey struct{ queue, source, id string }

func keyOf(d *broker.Delivery) eventKey { return eventKey{d.Queue, d.Event.Source, d.Event.ID} }

// add counts an attempt of d that ended now. The next may begin when due.
func (u *unfinished) add(d *broker.Delivery, now, due time.Time) {
	u.update(d, now, func(a *attempt) { a.number, a.due = a.number+1, due })
}

// crashed counts one that ended with the service.
func (u *unfinished) crashed(d *broker.Delivery, now time.Time) {
	u.update(d, now, func(a *attempt) { a.number, a.due, a.crashes = a.number+1, time.Time{}, a.crashes+1 })
}

// failed notes when d failed first, for a broker that counts its attempts and keeps
// nothing else of them.
func (u *unfinished) failed(d *broker.Delivery, first time.Time) {
	u.update(d, time.Now(), func(a *attempt) { a.first = first })
}

// suspect notes that the service went away in an attempt that goes on.
func (u *unfinished) suspect(d *broker.Delivery, now time.Time) {
	u.update(d, now, func(a *attempt) { a.crashes++ })
}

func (u *unfinished) update(d *broker.Delivery, now time.Time, change func(*attempt)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.events == nil {
		u.events = map[eventKey]*list.Element{}
	}
	key := keyOf(d)
	el := u.events[key]
	if el == nil {
		el = u.order.PushBack(&attempt{key: key, first: now})
		u.events[key] = el
	}
	a, _ := el.Value.(*attempt)
	a.ended = now
	change(a)
	u.some.Store(true)
	if u.order.Len() > maxUnfinished {
		u.remove(u.order.Front())
	}
}

// of returns the last attempt of d, the zero value when none is known.
func (u *unfinished) of(d *broker.Delivery, now time.Time) attempt {
	if !u.some.Load() || d.Event == nil {
		return attempt{}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	el := u.events[keyOf(d)]
	if el == nil {
		return attempt{}
	}
	a, _ := el.Value.(*attempt)
	if now.Sub(a.ended) > unfinishedFor {
		return attempt{}
	}
	return *a
}

// forget drops an event that has its outcome.
func (u *unfinished) forget(d *broker.Delivery) { u.settle(d, false) }

// carried drops the count of an event that goes on as a copy with its number. That
// it is suspected is kept.
func (u *unfinished) carried(d *broker.Delivery) { u.settle(d, true) }

func (u *unfinished) settle(d *broker.Delivery, goesOn bool) {
	if !u.some.Load() || d.Event == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if el := u.events[keyOf(d)]; el != nil {
		if a, _ := el.Value.(*attempt); goesOn && a.crashes > 0 {
			a.number = 0
		} else {
			u.remove(el)
		}
	}
	u.some.Store(u.order.Len() > 0)
}

// remove is called with mu held.
func (u *unfinished) remove(el *list.Element) {
	a, _ := u.order.Remove(el).(*attempt)
	delete(u.events, a.key)
}

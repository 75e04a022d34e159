package deliver

import (
	"container/list"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

// poisonLimit is how often the broker may take an event back unsettled before it
// is dead-lettered whatever else is known: it may be what kills this sidecar. It is
// high, because everything prefetched behind a bad event is taken back with it.
const poisonLimit = 100

const (
	// maxEntries bounds a ledger; the oldest entries are forgotten first, and those
	// messages then have their attempts counted anew.
	maxEntries = 10_000
	// keptFor is how long an entry is kept. Its message may have been settled by
	// another sidecar.
	keptFor = time.Hour
)

// ledger remembers attempts whose message is still in its queue: those that ended with
// the service's stream instead of an outcome, for example because the event crashed it,
// those of ordered events, which wait for the next one unsettled, and those of events
// that the broker makes wait. The broker's own count cannot serve: it also grows for
// what was only prefetched and never seen. A copy needs no entry, because it carries
// what is known with it.
//
// An entry is one message's. Messages may be alike, with one id or none of their own, so
// an entry is not found by id alone: a message that was handed out before claims one
// entry that fits it, which is nobody else's from then on, until the message is settled
// or its channel ends:
//
//	           claim                       settled
//	free ─────────────────────▶ claimed ─────────────▶ gone
//	  ▲                            │
//	  └── crashed, failed, ended ──┘
//
// The ledger is kept in memory, so a crash of the sidecar forgets it, and poisonLimit
// stands in. It is safe for concurrent use. The zero value is empty.
type ledger struct {
	some atomic.Bool // there are some; saves the lock while there are none

	mu      sync.Mutex
	free    map[likeness][]*entry // guarded by mu; oldest first
	claimed map[holder]*entry     // guarded by mu
	order   list.List             // guarded by mu; all entries, in the order of their last change
}

// entry is what is known of a message's attempts.
type entry struct {
	like    likeness
	holder  holder // the zero value while it is free
	was     holder // the last that it was, once it is free
	next    uint32 // the number of the next attempt
	crashes uint32 // attempts in which the service went away with the event in its hands
	first   time.Time
	due     time.Time // when the next attempt may begin; zero means at once
	changed time.Time
	// returned is how often the broker had taken the message back, where it counts.
	returned uint32
	place    *list.Element
}

// likeness is what messages have in common that cannot be told apart.
type likeness struct {
	queue string
	hash  uint64
}

// holder is a delivery that has an entry.
type holder struct {
	settler *settler
	queue   string
	epoch   uint64
	tag     uint64
}

var likenessSeed = maphash.MakeSeed()

func likenessOf(d *delivery) likeness {
	var h maphash.Hash
	h.SetSeed(likenessSeed)
	for _, s := range [...]string{d.Event.Source, d.Event.ID, d.Event.Type, d.Exchange, d.RoutingKey} {
		_, _ = h.WriteString(s)
		_ = h.WriteByte(0)
	}
	_, _ = h.Write(d.Raw)
	return likeness{d.Queue, h.Sum64()}
}

// claim gives d what is known of its earlier attempts, and returns when the next may
// begin. It does nothing for a message that was never handed out before.
func (l *ledger) claim(st *settler, d *delivery, now time.Time) (due time.Time) {
	if !l.some.Load() || !d.Returning || d.Event == nil {
		return time.Time{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	like := likenessOf(d)
	e := fitting(l.free[like], d)
	if e == nil {
		return time.Time{}
	}
	if now.Sub(e.changed) > keptFor {
		l.drop(e)
		return time.Time{}
	}
	l.take(e)
	l.hold(e, st, d)
	d.Attempt, d.Crashes = e.next, max(e.crashes, d.Crashes)
	if d.FirstFailure.IsZero() {
		d.FirstFailure = e.first
	}
	return e.due
}

// fitting chooses among entries of messages like d. Where the broker counts what it took
// back, an entry's message has come back since; the one that has least often fits best.
func fitting(entries []*entry, d *delivery) *entry {
	var best *entry
	for _, e := range entries {
		if d.Returned > 0 && e.returned >= d.Returned {
			continue
		}
		if best == nil || e.returned > best.returned {
			best = e
		}
	}
	return best
}

// attempted notes that an attempt of d, which goes on waiting in its place, has failed.
// The next may begin when due.
func (l *ledger) attempted(st *settler, d *delivery, now, due time.Time) {
	l.note(st, d, now, func(e *entry) { e.next, e.due, e.crashes = d.Attempt+1, due, d.Crashes }, true)
}

// crashed counts an attempt of d, which goes back to its queue, that ended with the
// service.
func (l *ledger) crashed(st *settler, d *delivery, now time.Time) {
	l.note(st, d, now, func(e *entry) { e.next, e.due, e.crashes = d.Attempt+1, time.Time{}, d.Crashes+1 }, false)
}

// failed notes that an attempt of d failed, which the broker takes back and makes wait.
func (l *ledger) failed(st *settler, d *delivery, now time.Time) {
	l.note(st, d, now, func(e *entry) { e.next, e.due, e.crashes = d.Attempt+1, time.Time{}, d.Crashes }, false)
}

// note changes d's entry, which it makes if there is none. held says that d keeps it.
func (l *ledger) note(st *settler, d *delivery, now time.Time, change func(*entry), held bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.free == nil {
		l.free, l.claimed = map[likeness][]*entry{}, map[holder]*entry{}
	}
	e := l.own(st, d)
	if e.first.IsZero() {
		e.first = now
	}
	e.changed, e.returned = now, d.Returned
	change(e)
	l.order.MoveToBack(e.place)
	if !held {
		l.release(e)
	}
	l.some.Store(true)
	if oldest, _ := l.first(); l.order.Len() > maxEntries {
		l.drop(oldest)
	}
}

// settled forgets d, which has its outcome or goes on as a copy.
func (l *ledger) settled(st *settler, d *delivery) {
	if !l.some.Load() || d.Event == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.claimed[holderOf(st, d)]; e != nil {
		l.drop(e)
	}
	if oldest, ok := l.first(); ok && oldest.holder == (holder{}) && time.Since(oldest.changed) > keptFor {
		l.drop(oldest)
	}
}

// unsettled frees d's entry, unchanged: d goes back to its queue without an attempt.
func (l *ledger) unsettled(st *settler, d *delivery) {
	l.back(func(h holder) bool { return h == holderOf(st, d) })
}

// ended frees the entries of all that a channel gave and that is not settled.
func (l *ledger) ended(st *settler, queue string, epoch uint64) {
	l.back(func(h holder) bool { return h.settler == st && h.queue == queue && h.epoch == epoch })
}

// gone frees the entries of all that a settler was given.
func (l *ledger) gone(st *settler) { l.back(func(h holder) bool { return h.settler == st }) }

func (l *ledger) back(which func(holder) bool) {
	if !l.some.Load() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for h, e := range l.claimed {
		if which(h) {
			l.release(e)
		}
	}
}

func holderOf(st *settler, d *delivery) holder { return holder{st, d.Queue, d.Epoch, d.Tag} }

// The rest is called with mu held.

// own returns the entry of d, a new one if it has none. It may be free already, because
// d's channel has ended.
func (l *ledger) own(st *settler, d *delivery) *entry {
	h, like := holderOf(st, d), likenessOf(d)
	e := l.claimed[h]
	for _, free := range l.free[like] {
		if e == nil && free.was == h {
			e = free
			l.take(e)
		}
	}
	if e == nil {
		e = &entry{like: like, first: d.FirstFailure}
		e.place = l.order.PushBack(e)
	}
	l.hold(e, st, d)
	return e
}

// hold makes e that of d.
func (l *ledger) hold(e *entry, st *settler, d *delivery) {
	e.holder = holderOf(st, d)
	l.claimed[e.holder] = e
}

// release makes a claimed e free.
func (l *ledger) release(e *entry) {
	delete(l.claimed, e.holder)
	e.was, e.holder = e.holder, holder{}
	l.free[e.like] = append(l.free[e.like], e)
}

// first returns the entry that has not changed for longest.
func (l *ledger) first() (*entry, bool) {
	front := l.order.Front()
	if front == nil {
		return nil, false
	}
	e, ok := front.Value.(*entry)
	return e, ok
}

// take removes e from those that are free.
func (l *ledger) take(e *entry) {
	like := l.free[e.like]
	for i := range like {
		if like[i] == e {
			like = append(like[:i:i], like[i+1:]...)
			break
		}
	}
	if l.free[e.like] = like; len(like) == 0 {
		delete(l.free, e.like)
	}
}

// drop forgets e, free or claimed.
func (l *ledger) drop(e *entry) {
	if e.holder == (holder{}) {
		l.take(e)
	} else {
		delete(l.claimed, e.holder)
	}
	l.remove(e)
}

func (l *ledger) remove(e *entry) {
	l.order.Remove(e.place)
	l.some.Store(l.order.Len() > 0)
}

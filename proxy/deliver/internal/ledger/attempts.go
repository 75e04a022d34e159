package ledger

import (
	"container/list"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/warrenmesh/warren/proxy/broker"
)

const (
	// maxEntries bounds Attempts; the oldest entries are forgotten first, and those
	// messages then have their attempts counted anew.
	maxEntries = 10_000
	// keptFor is how long an entry is kept. Its message may have been settled by
	// another sidecar.
	keptFor = time.Hour
)

// Attempts remembers attempts whose message is still with the broker: those that ended with
// the service's stream instead of an outcome, for example because the event crashed it,
// those of ordered events, which wait for the next one unsettled, and those of events
// that the broker makes wait. The broker's own count cannot serve: it also grows for
// what was only prefetched and never seen. A copy needs no entry, because it carries
// what is known with it.
//
// An entry is one message's. Messages may be alike, with one id or none of their own, so
// an entry is not found by id alone: a message that was handed out before claims one
// entry that fits it, which is nobody else's from then on, until the message is settled
// or its epoch ends:
//
//	           claim                       settled
//	free ─────────────────────▶ claimed ─────────────▶ gone
//	  ▲                            │
//	  └── crashed, failed, ended ──┘
//
// They are kept in memory, so a crash of the sidecar forgets them, and a limit of how often
// the broker may take an event back stands in. It is safe for concurrent use. The zero
// value is empty.
type Attempts struct {
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
	part string
	hash uint64
}

// holder is a delivery that has an entry. Its owner is the stream or worker that received it,
// by a name that is unique in this process.
type holder struct {
	owner string
	part  string
	epoch uint64
	tag   uint64
}

var likenessSeed = maphash.MakeSeed()

func likenessOf(d *broker.Delivery) likeness {
	var h maphash.Hash
	h.SetSeed(likenessSeed)
	for _, s := range [...]string{d.Event.Source, d.Event.ID, d.Event.Type, d.Origin.Name, d.Origin.Key} {
		_, _ = h.WriteString(s)
		_ = h.WriteByte(0)
	}
	_, _ = h.Write(d.Raw)
	return likeness{d.Part, h.Sum64()}
}

// Claim gives d what is known of its earlier attempts, and returns when the next may
// begin. It does nothing for a message that was never handed out before.
func (l *Attempts) Claim(owner string, d *broker.Delivery, now time.Time) (due time.Time) {
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
	l.hold(e, owner, d)
	d.Attempt, d.Crashes = e.next, max(e.crashes, d.Crashes)
	if d.FirstFailure.IsZero() {
		d.FirstFailure = e.first
	}
	return e.due
}

// fitting chooses among entries of messages like d. Where the broker counts what it took
// back, an entry's message has come back since; the one that has least often fits best.
func fitting(entries []*entry, d *broker.Delivery) *entry {
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

// Attempted notes that an attempt of d, which goes on waiting in its place, has failed.
// The next may begin when due.
func (l *Attempts) Attempted(owner string, d *broker.Delivery, now, due time.Time) {
	l.note(owner, d, now, func(e *entry) { e.next, e.due, e.crashes = d.Attempt+1, due, d.Crashes }, true)
}

// Crashed counts an attempt of d, which goes back, that ended with the
// service.
func (l *Attempts) Crashed(owner string, d *broker.Delivery, now time.Time) {
	l.note(owner, d, now, func(e *entry) { e.next, e.due, e.crashes = d.Attempt+1, time.Time{}, d.Crashes+1 }, false)
}

// Failed notes that an attempt of d failed, which the broker takes back and makes wait.
func (l *Attempts) Failed(owner string, d *broker.Delivery, now time.Time) {
	l.note(owner, d, now, func(e *entry) { e.next, e.due, e.crashes = d.Attempt+1, time.Time{}, d.Crashes }, false)
}

// note changes d's entry, which it makes if there is none. held says that d keeps it.
func (l *Attempts) note(owner string, d *broker.Delivery, now time.Time, change func(*entry), held bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.free == nil {
		l.free, l.claimed = map[likeness][]*entry{}, map[holder]*entry{}
	}
	e := l.own(owner, d)
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

// Settled forgets d, which has its outcome or goes on as a copy.
func (l *Attempts) Settled(owner string, d *broker.Delivery) {
	if !l.some.Load() || d.Event == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.claimed[holderOf(owner, d)]; e != nil {
		l.drop(e)
	}
	if oldest, ok := l.first(); ok && oldest.holder == (holder{}) && time.Since(oldest.changed) > keptFor {
		l.drop(oldest)
	}
}

// Unsettled frees d's entry, unchanged: d goes back without an attempt.
func (l *Attempts) Unsettled(owner string, d *broker.Delivery) {
	l.back(func(h holder) bool { return h == holderOf(owner, d) })
}

// Ended frees the entries of all that came in an epoch and is not settled.
func (l *Attempts) Ended(owner string, part string, epoch uint64) {
	l.back(func(h holder) bool { return h.owner == owner && h.part == part && h.epoch == epoch })
}

// Gone frees the entries of all that an owner was given.
func (l *Attempts) Gone(owner string) { l.back(func(h holder) bool { return h.owner == owner }) }

func (l *Attempts) back(which func(holder) bool) {
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

func holderOf(owner string, d *broker.Delivery) holder { return holder{owner, d.Part, d.Epoch, d.Tag} }

// The rest is called with mu held.

// own returns the entry of d, a new one if it has none. It may be free already, because
// d's epoch is over.
func (l *Attempts) own(owner string, d *broker.Delivery) *entry {
	h, like := holderOf(owner, d), likenessOf(d)
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
	l.hold(e, owner, d)
	return e
}

// hold makes e that of d.
func (l *Attempts) hold(e *entry, owner string, d *broker.Delivery) {
	e.holder = holderOf(owner, d)
	l.claimed[e.holder] = e
}

// release makes a claimed e free.
func (l *Attempts) release(e *entry) {
	delete(l.claimed, e.holder)
	e.was, e.holder = e.holder, holder{}
	l.free[e.like] = append(l.free[e.like], e)
}

// first returns the entry that has not changed for longest.
func (l *Attempts) first() (*entry, bool) {
	front := l.order.Front()
	if front == nil {
		return nil, false
	}
	e, ok := front.Value.(*entry)
	return e, ok
}

// take removes e from those that are free.
func (l *Attempts) take(e *entry) {
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
func (l *Attempts) drop(e *entry) {
	if e.holder == (holder{}) {
		l.take(e)
	} else {
		delete(l.claimed, e.holder)
	}
	l.remove(e)
}

func (l *Attempts) remove(e *entry) {
	l.order.Remove(e.place)
	l.some.Store(l.order.Len() > 0)
}

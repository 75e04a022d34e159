package ledger

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/warrenmesh/warren/mesh"
)

// DeadLetters counts the dead letters of one subscription for one reason, since this
// sidecar began.
type DeadLetters struct {
	Kind
	Count  uint64
	Last   time.Time
	LastID string // of the event, or of the message that is none
}

// Reports are what dead letters were counted and told, by subscription and reason. There
// are few reasons, so it stays small. The zero value is empty. It is safe for concurrent
// use.
type Reports struct {
	mu sync.Mutex
	by map[Kind]*reportEntry // guarded by mu
}

// Kind is what dead letters are told apart by.
type Kind struct {
	Subscription mesh.Name
	Reason       string
	// ByBroker says that the broker made them by itself, as a policy on it told it:
	// Warren asked for nothing of the kind.
	ByBroker bool
}

type reportEntry struct {
	DeadLetters
	told   time.Time
	toldAt uint64 // Count then
}

// Add counts one, and returns how many there are since the log was told last; 0 when it
// is not to be told now.
func (r *Reports) Add(k Kind, id string, now time.Time, every time.Duration) (news uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by == nil {
		r.by = map[Kind]*reportEntry{}
	}
	e := r.by[k]
	if e == nil {
		e = &reportEntry{DeadLetters: DeadLetters{Kind: k}}
		r.by[k] = e
	}
	e.Count++
	e.Last, e.LastID = now, id
	if !e.told.IsZero() && now.Sub(e.told) < every {
		return 0
	}
	news = e.Count - e.toldAt
	e.told, e.toldAt = now, e.Count
	return news
}

// List returns all counts, by subscription and reason.
func (r *Reports) List() []DeadLetters {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]DeadLetters, 0, len(r.by))
	for _, e := range r.by {
		out = append(out, e.DeadLetters)
	}
	slices.SortFunc(out, func(a, b DeadLetters) int {
		return cmp.Or(cmp.Compare(a.Subscription.String(), b.Subscription.String()), cmp.Compare(a.Reason, b.Reason))
	})
	return out
}

package deliver

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
	Subscription mesh.Name
	Reason       string
	// ByBroker says that the broker made them by itself, as a policy on it told it:
	// Warren asked for nothing of the kind.
	ByBroker bool
	Count    uint64
	Last     time.Time
	LastID   string // of the event, or of the message that is none
}

// DeadLetters lists what became a dead letter here, by subscription and reason.
func (s *Service) DeadLetters() []DeadLetters { return s.reports.list() }

// reports are what dead letters were counted and told, by subscription and reason. There
// are few reasons, so it stays small. The zero value is empty. It is safe for concurrent
// use.
type reports struct {
	mu sync.Mutex
	by map[reportKey]*reportEntry // guarded by mu
}

type reportKey struct {
	subscription mesh.Name
	reason       string
	byBroker     bool
}

type reportEntry struct {
	DeadLetters
	told   time.Time
	toldAt uint64 // Count then
}

// add counts one, and returns how many there are since the log was told last; 0 when it
// is not to be told now.
func (r *reports) add(k reportKey, id string, now time.Time, every time.Duration) (news uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by == nil {
		r.by = map[reportKey]*reportEntry{}
	}
	e := r.by[k]
	if e == nil {
		e = &reportEntry{DeadLetters: DeadLetters{Subscription: k.subscription, Reason: k.reason, ByBroker: k.byBroker}}
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

func (r *reports) list() []DeadLetters {
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

// report counts a dead letter, and logs it unless one of its kind was logged just now.
func (st *settler) report(d *delivery, reason, detail string) {
	id := idText(d)
	n := st.service.reports.add(reportKey{st.name, reason, false}, id, time.Now(), st.service.opts.ReportEvery)
	if n > 0 {
		st.service.opts.Logger.Warn("dead letters", "subscription", st.name.String(), "reason", reason, "count", n,
			"queue", d.sub.DeadLetterQueue, "event_id", clip(id), "detail", clip(detail))
	}
}

// idText names d to people.
func idText(d *delivery) string {
	if d.Event != nil {
		return d.Event.ID
	}
	return d.ID
}

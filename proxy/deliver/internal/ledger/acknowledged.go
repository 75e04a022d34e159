package ledger

import (
	"container/list"
	"crypto/sha256"
	"sync"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/event"
)

// defaultRemembered is how many events are remembered when nothing is said.
const defaultRemembered = 100_000

// eventID stands for an event's source and id. It is a hash so that what is
// remembered does not grow with their length, and a strong one, because another
// event with the same would be lost.
type eventID [16]byte

func idOf(e *event.Event) eventID {
	sum := sha256.Sum256([]byte(e.Source + "\x00" + e.ID))
	return eventID(sum[:16])
}

// Acknowledged remembers the events of a subscription that the service acknowledged, in
// memory: it makes repeats rarer within one sidecar's life, and no more. It is safe for
// concurrent use.
//
// golang-lru's expirable.LRU does not fit. Its TTL is fixed when it is built, but the window
// follows the configuration while the memory stays. It starts a goroutine that never ends,
// and it reads the clock itself.
type Acknowledged struct {
	mu    sync.Mutex
	seen  map[eventID]*list.Element // guarded by mu; in order
	order list.List                 // guarded by mu; sighting, oldest first
}

type sighting struct {
	id eventID
	at time.Time
}

// Add remembers e, and forgets what is too old or too much.
func (a *Acknowledged) Add(e *event.Event, now time.Time, bounds mesh.Dedupe) {
	id, most := idOf(e), int(bounds.MaxEntries)
	if most == 0 {
		most = defaultRemembered
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if el := a.seen[id]; el != nil {
		a.order.Remove(el)
	}
	if a.seen == nil {
		a.seen = map[eventID]*list.Element{}
	}
	a.seen[id] = a.order.PushBack(sighting{id, now})
	for a.order.Len() > most {
		a.forgetOldest()
	}
	a.expire(now, bounds.Window)
}

// Has reports whether e was added within the window.
func (a *Acknowledged) Has(e *event.Event, now time.Time, bounds mesh.Dedupe) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.expire(now, bounds.Window)
	_, ok := a.seen[idOf(e)]
	return ok
}

// expire is called with mu held.
func (a *Acknowledged) expire(now time.Time, window time.Duration) {
	for el := a.order.Front(); el != nil; el = a.order.Front() {
		if oldest, _ := el.Value.(sighting); now.Sub(oldest.at) <= window {
			return
		}
		a.forgetOldest()
	}
}

// forgetOldest is called with mu held.
func (a *Acknowledged) forgetOldest() {
	oldest, _ := a.order.Remove(a.order.Front()).(sighting)
	delete(a.seen, oldest.id)
}

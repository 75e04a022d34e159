package deliver

import (
	"container/list"
	"crypto/sha256"
	"sync"
	"time"

	"github.com/warrenmesh/warren/mesh"
)

// defaultRemembered is how many events an inbox remembers when nothing is said.
const defaultRemembered = 100_000

// suppressed acknowledges d unseen when the service acknowledged the same event
// within the subscription's window.
func (st *settler) suppressed(d *delivery) bool {
	dedupe := d.sub.Dedupe
	if dedupe.Window <= 0 || d.Event == nil || !st.service.inbox(st.name).has(idOf(d), time.Now(), dedupe) {
		return false
	}
	st.service.opts.Metrics.Deduplicated(st.measured(d))
	st.showSettled(d, effectAck, "the service acknowledged it before", time.Time{})
	st.ack(d)
	return true
}

// remember notes that the service acknowledged d, whether or not the broker hears
// of it: when it does not, it hands the event out again.
func (st *settler) remember(d *delivery) {
	if dedupe := d.sub.Dedupe; dedupe.Window > 0 {
		st.service.inbox(st.name).add(idOf(d), time.Now(), dedupe)
	}
}

// inbox returns what the service acknowledged of a subscription. It outlives
// streams.
func (s *Service) inbox(sub mesh.Name) *inbox {
	s.memory.Lock()
	defer s.memory.Unlock()
	b := s.inboxes[sub]
	if b == nil {
		b = &inbox{seen: map[eventID]*list.Element{}}
		s.inboxes[sub] = b
	}
	return b
}

// eventID stands for an event's source and id. It is a hash so that what is
// remembered does not grow with their length, and a strong one, because another
// event with the same would be lost.
type eventID [16]byte

func idOf(d *delivery) eventID {
	sum := sha256.Sum256([]byte(d.Event.Source + "\x00" + d.Event.ID))
	return eventID(sum[:16])
}

// inbox remembers acknowledged events, in memory: it makes repeats rarer within one
// sidecar's life, and no more. It is safe for concurrent use.
type inbox struct {
	mu    sync.Mutex
	seen  map[eventID]*list.Element // guarded by mu; in order
	order list.List                 // guarded by mu; sighting, oldest first
}

type sighting struct {
	id eventID
	at time.Time
}

// add remembers id, and forgets what is too old or too much.
func (b *inbox) add(id eventID, now time.Time, bounds mesh.Dedupe) {
	most := int(bounds.MaxEntries)
	if most == 0 {
		most = defaultRemembered
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if el := b.seen[id]; el != nil {
		b.order.Remove(el)
	}
	b.seen[id] = b.order.PushBack(sighting{id, now})
	for b.order.Len() > most {
		b.forgetOldest()
	}
	b.expire(now, bounds.Window)
}

// has reports whether id was added within the window.
func (b *inbox) has(id eventID, now time.Time, bounds mesh.Dedupe) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expire(now, bounds.Window)
	_, ok := b.seen[id]
	return ok
}

// expire is called with mu held.
func (b *inbox) expire(now time.Time, window time.Duration) {
	for el := b.order.Front(); el != nil; el = b.order.Front() {
		if oldest, _ := el.Value.(sighting); now.Sub(oldest.at) <= window {
			return
		}
		b.forgetOldest()
	}
}

// forgetOldest is called with mu held.
func (b *inbox) forgetOldest() {
	oldest, _ := b.order.Remove(b.order.Front()).(sighting)
	delete(b.seen, oldest.id)
}

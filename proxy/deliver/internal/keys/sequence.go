// Package keys keeps the order of a key: a Sequence has the events of a key wait for each
// other between the broker's parts and the service, and Held are the keys of which nothing
// more is handed out since one of their events became a dead letter.
//
//	what was received ──▶ Add ──▶ Take ──▶ the service ──▶ Done or Park
//
// A Sequence owns what has arrived and is not settled, and who is next: an event is handed
// out only when those before it are settled, and events of other keys pass meanwhile. It
// settles nothing and keeps no clock: the caller says what time it is. What it holds is
// bounded by the prefetch of the consumers that fill it. A Sequence is safe for concurrent
// use; Take is for one goroutine at a time.
//
//	seq.Add(d, key, now, time.Time{})
//	for {
//		d, next := seq.Take(time.Now())
//		if d == nil { ... wait for seq.Wake(), or until next ... }
//		... then one of seq.Done(d), seq.Park(d, again, due)
//	}
package keys

import (
	"container/heap"
	"sync"
	"time"
)

// Delivery is what stands in line. The caller gets back what it gave.
type Delivery interface {
	// Place says which delivery of which channel it is.
	Place() Place
}

// Place is a delivery's: of a part, in one of its epochs, by its tag.
type Place struct {
	Part       string
	Epoch, Tag uint64
}

// Sequence is the deliveries of several parts, in a line for each key:
//
//	          first of its key            Take                Done
//	Add ──┬────────────────────▶ ready ─────────▶ taken ─────────────▶ gone; the next of
//	      │ others before it       ▲                │                  its key is ready
//	      └───────────▶ waiting ───┤                │ Park
//	               (until the one  │      due       ▼
//	                before is gone)└───────────── parked
//
//	Lost, from any state ──▶ forgotten: the broker hands it out again, in order
//
// A line has at most one event that is ready, taken or parked: its first. A key is
// one of a part: what is lost with an epoch of a part is whole lines.
type Sequence struct {
	wake chan struct{} // cap 1: there may be something to take

	mu     sync.Mutex
	parts  map[string]*source // guarded by mu
	ready  []*line            // guarded by mu; first come, first taken
	parked dueHeap            // guarded by mu
}

// source is a part, from the first event of its epoch to that one's end.
type source struct {
	name     string
	epoch    uint64
	lines    map[name]*line
	taken    map[uint64]*line // by the delivery tag of the line's first
	parked   int
	held     int             // events in all lines
	withheld []*line         // were ready while paused
	idle     []chan struct{} // closed when nothing is taken; nil unless paused
	paused   bool
}

// name is a key, or the tag of an event that has none.
type name struct {
	key string
	tag uint64
}

// line is the events of one key, oldest first; it is never empty.
type line struct {
	source *source
	name   name
	events []event
	index  int // in the heap of parked lines, -1 else
}

type event struct {
	Delivery
	arrived time.Time
	due     time.Time // not to be taken before
}

// NewSequence returns an empty Sequence.
func NewSequence() *Sequence {
	return &Sequence{wake: make(chan struct{}, 1), parts: map[string]*source{}}
}

// Wake holds a token when Take may have something new.
func (s *Sequence) Wake() <-chan struct{} { return s.wake }

// Add appends d, which arrived now, to the line of its key; an empty key is none
// and stands in nobody's way. It is not taken before due, when that is set. An
// epoch that is newer than what the part had says that the older one is over.
func (s *Sequence) Add(d Delivery, key string, now, due time.Time) {
	at := d.Place()
	s.mu.Lock()
	defer s.mu.Unlock()
	src := s.parts[at.Part]
	if src != nil && src.epoch != at.Epoch {
		s.drop(src)
		src = nil
	}
	if src == nil {
		src = &source{name: at.Part, epoch: at.Epoch, lines: map[name]*line{}, taken: map[uint64]*line{}}
		s.parts[at.Part] = src
	}
	n := name{key: key}
	if key == "" {
		n.tag = at.Tag
	}
	src.held++
	e := event{Delivery: d, arrived: now, due: due}
	if l := src.lines[n]; l != nil {
		l.events = append(l.events, e)
		return
	}
	l := &line{source: src, name: n, events: []event{e}, index: -1}
	src.lines[n] = l
	s.enter(l, now)
}

// enter makes the line's first event ready, or parks it until it is due.
func (s *Sequence) enter(l *line, now time.Time) {
	if l.events[0].due.After(now) {
		l.source.parked++
		heap.Push(&s.parked, l)
	} else {
		s.ready = append(s.ready, l)
	}
	s.signal()
}

func (s *Sequence) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Take returns the event that is next, which is the caller's until Done or Park.
// Without one it returns nil and when the first parked one is due, the zero time
// when none is parked.
func (s *Sequence) Take(now time.Time) (d Delivery, next time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.parked) > 0 && !s.parked[0].events[0].due.After(now) {
		l, _ := heap.Pop(&s.parked).(*line)
		l.source.parked--
		s.ready = append(s.ready, l)
	}
	for len(s.ready) > 0 {
		l := s.ready[0]
		s.ready[0], s.ready = nil, s.ready[1:]
		if l.source.paused {
			l.source.withheld = append(l.source.withheld, l)
			continue
		}
		d = l.events[0].Delivery
		l.source.taken[d.Place().Tag] = l
		return d, time.Time{}
	}
	if len(s.parked) > 0 {
		next = s.parked[0].events[0].due
	}
	return nil, next
}

// Done says that d is settled: the next of its key is ready. Without effect when d
// was lost.
func (s *Sequence) Done(d Delivery, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.release(d)
	if l == nil {
		return
	}
	l.source.held--
	l.events[0] = event{} // what the slice keeps alive is empty
	if l.events = l.events[1:]; len(l.events) == 0 {
		delete(l.source.lines, l.name)
		return
	}
	s.enter(l, now)
}

// Park puts again, the next attempt of d, in d's place. It is taken when due, and
// its key waits. False means that d was lost.
func (s *Sequence) Park(d, again Delivery, now, due time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.release(d)
	if l == nil {
		return false
	}
	l.events[0].Delivery, l.events[0].due = again, due
	s.enter(l, now)
	return true
}

// release returns the line of d, which is taken no more; nil when d was lost.
func (s *Sequence) release(d Delivery) *line {
	at := d.Place()
	src := s.parts[at.Part]
	if src == nil || src.epoch != at.Epoch {
		return nil
	}
	l := src.taken[at.Tag]
	delete(src.taken, at.Tag)
	src.signalIdle()
	return l
}

// Taken reports whether d is in the caller's hands, and since when the broker
// waits for it to be settled.
func (s *Sequence) Taken(d Delivery) (arrived time.Time, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := d.Place()
	src := s.parts[at.Part]
	if src == nil || src.epoch != at.Epoch || src.taken[at.Tag] == nil {
		return time.Time{}, false
	}
	return src.taken[at.Tag].events[0].arrived, true
}

// Lost forgets what came from a part in an epoch: that is over.
func (s *Sequence) Lost(part string, epoch uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if src := s.parts[part]; src != nil && src.epoch == epoch {
		s.drop(src)
	}
}

// drop is called with mu held.
func (s *Sequence) drop(src *source) {
	delete(s.parts, src.name)
	kept := s.ready[:0]
	for _, l := range s.ready {
		if l.source != src {
			kept = append(kept, l)
		}
	}
	clear(s.ready[len(kept):])
	s.ready = kept
	for _, l := range src.lines {
		if l.index >= 0 {
			heap.Remove(&s.parked, l.index)
		}
	}
	clear(src.taken)
	src.signalIdle()
}

// dueHeap implements heap.Interface.
type dueHeap []*line

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].events[0].due.Before(h[j].events[0].due) }
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *dueHeap) Push(x any) {
	l, _ := x.(*line)
	l.index = len(*h)
	*h = append(*h, l)
}

func (h *dueHeap) Pop() any {
	last := len(*h) - 1
	l := (*h)[last]
	l.index = -1
	(*h)[last] = nil
	*h = (*h)[:last]
	return l
}

package membroker

import (
	"container/heap"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
)

// entry is one message in one queue.
type entry struct {
	seq         uint64  // place in the queue, kept over redeliveries
	message     *stored // shared between queues, read-only
	attempt     uint32  // of the next delivery
	waited      uint32  // how often it was requeued, in a queue that delays retries
	redelivered bool
	expires     time.Time // zero means never
	due         time.Time // when it leaves a delay queue
}

// queue holds messages in the order they were published. What is given back
// returns to its original place.
type queue struct {
	// Set at construction.
	name       string
	kind       string // label of the declaration
	delay      time.Duration
	forward    string
	single     bool          // one consumer at a time
	retryDelay time.Duration // 0 means that what is requeued does not wait
	deadLetter string        // gets what the queue gives up; "" means nobody does
	bury       func(q *queue, reason string, given []*entry)
	maxEntries int
	maxBytes   int

	// wake holds a token when there may be something to take.
	wake chan struct{}

	// expire is called in its own goroutine when the first message of a delay
	// queue is due; timers counts the calls that are pending or running.
	expire func(*queue)
	timers *sync.WaitGroup

	consumers atomic.Int32 // attached now

	// Guarded by mu. Every entry of returned is older than all of fresh.
	mu       sync.Mutex
	fresh    fifo
	returned byPlace
	last     uint64                 // newest place
	entries  int                    // ready and unsettled
	bytes    int                    // data of those
	timer    *time.Timer            // runs expire; nil when none is pending or running
	waiting  map[*entry]*time.Timer // requeued, until it is due
	closed   bool
	line     []*channel // of a single active consumer's queue: it, and those standing by
}

// put appends an entry and reports false when the queue is full.
func (q *queue) put(e *entry) bool {
	size := len(e.message.Event.Data)
	q.mu.Lock()
	if q.closed || q.entries >= q.maxEntries || q.entries > 0 && q.bytes+size > q.maxBytes {
		q.mu.Unlock()
		return false
	}
	q.last++
	e.seq = q.last
	q.entries++
	q.bytes += size
	q.fresh.push(e)
	if q.delay > 0 {
		e.due = time.Now().Add(q.delay)
		q.schedule(q.delay)
	}
	if q.deadLetter != "" && !e.expires.IsZero() {
		time.AfterFunc(time.Until(e.expires), q.expireFirst)
	}
	q.mu.Unlock()
	q.signal()
	return true
}

// expireFirst gives up what has expired at the head of the queue, as RabbitMQ does: a
// message behind one that lives waits for it.
func (q *queue) expireFirst() {
	var expired []*entry
	q.mu.Lock()
	for !q.closed {
		e := q.next()
		if e == nil {
			break
		}
		if !e.expired() {
			heap.Push(&q.returned, e) // older than all of fresh
			break
		}
		q.discount(e)
		expired = append(expired, e)
	}
	q.mu.Unlock()
	q.bury(q, broker.ReasonExpired, expired)
}

func (e *entry) expired() bool { return !e.expires.IsZero() && !time.Now().Before(e.expires) }

// take removes the oldest ready entry, nil when there is none. The entry still
// counts until it is forgotten.
func (q *queue) take() *entry {
	for {
		q.expireFirst()
		q.mu.Lock()
		e := q.next()
		if e == nil || !e.expired() {
			if q.fresh.len()+len(q.returned) > 0 {
				q.signal()
			}
			q.mu.Unlock()
			return e
		}
		heap.Push(&q.returned, e) // it expired since expireFirst
		q.mu.Unlock()
	}
}

func (q *queue) next() *entry {
	if len(q.returned) > 0 {
		return heap.Pop(&q.returned).(*entry)
	}
	return q.fresh.pop()
}

// giveBack returns delivered entries to their places, all at once, so that no
// consumer sees a later one first.
func (q *queue) giveBack(entries ...*entry) {
	if len(entries) == 0 {
		return
	}
	q.mu.Lock()
	for _, e := range entries {
		e.attempt++
		e.redelivered = true
		heap.Push(&q.returned, e)
	}
	q.mu.Unlock()
	q.signal()
}

// requeue gives back an entry whose attempt failed. Where retries wait it is back
// when its time has come.
func (q *queue) requeue(e *entry) {
	if q.retryDelay == 0 {
		q.giveBack(e)
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	e.attempt++
	e.waited++
	e.redelivered = true
	q.timers.Add(1)
	q.waiting[e] = time.AfterFunc(q.retryDelay, func() {
		defer q.timers.Done()
		q.mu.Lock()
		delete(q.waiting, e)
		if !q.closed {
			heap.Push(&q.returned, e)
		}
		q.mu.Unlock()
		q.signal()
	})
}

// reject gives up an entry that take returned.
func (q *queue) reject(e *entry) {
	q.forget(e)
	q.bury(q, broker.ReasonSetAside, []*entry{e})
}

// forget drops an entry that take returned.
func (q *queue) forget(e *entry) {
	q.mu.Lock()
	q.discount(e)
	q.mu.Unlock()
}

func (q *queue) discount(e *entry) {
	q.entries--
	q.bytes -= len(e.message.Event.Data)
}

// signal wakes one waiting consumer. A token that is already there will do: who
// takes it takes a message, and signals again when more are left.
func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *queue) len() (ready, unsettled int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	ready = q.fresh.len() + len(q.returned)
	return ready, q.entries - ready
}

func (q *queue) peek(limit int) []*queueing.Message {
	q.mu.Lock()
	defer q.mu.Unlock()
	ready := slices.Concat(q.returned, q.fresh.all())
	slices.SortFunc(ready, func(a, b *entry) int { return int(a.seq) - int(b.seq) })
	messages := make([]*queueing.Message, 0, min(limit, len(ready)))
	for _, e := range ready[:min(limit, len(ready))] {
		m := e.message.Message
		m.Attempt = e.attempt
		messages = append(messages, &m)
	}
	return messages
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.fresh, q.returned = fifo{}, nil
	if q.timer != nil && q.timer.Stop() {
		q.timers.Done()
	}
	for _, t := range q.waiting {
		if t.Stop() {
			q.timers.Done()
		}
	}
}

// fifo is a queue of entries on one slice.
type fifo struct {
	entries []*entry
	head    int
}

func (f *fifo) len() int { return len(f.entries) - f.head }

func (f *fifo) all() []*entry { return f.entries[f.head:] }

func (f *fifo) push(e *entry) { f.entries = append(f.entries, e) }

func (f *fifo) first() *entry {
	if f.len() == 0 {
		return nil
	}
	return f.entries[f.head]
}

func (f *fifo) pop() *entry {
	if f.len() == 0 {
		return nil
	}
	e := f.entries[f.head]
	f.entries[f.head] = nil
	f.head++
	if f.head == len(f.entries) || f.head > 1024 && f.head > len(f.entries)/2 {
		kept := copy(f.entries, f.entries[f.head:])
		clear(f.entries[kept:])
		f.entries, f.head = f.entries[:kept], 0
	}
	return e
}

// byPlace is a heap of entries, oldest place first.
type byPlace []*entry

func (h byPlace) Len() int           { return len(h) }
func (h byPlace) Less(i, j int) bool { return h[i].seq < h[j].seq }
func (h byPlace) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *byPlace) Push(x any) { *h = append(*h, x.(*entry)) }

// Pop implements heap.Interface.
func (h *byPlace) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return e
}

// Package store is what the in-process broker keeps: queues, and messages in them.
//
//   - message.go: a message as queues keep it, and what a copy of one or a dead letter is
//   - queue.go: places, redeliveries, bounds and expiry
//   - delay.go: queues whose messages move on when they are due
//   - standby.go: queues with one active consumer at a time
//
// It knows neither exchanges nor nodes: package membroker routes to queues and consumes
// from them. It imports queueing and broker, for what a message is.
package store

import (
	"container/heap"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
)

// Entry is one message in one queue. Whoever took it may read it until it is settled.
type Entry struct {
	Message     *Message
	Attempt     uint32 // of the next delivery
	Waited      uint32 // how often it was requeued, in a queue that delays retries
	Redelivered bool
	Expires     time.Time // zero means never

	seq uint64    // place in the queue, kept over redeliveries
	due time.Time // when it leaves a delay queue
}

// Options configures a Queue.
type Options struct {
	Name       string
	Kind       string        // label of the declaration
	Delay      time.Duration // how long each message stays, in a delay queue; 0 in others
	Forward    string        // the queue that gets what is due in a delay queue
	Single     bool          // one consumer at a time
	RetryDelay time.Duration // 0 means that what is requeued does not wait
	DeadLetter string        // gets what the queue gives up; "" means nobody does
	MaxEntries int           // ready and unsettled; 0 takes nothing
	MaxBytes   int           // of data; one message may be larger

	// Find returns a queue by its name, nil when there is none. A delay queue needs it.
	Find func(name string) *Queue
	// Bury is called with what the queue gives up. Every queue that is taken from needs it.
	Bury func(q *Queue, reason string, given []*Entry)
	// Timers counts the timers of the queue that are pending or running.
	Timers *sync.WaitGroup
}

// Queue holds messages in the order they were published. What is given back
// returns to its original place. It is safe for concurrent use.
type Queue struct {
	// Set at construction.
	Options
	wake chan struct{} // holds a token when there may be something to take

	consumers atomic.Int32 // attached now

	// Guarded by mu. Every entry of returned is older than all of fresh.
	mu       sync.Mutex
	fresh    fifo
	returned byPlace
	last     uint64                 // newest place
	entries  int                    // ready and unsettled
	bytes    int                    // data of those
	timer    *time.Timer            // runs forwardDue; nil when none is pending or running
	waiting  map[*Entry]*time.Timer // requeued, until it is due
	closed   bool
	line     []*Consumer // of a single active consumer's queue: it, and those standing by
}

// New makes an empty queue.
func New(o Options) *Queue {
	return &Queue{Options: o, wake: make(chan struct{}, 1), waiting: map[*Entry]*time.Timer{}}
}

// Consumers returns how many consumers are attached now.
func (q *Queue) Consumers() int { return int(q.consumers.Load()) }

// Wake returns the channel that holds a token when there may be something to take.
func (q *Queue) Wake() <-chan struct{} { return q.wake }

// Put appends an entry and reports false when the queue is full.
func (q *Queue) Put(e *Entry) bool {
	size := len(e.Message.Event.Data)
	q.mu.Lock()
	if q.closed || q.entries >= q.MaxEntries || q.entries > 0 && q.bytes+size > q.MaxBytes {
		q.mu.Unlock()
		return false
	}
	q.last++
	e.seq = q.last
	q.entries++
	q.bytes += size
	q.fresh.push(e)
	if q.Delay > 0 {
		e.due = time.Now().Add(q.Delay)
		q.schedule(q.Delay)
	}
	if q.DeadLetter != "" && !e.Expires.IsZero() {
		time.AfterFunc(time.Until(e.Expires), q.expireFirst)
	}
	q.mu.Unlock()
	q.Signal()
	return true
}

// expireFirst gives up what has expired at the head of the queue, as RabbitMQ does: a
// message behind one that lives waits for it.
func (q *Queue) expireFirst() {
	var expired []*Entry
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
	q.Bury(q, broker.ReasonExpired, expired)
}

func (e *Entry) expired() bool { return !e.Expires.IsZero() && !time.Now().Before(e.Expires) }

// Take removes the oldest ready entry, nil when there is none. The entry still
// counts until it is forgotten.
func (q *Queue) Take() *Entry {
	for {
		q.expireFirst()
		q.mu.Lock()
		e := q.next()
		if e == nil || !e.expired() {
			if q.fresh.len()+len(q.returned) > 0 {
				q.Signal()
			}
			q.mu.Unlock()
			return e
		}
		heap.Push(&q.returned, e) // it expired since expireFirst
		q.mu.Unlock()
	}
}

func (q *Queue) next() *Entry {
	if len(q.returned) > 0 {
		return heap.Pop(&q.returned).(*Entry)
	}
	return q.fresh.pop()
}

// Return gives delivered entries back to their places, all at once, so that no
// consumer sees a later one first.
func (q *Queue) Return(entries ...*Entry) {
	if len(entries) == 0 {
		return
	}
	q.mu.Lock()
	for _, e := range entries {
		e.Attempt++
		e.Redelivered = true
		heap.Push(&q.returned, e)
	}
	q.mu.Unlock()
	q.Signal()
}

// Requeue gives back an entry whose attempt failed. Where retries wait it is back
// when its time has come.
func (q *Queue) Requeue(e *Entry) {
	if q.RetryDelay == 0 {
		q.Return(e)
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	e.Attempt++
	e.Waited++
	e.Redelivered = true
	q.Timers.Add(1)
	q.waiting[e] = time.AfterFunc(q.RetryDelay, func() {
		defer q.Timers.Done()
		q.mu.Lock()
		delete(q.waiting, e)
		if !q.closed {
			heap.Push(&q.returned, e)
		}
		q.mu.Unlock()
		q.Signal()
	})
}

// Reject gives up an entry that Take returned.
func (q *Queue) Reject(e *Entry) {
	q.Forget(e)
	q.Bury(q, broker.ReasonSetAside, []*Entry{e})
}

// Forget drops an entry that Take returned.
func (q *Queue) Forget(e *Entry) {
	q.mu.Lock()
	q.discount(e)
	q.mu.Unlock()
}

func (q *Queue) discount(e *Entry) {
	q.entries--
	q.bytes -= len(e.Message.Event.Data)
}

// Signal wakes one waiting consumer. A token that is already there will do: who
// takes it takes a message, and signals again when more are left.
func (q *Queue) Signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Len returns how many messages are ready and how many are taken and unsettled.
func (q *Queue) Len() (ready, unsettled int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	ready = q.fresh.len() + len(q.returned)
	return ready, q.entries - ready
}

// Peek returns copies of the first messages that are ready, at most limit, in order.
func (q *Queue) Peek(limit int) []*queueing.Message {
	q.mu.Lock()
	defer q.mu.Unlock()
	ready := slices.Concat(q.returned, q.fresh.all())
	slices.SortFunc(ready, func(a, b *Entry) int { return int(a.seq) - int(b.seq) })
	messages := make([]*queueing.Message, 0, min(limit, len(ready)))
	for _, e := range ready[:min(limit, len(ready))] {
		m := e.Message.Message
		m.Attempt = e.Attempt
		messages = append(messages, &m)
	}
	return messages
}

// Close drops everything that is queued and stops the timers. Nothing is taken or put
// afterwards.
func (q *Queue) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.fresh, q.returned = fifo{}, nil
	if q.timer != nil && q.timer.Stop() {
		q.Timers.Done()
	}
	for _, t := range q.waiting {
		if t.Stop() {
			q.Timers.Done()
		}
	}
}

// fifo is a queue of entries on one slice.
type fifo struct {
	entries []*Entry
	head    int
}

func (f *fifo) len() int { return len(f.entries) - f.head }

func (f *fifo) all() []*Entry { return f.entries[f.head:] }

func (f *fifo) push(e *Entry) { f.entries = append(f.entries, e) }

func (f *fifo) first() *Entry {
	if f.len() == 0 {
		return nil
	}
	return f.entries[f.head]
}

func (f *fifo) pop() *Entry {
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
type byPlace []*Entry

func (h byPlace) Len() int           { return len(h) }
func (h byPlace) Less(i, j int) bool { return h[i].seq < h[j].seq }
func (h byPlace) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *byPlace) Push(x any) { *h = append(*h, x.(*Entry)) }

// Pop implements heap.Interface.
func (h *byPlace) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return e
}

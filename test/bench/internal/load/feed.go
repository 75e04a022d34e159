package load

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Size of a message's body in bytes.
const Size = 1024

// EventType, Source and ContentType are attributes of every message.
const (
	EventType   = "com.example.bench"
	Source      = "/bench"
	ContentType = "application/octet-stream"
)

// A body begins with a stamp: the feed's tag, the message's number, and the time it
// was made.
const (
	tagAt    = 0
	numberAt = 8
	timeAt   = 16
)

// epoch is the zero of the stamps, on the monotonic clock.
var epoch = time.Now()

func now() int64 { return int64(time.Since(epoch)) }

// Feed yields messages to publish.
type Feed struct {
	// Set at construction.
	tag    uint64
	prefix string // of ids
	limit  uint64 // 0: none

	// Atomic.
	stopped   atomic.Bool
	recording atomic.Bool
	taken     atomic.Uint64
	confirmed atomic.Uint64

	mu    sync.Mutex // guards lanes
	lanes []*Lane
}

// NewFeed makes a feed of limit messages; with 0 it yields until Stop.
func NewFeed(limit int) *Feed {
	var tag [8]byte
	_, _ = rand.Read(tag[:])                                                                                              // it never fails
	return &Feed{tag: binary.LittleEndian.Uint64(tag[:]), prefix: hex.EncodeToString(tag[:]) + "-", limit: uint64(limit)} //nolint:gosec // not negative
}

// Stop ends the feed: it yields nothing more.
func (f *Feed) Stop() { f.stopped.Store(true) }

// Record starts to record latencies.
func (f *Feed) Record() { f.recording.Store(true) }

// Confirmed returns how many messages were confirmed so far.
func (f *Feed) Confirmed() int { return int(f.confirmed.Load()) } //nolint:gosec // a count

// Settled returns how many messages were taken. It returns an error when not all of
// them were confirmed. Call it after publishing has ended.
func (f *Feed) Settled() (int, error) {
	taken := int(f.taken.Load()) //nolint:gosec // a count
	if got := f.Confirmed(); got != taken {
		return taken, fmt.Errorf("%d messages were published and %d confirmed", taken, got)
	}
	return taken, nil
}

// Latencies returns the time from Next to Confirmed for every message that was
// confirmed after Record. Call it after publishing has ended.
func (f *Feed) Latencies() []time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []time.Duration
	for _, lane := range f.lanes {
		all = slices.Concat(all, lane.latencies)
	}
	return all
}

// Message is one message to publish.
type Message struct {
	ID   string
	Made int64 // pass it to Confirmed
}

// Lane is one goroutine's access to a feed.
type Lane struct {
	feed      *Feed
	latencies []time.Duration
}

// Lane returns a new lane.
func (f *Feed) Lane() *Lane {
	lane := &Lane{feed: f}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lanes = append(f.lanes, lane)
	return lane
}

// Next stamps a body of Size bytes as the next message. ok is false when there is none.
func (l *Lane) Next(body []byte) (m Message, ok bool) {
	f := l.feed
	if f.stopped.Load() {
		return Message{}, false
	}
	n := f.taken.Add(1) - 1
	if f.limit > 0 && n >= f.limit {
		f.taken.Add(^uint64(0)) // gives it back
		return Message{}, false
	}
	m = Message{ID: f.prefix + strconv.FormatUint(n, 10), Made: now()}
	binary.LittleEndian.PutUint64(body[tagAt:], f.tag)
	binary.LittleEndian.PutUint64(body[numberAt:], n)
	binary.LittleEndian.PutUint64(body[timeAt:], uint64(m.Made)) //nolint:gosec // read back as it was
	return m, true
}

// Confirmed records that a message made at that time was confirmed. The lane that
// confirms may be another one than the lane that took the message.
func (l *Lane) Confirmed(made int64) {
	l.feed.confirmed.Add(1)
	if l.feed.recording.Load() {
		l.latencies = append(l.latencies, time.Duration(now()-made))
	}
}

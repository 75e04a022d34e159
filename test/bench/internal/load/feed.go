package load

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultSize is the size of a body in bytes when Shape does not say another.
const DefaultSize = 1024

// Attributes of every message, and the workload that publishes it.
const (
	EventType   = "com.example.bench"
	Source      = "/bench"
	ContentType = "application/octet-stream"
	App         = "publisher"
)

// A body begins with a stamp: the feed's tag, the message's number, and the time it
// was made.
const (
	tagAt    = 0
	numberAt = 8
	timeAt   = 16
	stamp    = 24 // bytes
)

// Shape says which messages a feed yields. The zero value is an endless feed of
// DefaultSize that yields as fast as it is asked.
type Shape struct {
	// Limit is how many messages there are. 0 means no limit.
	Limit int
	// Size is the size of a body in bytes, at least 24. 0 means DefaultSize.
	Size int
	// Rate is an open loop in messages a second: message n is due n/Rate after the first,
	// whatever happened to those before it, and counts as made when it was due. 0 means
	// that a message is made when it is asked for.
	Rate int
}

// epoch is the zero of the stamps, on the monotonic clock.
var epoch = time.Now()

func now() int64 { return int64(time.Since(epoch)) }

// Feed yields messages to publish.
type Feed struct {
	// Set at construction.
	tag      uint64
	prefix   string // of ids
	limit    uint64 // 0: none
	size     int
	interval time.Duration // between messages; 0: none

	// Atomic.
	begin     atomic.Int64 // when message 0 is due; 0 until the first is asked for
	stopped   atomic.Bool
	recording atomic.Bool
	taken     atomic.Uint64
	confirmed atomic.Uint64

	mu    sync.Mutex // guards lanes
	lanes []*Lane
}

// NewFeed makes a feed. Without a limit it yields until Stop.
func NewFeed(shape Shape) *Feed {
	var tag [8]byte
	_, _ = rand.Read(tag[:]) // it never fails
	f := &Feed{
		tag: binary.LittleEndian.Uint64(tag[:]), prefix: hex.EncodeToString(tag[:]) + "-",
		limit: uint64(max(shape.Limit, 0)), size: DefaultSize, //nolint:gosec // not negative
	}
	if shape.Size > 0 {
		f.size = max(shape.Size, stamp)
	}
	if shape.Rate > 0 {
		f.interval = time.Second / time.Duration(shape.Rate)
	}
	return f
}

// Size is the size of a body in bytes.
func (f *Feed) Size() int { return f.size }

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
		return taken, fmt.Errorf("the books do not balance: %d messages were published and %d confirmed", taken, got)
	}
	return taken, nil
}

// Latencies returns the time from the making of a message to Confirmed for every message
// that was confirmed after Record. Call it after publishing has ended.
func (f *Feed) Latencies() []time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, lane := range f.lanes {
		n += len(lane.latencies)
	}
	all := make([]time.Duration, 0, n)
	for _, lane := range f.lanes {
		all = append(all, lane.latencies...)
	}
	return all
}

// Message is one message to publish.
type Message struct {
	ID     string
	Number uint64 // from 0
	Made   int64  // pass it to Confirmed
}

// Lane is one goroutine's access to a feed.
type Lane struct {
	feed      *Feed
	timer     *time.Timer // of a feed with a rate, once a message had to be awaited
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

// Due reports whether Next returns without waiting. A client that gathers messages sends
// what it has when the next one is not due.
func (l *Lane) Due() bool {
	f := l.feed
	return f.interval == 0 || now() >= f.due(f.taken.Load())
}

// Next stamps a body of the feed's size as the next message. With a rate it waits until
// the message is due. ok is false when there is none.
func (l *Lane) Next(body []byte) (m Message, ok bool) {
	f := l.feed
	if f.stopped.Load() {
		return Message{}, false
	}
	n := f.taken.Add(1) - 1
	made := l.await(n)
	if f.limit > 0 && n >= f.limit || f.stopped.Load() {
		f.taken.Add(^uint64(0)) // gives it back
		return Message{}, false
	}
	m = Message{ID: f.prefix + strconv.FormatUint(n, 10), Number: n, Made: made}
	binary.LittleEndian.PutUint64(body[tagAt:], f.tag)
	binary.LittleEndian.PutUint64(body[numberAt:], n)
	binary.LittleEndian.PutUint64(body[timeAt:], uint64(m.Made)) //nolint:gosec // read back as it was
	return m, true
}

// due is when message n is due.
func (f *Feed) due(n uint64) int64 {
	begin := f.begin.Load()
	if begin == 0 {
		f.begin.CompareAndSwap(0, now())
		begin = f.begin.Load()
	}
	return begin + int64(n)*int64(f.interval) //nolint:gosec // far below 2^63 in a run
}

// await returns the time at which message n counts as made, once it has come.
func (l *Lane) await(n uint64) int64 {
	if l.feed.interval == 0 {
		return now()
	}
	due := l.feed.due(n)
	wait := time.Duration(due - now())
	if wait <= 0 {
		return due
	}
	if l.timer == nil {
		l.timer = time.NewTimer(wait)
	} else {
		l.timer.Reset(wait)
	}
	<-l.timer.C
	return due
}

// Confirmed records that a message made at that time was confirmed. The lane that
// confirms may be another one than the lane that took the message.
func (l *Lane) Confirmed(made int64) {
	l.feed.confirmed.Add(1)
	if l.feed.recording.Load() {
		l.latencies = append(l.latencies, time.Duration(now()-made))
	}
}

package tap

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/event"
)

// Options choose what a listener sees.
type Options struct {
	// Topic shows events that are published to it, routed to it or delivered from it.
	// Subscription shows events that are delivered for it. With both, an event that
	// matches one of them is shown; with neither, every event.
	Topic        mesh.Name
	Subscription mesh.Name
	// SamplePercent is the share of events shown; 0 means all, as 100 does. A hash of
	// the event's source and id decides. So an event is shown at every stage and at
	// every sidecar, or at none.
	SamplePercent float64
	// PayloadBytes of each payload are kept, at most MaxPayloadBytes; 0 keeps none.
	PayloadBytes int
}

// Record is what is kept of a Sight.
type Record struct {
	Sight // without its Event
	Time  time.Time

	ID, Source, Type string
	Attrs            []event.Attr // shared with the event; not to be changed
	DataBytes        int
	Data             []byte // a copy of the beginning; nil unless asked for
	// Dropped counts what this listener had lost when it got the record.
	Dropped uint64
}

func newRecord(s *Sight, now time.Time, payload int) *Record {
	r := &Record{Sight: *s, Time: now}
	r.Event = nil
	if e := s.Event; e != nil {
		r.ID, r.Source, r.Type, r.Attrs, r.DataBytes = e.ID, e.Source, e.Type, e.Attrs, len(e.Data)
		if n := min(payload, len(e.Data)); n > 0 {
			r.Data = append([]byte(nil), e.Data[:n]...)
		}
	}
	return r
}

// Listener is an open tap.
type Listener struct {
	// set at construction
	bus     *Bus
	opts    Options
	sample  uint64 // hashes below it are shown; 0 shows all
	records chan *Record
	done    chan struct{}
	ended   sync.Once

	bytes   atomic.Int64 // of payload in records
	dropped atomic.Uint64
}

func newListener(b *Bus, opts Options) *Listener {
	opts.PayloadBytes = max(0, min(opts.PayloadBytes, MaxPayloadBytes))
	l := &Listener{bus: b, opts: opts, records: make(chan *Record, queueRecords), done: make(chan struct{})}
	if opts.SamplePercent > 0 && opts.SamplePercent < 100 {
		l.sample = max(1, uint64(opts.SamplePercent/100*(1<<63))*2)
	}
	return l
}

// Next returns the next record, nil when stop or the tap is closed.
func (l *Listener) Next(stop <-chan struct{}) *Record {
	select {
	case r := <-l.records:
		l.bytes.Add(-int64(len(r.Data)))
		return r
	case <-stop:
	case <-l.done:
	}
	return nil
}

// Dropped counts the records lost so far because the queue was full.
func (l *Listener) Dropped() uint64 { return l.dropped.Load() }

// Done is closed when the tap is closed.
func (l *Listener) Done() <-chan struct{} { return l.done }

// Close ends the tap. It is idempotent.
func (l *Listener) Close() {
	l.bus.remove(l)
	l.end()
}

func (l *Listener) end() { l.ended.Do(func() { close(l.done) }) }

func (l *Listener) wants(s *Sight) bool {
	var none mesh.Name
	if l.opts.Topic != none || l.opts.Subscription != none {
		byTopic := l.opts.Topic != none && (l.opts.Topic == s.Topic || l.opts.Topic == s.Asked)
		bySubscription := l.opts.Subscription != none && l.opts.Subscription == s.Subscription
		if !byTopic && !bySubscription {
			return false
		}
	}
	return l.sample == 0 || s.Event == nil || hash(s.Event) < l.sample
}

func hash(e *event.Event) uint64 {
	var h xxhash.Digest
	h.Reset()
	_, _ = h.WriteString(e.Source) // a hash never fails
	_, _ = h.Write([]byte{0})
	_, _ = h.WriteString(e.ID)
	return h.Sum64()
}

// offer queues r, or counts it when the queue is full in records or in bytes.
func (l *Listener) offer(r *Record) {
	n := int64(len(r.Data))
	if held := l.bytes.Add(n); held > queueBytes && held > n {
		l.bytes.Add(-n)
		l.dropped.Add(1)
		return
	}
	r.Dropped = l.dropped.Load()
	select {
	case l.records <- r:
	default:
		l.bytes.Add(-n)
		l.dropped.Add(1)
	}
}

package status

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/internal/pace"
)

// OutboxOptions configures an Outbox.
type OutboxOptions struct {
	// Writer gets the statuses; required.
	Writer Writer
	// Logger logs writes that failed, a few lines a minute; nil discards it.
	Logger *slog.Logger
	// Interval is the least time between two writes of one object; default 1s.
	Interval time.Duration
	// PerSecond bounds the writes of all objects; default 50.
	PerSecond float64
	// Timeout bounds one write; default 10s.
	Timeout time.Duration
	// MaxPause bounds the pause between two tries after an error. It begins with
	// Interval and doubles; default 1m.
	MaxPause time.Duration
}

// Outbox hands statuses that changed to a Writer, on a goroutine of its own. It holds
// one status for each object, the newest: what a slow writer does not get to is
// replaced, not queued, and is no more than there are objects.
//
//	         Offer: it changed        Run: its turn, at the pace
//	written ------------------> due ---------------------------> being written
//	   ^                         ^  error: later, pause doubled        |
//	   |                         +-------------------------------------+
//	   +---------------------------------------------------------------+
//
// Nothing is kept over a restart: a new outbox writes every object once.
type Outbox struct {
	// set at construction
	opts   OutboxOptions
	bucket *pace.Bucket
	failed *pace.Log
	wake   chan struct{} // holds a token while something may be due

	mu      sync.Mutex // guards what follows
	entries map[v1alpha1.ObjectName]*entry
	due     []v1alpha1.ObjectName // in the order in which they changed
}

// entry is what is known of one object. Its fields are guarded by Outbox.mu.
type entry struct {
	newest  Object
	written *Object // nil before the first time
	queued  bool    // it is in due
	// pause grows with each error; no try is made before notBefore.
	pause     time.Duration
	notBefore time.Time
}

// NewOutbox builds an outbox. Writing starts in Run.
func NewOutbox(o OutboxOptions) *Outbox {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	setDefault(&o.Interval, time.Second)
	setDefault(&o.PerSecond, 50)
	setDefault(&o.Timeout, 10*time.Second)
	setDefault(&o.MaxPause, time.Minute)
	return &Outbox{
		opts: o, bucket: pace.NewBucket(o.PerSecond, max(1, o.PerSecond)), failed: pace.NewLog(o.Logger, 5, time.Minute),
		wake: make(chan struct{}, 1), entries: map[v1alpha1.ObjectName]*entry{},
	}
}

func setDefault[T time.Duration | float64](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

// Offer takes the statuses of all existing objects, in the order of observation, and
// notes what changed. It never waits for the writer. Objects that are missing from it
// are forgotten.
func (o *Outbox) Offer(objects []Object) {
	o.mu.Lock()
	defer o.mu.Unlock()
	known := o.entries
	o.entries = make(map[v1alpha1.ObjectName]*entry, len(objects))
	for i := range objects {
		e := known[objects[i].Name]
		if e == nil {
			e = &entry{}
		}
		e.newest = objects[i]
		o.entries[objects[i].Name] = e
		o.enqueue(e)
	}
	o.due = slices.DeleteFunc(o.due, func(name v1alpha1.ObjectName) bool { return o.entries[name] == nil })
}

// enqueue makes an object due if its newest status differs from the one written. o.mu
// is held.
func (o *Outbox) enqueue(e *entry) {
	if e.queued || e.written != nil && same(e.written, &e.newest) {
		return
	}
	e.queued = true
	o.due = append(o.due, e.newest.Name)
	select {
	case o.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// Run writes until ctx ends, and returns nil once the last write has. It may be called
// once.
func (o *Outbox) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-o.wake:
		}
		// A round writes an object at most once, so the pause keeps Interval.
		for o.waiting() {
			for _, name := range o.turn(time.Now()) {
				if !pace.Sleep(ctx, o.bucket.Reserve(time.Now(), 1)) {
					return nil
				}
				o.write(ctx, name)
			}
			if !pace.Sleep(ctx, o.opts.Interval) {
				return nil
			}
		}
	}
}

// waiting reports whether anything is due, now or later.
func (o *Outbox) waiting() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.due) > 0
}

// turn takes the objects that may be written now.
func (o *Outbox) turn(now time.Time) []v1alpha1.ObjectName {
	o.mu.Lock()
	defer o.mu.Unlock()
	var turn []v1alpha1.ObjectName
	o.due = slices.DeleteFunc(o.due, func(name v1alpha1.ObjectName) bool {
		e := o.entries[name]
		if e.notBefore.After(now) {
			return false
		}
		e.queued = false
		turn = append(turn, name)
		return true
	})
	return turn
}

// write writes the newest status of one object, if it has to.
func (o *Outbox) write(ctx context.Context, name v1alpha1.ObjectName) {
	status, ok := o.newest(name)
	if !ok {
		o.bucket.Return()
		return
	}
	ctx, cancel := context.WithTimeout(ctx, o.opts.Timeout)
	defer cancel()
	err := o.opts.Writer.Write(ctx, status)
	again := o.wrote(name, &status, err)
	if err != nil {
		o.failed.Warn("status of an object could not be written, trying again", "object", name.String(), "error", err, "again_in", again)
	}
}

// newest returns the status of an object to write. It returns false when the object is
// gone or its status was written already.
func (o *Outbox) newest(name v1alpha1.ObjectName) (Object, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	e := o.entries[name]
	if e == nil || e.written != nil && same(e.written, &e.newest) {
		return Object{}, false
	}
	return e.newest, true
}

// wrote records the result of a write and, after an error, returns when the next one
// is due.
func (o *Outbox) wrote(name v1alpha1.ObjectName, status *Object, err error) (again time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	e := o.entries[name]
	if e == nil {
		return 0 // the object was deleted meanwhile
	}
	if err == nil {
		e.written, e.pause, e.notBefore = status, 0, time.Time{}
	} else {
		// The stored status is not known now: the failed write may have arrived.
		e.written = nil
		e.pause = min(max(o.opts.Interval, 2*e.pause), o.opts.MaxPause)
		e.notBefore = time.Now().Add(e.pause)
	}
	o.enqueue(e) // it changed meanwhile, or failed
	return e.pause
}

// same reports whether two statuses of an object are equal. The time of a transition
// does not count, so a condition that changed and came back is the same.
func same(a, b *Object) bool {
	return a.Progress == b.Progress && slices.EqualFunc(a.Conditions, b.Conditions, func(x, y v1alpha1.Condition) bool {
		x.LastTransitionTime = y.LastTransitionTime
		return x == y
	})
}

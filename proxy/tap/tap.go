// Package tap shows events as they pass the sidecar, to whoever listens.
//
// It owns the listeners and their bounded queues. It does not own where events
// are shown from (publish and deliver do that) nor how they reach an operator
// (proxy/admin). A Bus never blocks and never slows an event down: a listener that
// is slow loses records and is told how many.
//
// All methods are safe for concurrent use, also on a nil *Bus, to which nobody can
// listen. While nobody listens a Bus costs one atomic load for each event:
//
//	if bus.Active() {
//		bus.Emit(&tap.Sight{Stage: tap.Published, Event: e, Topic: topic, Took: took})
//	}
//
//	l, err := bus.Listen(tap.Options{Topic: topic})
//	defer l.Close()
//	for r := l.Next(ctx.Done()); r != nil; r = l.Next(ctx.Done()) { ... }
//
// Records hold no payload unless asked, and then a copy of its beginning, so that
// an open tap keeps no event alive.
package tap

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/event"
)

// Stage is a place on an event's way through the sidecar.
type Stage int

// The stages.
const (
	Published Stage = iota + 1 // confirmed, or failed: see Sight.Err
	Delivered                  // handed out to the service
	Settled                    // the service's outcome was carried out
)

// String returns the stage in a word.
func (s Stage) String() string {
	switch s {
	case Published:
		return "published"
	case Delivered:
		return "delivered"
	case Settled:
		return "settled"
	default:
		return fmt.Sprintf("Stage(%d)", int(s))
	}
}

// Sight is one event at one stage. Emit does not keep it.
type Sight struct {
	Stage Stage
	Event *event.Event
	// Topic is where the event goes, or comes from.
	Topic mesh.Name
	// Asked is the topic the service published to, which a route may have led
	// elsewhere; the zero value means Topic.
	Asked mesh.Name
	// Route is the rule that chose Topic; "" for none.
	Route string
	// Subscription is the zero value on Published.
	Subscription mesh.Name
	Exchange     string
	RoutingKey   string
	TraceParent  string // of the hop; may be empty
	Attempt      uint32 // tries made, or number of the delivery
	Outcome      string // on Settled: ack, retry, dead-letter
	Err          error  // why a publish failed
	Detail       string // why a delivery was refused
	// Took is the time to the confirm, or from hand-out to settlement.
	Took time.Duration
}

// Bounds of the taps of one bus. Together they keep an abused tap below 40 MiB.
const (
	MaxListeners    = 8
	MaxPayloadBytes = 64 << 10

	queueRecords = 256
	queueBytes   = 4 << 20 // of payload; one record is always allowed
)

// ErrTooManyListeners is returned by Listen when MaxListeners listen already.
var ErrTooManyListeners = errors.New("too many taps are open")

// ErrClosed is returned by Listen after Close.
var ErrClosed = errors.New("the tap is closed")

// Bus carries sights to listeners. The zero value is ready to use.
type Bus struct {
	listeners atomic.Pointer[[]*Listener] // nil while nobody listens; replaced as a whole

	mu     sync.Mutex // held to change listeners
	closed bool       // guarded by mu
}

// Active reports whether anybody listens. Without it Emit need not be called.
func (b *Bus) Active() bool { return b != nil && b.listeners.Load() != nil }

// Emit shows s to all listeners it concerns and never blocks.
func (b *Bus) Emit(s *Sight) {
	if b == nil {
		return
	}
	listeners := b.listeners.Load()
	if listeners == nil {
		return
	}
	now := time.Now()
	for _, l := range *listeners {
		if l.wants(s) {
			l.offer(newRecord(s, now, l.opts.PayloadBytes))
		}
	}
}

// Listeners returns how many listen.
func (b *Bus) Listeners() int {
	if b == nil {
		return 0
	}
	if all := b.listeners.Load(); all != nil {
		return len(*all)
	}
	return 0
}

// Listen opens a tap. The caller must Close it.
func (b *Bus) Listen(opts Options) (*Listener, error) {
	if b == nil {
		return nil, ErrClosed
	}
	l := newListener(b, opts)
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.all()
	switch {
	case b.closed:
		return nil, ErrClosed
	case len(all) >= MaxListeners:
		return nil, ErrTooManyListeners
	}
	next := append(slices.Clone(all), l)
	b.listeners.Store(&next)
	return l, nil
}

// Close ends all taps: their Done is closed. Later ones are refused. It is
// idempotent.
func (b *Bus) Close() {
	if b == nil {
		return
	}
	b.mu.Lock()
	b.closed = true
	all := b.all()
	b.listeners.Store(nil)
	b.mu.Unlock()
	for _, l := range all {
		l.end()
	}
}

// all returns the listeners; mu is held.
func (b *Bus) all() []*Listener {
	if all := b.listeners.Load(); all != nil {
		return *all
	}
	return nil
}

func (b *Bus) remove(l *Listener) {
	b.mu.Lock()
	defer b.mu.Unlock()
	next := slices.DeleteFunc(slices.Clone(b.all()), func(x *Listener) bool { return x == l })
	if len(next) == 0 {
		b.listeners.Store(nil)
		return
	}
	b.listeners.Store(&next)
}

package queueing

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/event"
)

// Bounds of what a reader has in flight. A window holds what is on its way and what
// was read and not settled; a letter is forgotten by us once it is read, so only the
// first part costs memory here: at most windowBytes, or minWindow letters if those
// are larger.
const (
	firstWindow = 64
	minWindow   = 16
	maxWindow   = 1024
	windowBytes = 16 << 20
	// maxWindows bounds the channels of one reader; RabbitMQ allows 2,047 on a
	// connection, which the deliveries of the sidecar share.
	maxWindows = 512
)

const (
	// quietTime is how long nothing may come before the broker is asked for more.
	quietTime = time.Second
	// stallTime is how long nothing may come although something is ready.
	stallTime = 10 * time.Second
	// orderTime bounds, for all windows of a reader together, the wait for the broker
	// to have taken back one before the next is given back.
	orderTime = 10 * time.Second
	// endTime bounds the wait for all that stays to be back.
	endTime = 2 * time.Second
)

var errLost = &broker.Error{Kind: broker.Closed, Op: "read the dead-letter queue", Err: errors.New(
	"the channel was closed; what was read is back in the queue: do it again")}

// CountLetters implements broker.Letters.
func (n *Node) CountLetters(ctx context.Context, s *mesh.Subscription) (broker.LetterCount, error) {
	state, err := n.on.Inspect(ctx, s.DeadLetterQueue)
	return broker.LetterCount{Place: s.DeadLetterQueue, Letters: state.Messages, Readers: state.Consumers}, err
}

// ReadLetters implements broker.Letters. What it holds is hidden from other readers, and
// the broker's own count of returns grows; a letter's attempts are in the letter.
func (n *Node) ReadLetters(ctx context.Context, s *mesh.Subscription, how broker.Reading, visit broker.Visitor) error {
	r := newReader(ctx, n.on, s.DeadLetterQueue, s.Queue.Type, how.Most, how.Shared)
	defer r.giveBack()
	return r.read(func(d *Delivery) (bool, error) {
		out := *d
		if l := d.DeadLetter; l != nil && l.Subscription == "" && (l.Part == "" || slices.Contains(Queues(s), l.Part)) {
			// The broker made it, and knows no subscriptions: it is s's if it came out of one
			// of its queues, or out of nobody knows which.
			named := *l
			named.Subscription = s.Name.String()
			out.DeadLetter = &named
		}
		return visit(n.handed(&out, s))
	})
}

// ReviveLetter implements broker.Letters. Its life begins anew, if it has an end.
func (n *Node) ReviveLetter(ctx context.Context, s *mesh.Subscription, d *broker.Delivery, toTopic bool) error {
	m := &Message{
		Of: own(d).Original, Revived: true, Event: d.Event, Trace: d.Trace, Priority: d.Priority, AppID: d.AppID,
		Headers: d.Headers, ReplyTo: d.ReplyTo, ContentEncoding: d.ContentEncoding,
		Mandatory: true, Persistent: true, Republished: true,
		Partition: d.Partition, Partitioned: d.Partitioned, TTL: d.Lifetime,
	}
	if d.Lifetime > 0 {
		m.Expires = time.Now().Add(d.Lifetime)
	}
	if toTopic {
		m.Exchange, m.RoutingKey = s.Exchange.Name, d.Origin.Key
	} else {
		m.RoutingKey = home(s, d)
		m.OriginExchange, m.OriginKey = d.Origin.Name, d.Origin.Key
	}
	return n.put(ctx, m)
}

// home is the queue of a subscription that an event comes from: with one queue a
// partition, where the partitioner would have led it.
func home(s *mesh.Subscription, d *broker.Delivery) string {
	switch {
	case s.Ordering != mesh.PerKey:
		return s.Queue.Name
	case d.Partitioned && d.Partition < s.Partitions.Count:
		return s.Queue.Partition(d.Partition)
	default:
		return s.Queue.Partition(0)
	}
}

// reader hands out messages from the head of a queue, in order, each once. They are
// consumed in windows, each on a channel of its own, as many as needed to read past
// what stays unsettled:
//
//	queue  ▷▷▷▷▷▷▷▷▷▷▷▷▷▷▷▷▷▷▷▷▷▷▷▷▷▷▷▷
//	       └─ full ─┘└─ full ──┘└ now ┘ …
//
// giveBack closes them in that order, so that everything has its place again. A
// full window stays attached: if its channel dies its messages come again, to it or
// to a later window, and that ends the reading.
type reader struct {
	driver Driver
	queue  string
	kind   string // the queue's type
	left   int    // messages still to be read
	stays  int    // messages that will be there in the end
	shared bool   // others take from the queue, too

	oldest   *Delivery          // the first that stayed unsettled; without its event
	lost     bool               // what was held is back already, or nobody can tell
	largest  int                // bytes of the largest message yet
	stop     context.CancelFunc // ends the flow of all windows
	flow     context.Context    //nolint:containedctx // of all windows, ended by stop
	failed   chan error         // cap 1: why reading cannot go on
	windows  []*window
	attached sync.WaitGroup // a goroutine a window
}

// window is one consumer.
type window struct {
	size     int
	held     int // read and not settled
	arrivals chan *Delivery
	drain    func() // set before its goroutine ends
}

// newReader prepares to read n messages at most; giveBack must be called. Shared says
// that others take from the queue, too.
func newReader(ctx context.Context, d Driver, queue, kind string, n int, shared bool) *reader {
	r := &reader{driver: d, queue: queue, kind: kind, left: n, stays: n, shared: shared, failed: make(chan error, 1)}
	r.flow, r.stop = context.WithCancel(ctx)
	return r
}

// giveBack gives everything unsettled back to the queue, in order.
//
// RabbitMQ answers the close of a channel before a quorum queue has noticed it, and
// the queue may notice two in either order (measured: in the seventh listing of a
// queue through 19 channels). So each must be seen to have come back before the next
// is closed, and the last before the job ends, lest the next job miss letters. That
// counts what is ready, and is wrong by letters that come in at that moment; where
// others consume, who may take what comes back, nobody waits for the last.
func (r *reader) giveBack() {
	r.stop()
	r.attached.Wait()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.flow), orderTime)
	defer cancel()
	for i, w := range r.windows {
		if w.held == 0 || r.lost {
			w.drain()
			continue
		}
		state, err := r.driver.Inspect(ctx, r.queue)
		w.drain()
		switch last := i == len(r.windows)-1; {
		case err != nil:
		case !last:
			r.awaitReady(ctx, state.Messages+w.held)
		case !r.shared:
			ctx, cancel := context.WithTimeout(ctx, endTime)
			defer cancel()
			r.awaitReady(ctx, r.stays) // with what the last window took and nobody visited
		}
	}
}

// awaitReady waits until n messages are ready, or for as long as ctx lets it.
func (r *reader) awaitReady(ctx context.Context, n int) {
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		state, err := r.driver.Inspect(ctx, r.queue)
		if err != nil || state.Messages >= n {
			return
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// visitor is broker.Visitor.
type visitor func(*Delivery) (settled bool, err error)

// read visits messages until left have been, or the queue is empty.
func (r *reader) read(visit visitor) error {
	for r.left > 0 {
		if len(r.windows) == maxWindows {
			return broker.ErrTooManyLetters
		}
		empty, err := r.readWindow(r.open(), visit)
		switch broker.KindOf(err) {
		case broker.Closed, broker.Unavailable:
			r.lost = true
		}
		if empty || err != nil {
			return err
		}
	}
	return nil
}

// readWindow visits what one more window takes. It returns when that is full, or
// the queue is empty, which it reports.
func (r *reader) readWindow(w *window, visit visitor) (empty bool, err error) {
	quiet := time.NewTimer(quietTime)
	defer quiet.Stop()
	last := time.Now()
	for r.left > 0 && w.held < w.size {
		select {
		case d := <-w.arrivals:
			settled, err := r.visit(d, visit)
			if !settled {
				w.held++
			}
			if err != nil {
				return false, err
			}
			last = time.Now()
			quiet.Reset(quietTime)
		case <-quiet.C:
			if empty, err := r.inspect(time.Since(last)); empty || err != nil {
				return empty, err
			}
			quiet.Reset(quietTime)
		case err := <-r.failed:
			return false, err
		case <-r.flow.Done():
			return false, r.flow.Err()
		}
	}
	return false, nil
}

// visit visits d, unless it is the oldest that is held, come again.
func (r *reader) visit(d *Delivery, visit visitor) (settled bool, err error) {
	if r.oldest != nil && again(r.oldest, d) {
		return false, errLost
	}
	r.left--
	r.largest = max(r.largest, len(d.Raw))
	settled, err = visit(d)
	if settled {
		r.stays--
	}
	if !settled && r.oldest == nil && d.DeadLetter != nil {
		kept := *d
		if d.Event != nil {
			kept.Event = &event.Event{ID: d.Event.ID, Source: d.Event.Source}
		}
		kept.Raw, kept.Original = nil, nil
		r.oldest = &kept
	}
	return settled, err
}

// again reports whether d is the letter before, handed out once more. The broker's
// count, where it counts, tells an exact copy apart.
func again(before, d *Delivery) bool {
	if d.DeadLetter == nil || !d.Redelivered || d.Returned <= before.Returned && d.Returned > 0 {
		return false
	}
	return *d.DeadLetter == *before.DeadLetter && d.MessageID() == before.MessageID() && sourceOf(d) == sourceOf(before)
}

func sourceOf(d *Delivery) string {
	if d.Event == nil {
		return ""
	}
	return d.Event.Source
}

// inspect finds out why nothing has come for so long.
func (r *reader) inspect(silent time.Duration) (empty bool, err error) {
	ctx, cancel := context.WithTimeout(r.flow, stallTime)
	defer cancel()
	state, err := r.driver.Inspect(ctx, r.queue)
	switch {
	case err != nil:
		return false, err
	case state.Messages > 0 && silent >= stallTime:
		return false, &broker.Error{Kind: broker.Unavailable, Op: fmt.Sprintf("read queue %q", r.queue),
			Err: fmt.Errorf("the broker hands nothing out although %d are ready", state.Messages)}
	}
	return state.Messages == 0, nil
}

// open attaches one more consumer behind what is read already.
func (r *reader) open() *window {
	w := &window{size: min(r.left, r.windowSize()), arrivals: make(chan *Delivery)}
	r.windows = append(r.windows, w)
	r.attached.Go(func() {
		epoch := uint64(0)
		opts := ConsumeOptions{Queue: r.queue, Prefetch: w.size, Tag: "warren-deadletter", Letters: true, Uncounted: r.kind == "classic"}
		var err error
		w.drain, err = r.driver.Consume(r.flow, opts, func(ds []*Delivery) {
			for _, d := range ds {
				if epoch != 0 && d.Epoch != epoch {
					r.fail(errLost)
					return
				}
				epoch = d.Epoch
				select {
				case w.arrivals <- d:
				case <-r.flow.Done():
				}
			}
		})
		if err != nil {
			r.fail(err)
		}
	})
	return w
}

// windowSize is for messages as large as the largest yet.
func (r *reader) windowSize() int {
	if r.largest == 0 {
		return firstWindow
	}
	return max(minWindow, min(windowBytes/r.largest, maxWindow))
}

func (r *reader) fail(err error) {
	select {
	case r.failed <- err:
	default: // one reason is enough
	}
}

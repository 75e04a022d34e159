package send

import (
	"errors"
	"net"
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/conn"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/frame"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
)

// openWire opens an AMQP channel in confirm mode.
func openWire(s *conn.Session) (*frameWire, error) {
	w := &frameWire{
		// Every return belongs to an undecided publish: a window's worth is enough.
		back:      make(chan frame.Returned, s.Options.Window),
		frameSize: s.FrameSize(),
	}
	err := s.Call(func() (err error) {
		if w.ch, w.hot, err = s.HotChannel(w, 0); err != nil {
			return err
		}
		w.closed = w.ch.NotifyClose(make(chan *amqp.Error, 1))
		return w.ch.Confirm(false)
	})
	return w, err
}

// frameWire is a wire on a hot channel. The broker numbers publishes from one on, and
// confirms each, or all up to one.
type frameWire struct {
	// Set by openWire.
	ch        *amqp.Channel
	hot       *frame.Channel
	closed    <-chan *amqp.Error
	back      chan frame.Returned
	frameSize int

	buffer []byte // owned by the channel's writer

	// Guarded by mu.
	mu    sync.Mutex
	first uint64          // number of the first publish in open
	open  []*frameConfirm // written and not confirmed, without gaps; nil is one that is
	over  bool            // no confirm comes any more
}

// frameConfirm implements confirmation.
type frameConfirm struct {
	done  chan struct{}
	acked bool // set before done is closed
}

// Done implements confirmation.
func (c *frameConfirm) Done() <-chan struct{} { return c.done }

// Acked implements confirmation.
func (c *frameConfirm) Acked() bool { return c.acked }

func (c *frameConfirm) decide(ack bool) {
	c.acked = ack
	close(c.done)
}

// publish implements wire.
func (w *frameWire) publish(p *pending) (confirmation, error) {
	c := &frameConfirm{done: make(chan struct{})}
	w.mu.Lock()
	if w.over {
		w.mu.Unlock()
		return nil, amqp.ErrClosed
	}
	if w.first == 0 {
		w.first = 1
	}
	w.open = append(w.open, c) // before it is written: the confirm may come at once
	w.mu.Unlock()

	var err error
	w.buffer, err = w.hot.Publish(w.buffer, p.exchange, p.key, p.mandatory, &p.properties, p.body, w.frameSize)
	if err != nil {
		return nil, w.unpublished(err)
	}
	return c, nil
}

// unpublished takes back the number of a publish that was not written.
func (w *frameWire) unpublished(err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.open); n > 0 {
		w.open = w.open[:n-1]
	}
	if errors.Is(err, net.ErrClosed) {
		return amqp.ErrClosed
	}
	return err
}

// returns implements wire.
func (w *frameWire) returns() <-chan frame.Returned { return w.back }

// isClosed implements wire.
func (w *frameWire) isClosed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.over || w.ch.IsClosed()
}

// fail ends everything that was not confirmed, once the channel is gone.
func (w *frameWire) fail() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	for _, c := range w.open {
		if c != nil {
			c.decide(false)
		}
	}
	w.open = nil
}

// Confirm implements frame.Taker. A number that is not open was never given, or was told
// before: the broker's fault, and no reason to believe it.
func (w *frameWire) Confirm(tag uint64, multiple, ack bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if tag == 0 && multiple {
		tag = w.first + uint64(len(w.open)) - 1 // all (AMQP 0-9-1, basic.ack)
	}
	if tag < w.first || tag-w.first >= uint64(len(w.open)) {
		return
	}
	at := int(tag - w.first) //nolint:gosec // less than len(w.open)
	from := at
	if multiple {
		from = 0
	}
	for i := from; i <= at; i++ {
		if c := w.open[i]; c != nil {
			c.decide(ack)
			w.open[i] = nil
		}
	}
	w.trim()
}

// trim forgets what is confirmed at the begin of open. It is called with mu held.
func (w *frameWire) trim() {
	n := 0
	for n < len(w.open) && w.open[n] == nil {
		n++
	}
	w.open, w.first = w.open[n:], w.first+uint64(n) //nolint:gosec // a count
}

// GiveBack implements frame.Taker.
func (w *frameWire) GiveBack(r frame.Returned) {
	select {
	case w.back <- r:
	default: // more returns than publishes: the broker's fault
	}
}

// Deliver implements frame.Taker. Nothing consumes here.
func (w *frameWire) Deliver(*message.Message) {}

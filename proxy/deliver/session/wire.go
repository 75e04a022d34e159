package session

import (
	"context"
	"runtime"

	"github.com/warrenmesh/warren/proxy/deliver/delivery"
)

// outboxSize is how many messages may wait for a client that reads slowly. When
// they are that many, deliveries stop and requests are read no further.
const outboxSize = 64

// maxGathered bounds the deliveries of one message in bytes on the wire, unless it is
// a single one. It is well under the 4 MiB that gRPC clients take unless told
// otherwise: one message over that would end the stream, again and again.
const maxGathered = 256 << 10

// wire is the two directions of a stream, each with a goroutine of its
// own, so that a session never blocks on its client: deadlines pass and drains
// begin whether or not the client reads.
type wire struct {
	stream Stream

	requests chan Request
	readErr  chan error // cap 1

	outbox   chan Response // closed by the session
	writeErr chan error    // cap 1
	written  chan struct{} // closed when write has returned

	spares chan []delivery.Handed // empty ones, to be used again
}

func newWire(stream Stream) *wire {
	return &wire{
		stream:   stream,
		requests: make(chan Request),
		readErr:  make(chan error, 1),
		outbox:   make(chan Response, outboxSize),
		writeErr: make(chan error, 1),
		written:  make(chan struct{}),
		spares:   make(chan []delivery.Handed, 2),
	}
}

// spare returns room for deliveries.
func (w *wire) spare() []delivery.Handed {
	select {
	case s := <-w.spares:
		return s
	default:
		return make([]delivery.Handed, 0, 64)
	}
}

// reuse keeps the room of deliveries that are sent.
func (w *wire) reuse(s []delivery.Handed) {
	if cap(s) == 0 || cap(s) > 1024 {
		return
	}
	clear(s)
	select {
	case w.spares <- s[:0]:
	default:
	}
}

// read passes requests on until the stream breaks or ctx ends.
func (w *wire) read(ctx context.Context) {
	for {
		req, err := w.stream.Receive()
		if err != nil {
			w.readErr <- err
			return
		}
		select {
		case w.requests <- req:
		case <-ctx.Done():
			return
		}
	}
}

// write sends what is in the outbox until that is closed or the stream breaks.
// Deliveries that wait there go out in one message.
func (w *wire) write() {
	defer close(w.written)
	var r Response
	for more := false; ; {
		if !more {
			var open bool
			if r, open = <-w.outbox; !open {
				return
			}
		}
		var next Response
		next, more = w.gather(&r)
		if err := w.stream.Send(r); err != nil {
			w.writeErr <- err
			return
		}
		w.reuse(r.Deliveries)
		r = next
	}
}

// gather adds the deliveries that wait in the outbox to those of r, and returns the
// first message that does not fit there, false when there is none.
func (w *wire) gather(r *Response) (next Response, more bool) {
	if len(r.Deliveries) == 0 {
		return next, false
	}
	runtime.Gosched() // the session may be about to say more
	for {
		select {
		case next, more = <-w.outbox:
			if !more {
				return next, false // closed: write finds out by itself
			}
		default:
			return next, false
		}
		if len(next.Deliveries) == 0 {
			return next, true
		}
		if r.Size()+next.Size() > maxGathered {
			return next, true
		}
		r.Deliveries = append(r.Deliveries, next.Deliveries...)
		r.Credit, r.size = next.Credit, r.Size()+next.Size()
		w.reuse(next.Deliveries)
	}
}

// Size is about how many bytes the deliveries of r take on the wire.
func (r *Response) Size() int {
	if r.size == 0 {
		for i := range r.Deliveries {
			r.size += r.Deliveries[i].Size()
		}
	}
	return r.size
}

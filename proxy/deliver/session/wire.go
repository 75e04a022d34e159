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
}

func newWire(stream Stream) *wire {
	return &wire{
		stream:   stream,
		requests: make(chan Request),
		readErr:  make(chan error, 1),
		outbox:   make(chan Response, outboxSize),
		writeErr: make(chan error, 1),
		written:  make(chan struct{}),
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
	size := 0
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
		if size == 0 {
			size = sizeAll(r.Deliveries)
		}
		if size += sizeAll(next.Deliveries); size > maxGathered {
			return next, true
		}
		r.Deliveries = append(r.Deliveries, next.Deliveries...)
		r.Credit = next.Credit
	}
}

func sizeAll(hs []delivery.Handed) (n int) {
	for i := range hs {
		n += hs[i].Size()
	}
	return n
}

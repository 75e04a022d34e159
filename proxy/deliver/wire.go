package deliver

import (
	"context"

	"google.golang.org/grpc"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
)

// outboxSize is how many messages may wait for a client that reads slowly. When
// they are that many, deliveries stop and requests are read no further.
const outboxSize = 16

// wire is the two directions of a Subscribe stream, each with a goroutine of its
// own, so that a session never blocks on its client: deadlines pass and drains
// begin whether or not the client reads.
type wire struct {
	stream grpc.BidiStreamingServer[eventsv1.SubscribeRequest, eventsv1.SubscribeResponse]

	requests chan *eventsv1.SubscribeRequest
	readErr  chan error // cap 1

	outbox   chan *eventsv1.SubscribeResponse // closed by the session
	writeErr chan error                       // cap 1
	written  chan struct{}                    // closed when write has returned
}

func newWire(stream grpc.BidiStreamingServer[eventsv1.SubscribeRequest, eventsv1.SubscribeResponse]) *wire {
	return &wire{
		stream:   stream,
		requests: make(chan *eventsv1.SubscribeRequest),
		readErr:  make(chan error, 1),
		outbox:   make(chan *eventsv1.SubscribeResponse, outboxSize),
		writeErr: make(chan error, 1),
		written:  make(chan struct{}),
	}
}

// read passes requests on until the stream breaks or ctx ends.
func (w *wire) read(ctx context.Context) {
	for {
		req, err := w.stream.Recv()
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
func (w *wire) write() {
	defer close(w.written)
	for r := range w.outbox {
		if err := w.stream.Send(r); err != nil {
			w.writeErr <- err
			return
		}
	}
}

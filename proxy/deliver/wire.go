package deliver

import (
	"context"
	"runtime"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
)

// outboxSize is how many messages may wait for a client that reads slowly. When
// they are that many, deliveries stop and requests are read no further.
const outboxSize = 64

// maxGathered bounds the deliveries of one message in bytes on the wire, unless it is
// a single one. It is well under the 4 MiB that gRPC clients take unless told
// otherwise: one message over that would end the stream, again and again.
const maxGathered = 256 << 10

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
// Deliveries that wait there go out in one message.
func (w *wire) write() {
	defer close(w.written)
	var next *eventsv1.SubscribeResponse
	for {
		r := next
		if r == nil {
			r = <-w.outbox
		}
		if r == nil {
			return
		}
		next = w.gather(r)
		if err := w.stream.Send(r); err != nil {
			w.writeErr <- err
			return
		}
	}
}

// gather adds the deliveries that wait in the outbox to those of r, and returns the
// first message that does not fit there, nil when there is none.
func (w *wire) gather(r *eventsv1.SubscribeResponse) (next *eventsv1.SubscribeResponse) {
	into := r.GetDeliveries()
	if into == nil {
		return nil
	}
	runtime.Gosched() // the session may be about to say more
	size := 0
	for {
		select {
		case next = <-w.outbox:
		default:
			return nil
		}
		more := next.GetDeliveries()
		if more == nil {
			return next
		}
		if size == 0 {
			size = proto.Size(into)
		}
		if size += proto.Size(more); size > maxGathered {
			return next
		}
		into.Deliveries = append(into.Deliveries, more.GetDeliveries()...)
		r.RemainingCredit = next.GetRemainingCredit()
	}
}

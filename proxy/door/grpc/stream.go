package grpc

import (
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/proxy/door/rpcerr"
	"github.com/warrenmesh/warren/proxy/metrics"
	"github.com/warrenmesh/warren/proxy/publish"
	"github.com/warrenmesh/warren/tracing/tracecontext"
)

// PublishStream implements EventService.PublishStream; see publish.Service for when it
// ends. Its server needs Codec.
func (d *Door) PublishStream(stream grpc.BidiStreamingServer[eventsv1.PublishStreamRequest, eventsv1.PublishStreamResponse]) error {
	if err := d.enter(); err != nil {
		return err
	}
	defer d.streams.Give(0)
	return rpcerr.From(d.publish.PublishStream(publishStream{stream, d.metrics}))
}

// publishStream implements publish.Stream, with requests and results of the codec's.
type publishStream struct {
	grpc.ServerStream
	metrics *metrics.Events
}

// Receive implements publish.Stream.
func (s publishStream) Receive() (publish.Request, error) {
	in := &streamRequest{}
	if err := s.RecvMsg(in); err != nil {
		return publish.Request{}, err
	}
	if in.message != nil {
		s.metrics.Slow(metrics.PublishDecode, len(in.message.GetEntries()))
		return requestOf(in.message), nil
	}
	s.metrics.Fast(metrics.PublishDecode, len(in.entries))
	return publish.Request{
		Held: in.heldBytes(),
		Batch: publish.Batch{Topic: in.topic, Len: len(in.entries), Entries: func(yield func(*publish.Entry) bool) {
			for i := range in.entries {
				if !yield(&in.entries[i]) {
					return
				}
				in.entries[i] = publish.Entry{} // it may be gone before the others are
			}
		}},
	}, nil
}

// Send implements publish.Stream.
func (s publishStream) Send(results []publish.StreamResult) error {
	return s.SendMsg(streamResponse(results))
}

// requestOf makes a request of its message.
func requestOf(req *eventsv1.PublishStreamRequest) publish.Request {
	return publish.Request{
		Held: heldBytes(req),
		Batch: publish.Batch{Topic: req.GetTopic(), Len: len(req.GetEntries()), Entries: func(yield func(*publish.Entry) bool) {
			var e publish.Entry
			for _, in := range req.GetEntries() {
				e = publish.Entry{ID: in.GetRequestId(), Topic: in.GetTopic(), Trace: tracecontext.OfEntry(in.GetTraceContext())}
				e.Err = decode(in, &e.Submission)
				if !yield(&e) {
					return
				}
			}
		}},
	}
}

const (
	// freeRequest is the size of a request that is not counted.
	freeRequest = 16 << 10
	// decodedEntry and decodedAttribute are what these cost at least when decoded.
	decodedEntry     = 256
	decodedAttribute = 128
	// decodedValue is how often a header's value is as large when decoded, at most.
	decodedValue = 32
)

// heldBytes is about what a request costs in memory, 0 when it is little.
func heldBytes(r *eventsv1.PublishStreamRequest) int64 {
	n := len(r.GetTopic())
	for _, e := range r.GetEntries() {
		event := e.GetEvent()
		n += decodedEntry + len(e.GetTopic()) + len(event.GetId()) + len(event.GetSource()) + len(event.GetType()) +
			len(event.GetBinaryData()) + len(event.GetTextData()) + len(event.GetProtoData().GetValue()) +
			decodedAttribute*(len(event.GetAttributes())+len(e.GetTraceContext()))
		for _, v := range event.GetAttributes() {
			n += len(v.GetCeString()) + len(v.GetCeBytes()) + len(v.GetCeUri()) + len(v.GetCeUriRef())
		}
		for name, v := range e.GetHeaders() {
			n += len(name) + decodedAttribute + decodedValue*proto.Size(v) // lists of small values become large
		}
	}
	if n < freeRequest {
		return 0
	}
	return int64(n)
}

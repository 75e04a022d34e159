package grpc

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/proxy/event/eventpb"
	"github.com/warrenmesh/warren/proxy/metrics"
	"github.com/warrenmesh/warren/proxy/publish"
	"github.com/warrenmesh/warren/tracing/tracecontext"
)

// The codec hands Publish and PublishStream what they publish, and takes what they answer,
// without the messages of the contract between: those cost more than all of the way to the
// broker. What is not as most clients write it becomes a message first, as everything did,
// and so does every error of decoding.

// Register serves d on a server with ServerOptions, whose codec knows what it takes.
func Register(server *grpc.Server, d *Door) {
	desc := eventsv1.EventService_ServiceDesc
	desc.Methods = append([]grpc.MethodDesc{}, desc.Methods...)
	for i := range desc.Methods {
		if desc.Methods[i].MethodName == "Publish" {
			desc.Methods[i].Handler = publishHandler
		}
	}
	server.RegisterService(&desc, d)
}

func publishHandler(srv any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) { //nolint:revive // grpc's order
	in := &publishRequest{}
	if err := decode(in); err != nil {
		return nil, err
	}
	d, _ := srv.(*Door)
	if intercept == nil {
		return d.publishRead(ctx, in)
	}
	info := &grpc.UnaryServerInfo{Server: srv, FullMethod: eventsv1.EventService_Publish_FullMethodName}
	return intercept(ctx, in, info, func(ctx context.Context, _ any) (any, error) { return d.publishRead(ctx, in) })
}

// publishRead is Publish.
func (d *Door) publishRead(ctx context.Context, in *publishRequest) (any, error) {
	if in.decoded {
		d.metrics.Slow(metrics.PublishDecode, 1)
	} else {
		d.metrics.Fast(metrics.PublishDecode, 1)
	}
	if in.err != nil {
		return nil, refuse(ctx, in.err)
	}
	receipt, err := d.publish.Publish(ctx, in.topic, &in.submission)
	if err != nil {
		return nil, refuse(ctx, err)
	}
	return (*publishResponse)(&receipt), nil
}

// read is what a request is read into.
type read interface {
	// scan reads the wire form b, of which it keeps nothing. It returns false for what it
	// leaves to a message.
	scan(b []byte) bool
	// empty is the message, and take what becomes of it.
	empty() proto.Message
	take(m proto.Message)
}

// read reads data into v.
func (f frugal) read(data mem.BufferSlice, v read) error {
	whole := data.MaterializeToBuffer(&buffers)
	defer whole.Free()
	if v.scan(whole.ReadOnlyData()) {
		return nil
	}
	m := v.empty()
	if err := f.Unmarshal(mem.BufferSlice{whole}, m); err != nil {
		return err
	}
	v.take(m)
	return nil
}

// publishRequest is a PublishRequest.
type publishRequest struct {
	topic      string
	submission publish.Submission
	err        error // why there is no submission
	decoded    bool  // it was a message first
}

func (*publishRequest) empty() proto.Message { return &eventsv1.PublishRequest{} }

func (r *publishRequest) take(m proto.Message) {
	p, _ := m.(*eventsv1.PublishRequest)
	*r = publishRequest{topic: p.GetTopic(), decoded: true}
	r.err = decode(p, &r.submission)
}

func (r *publishRequest) scan(b []byte) bool {
	var seen uint64
	for w := eventpb.NewWire(b); !w.Done(); {
		number, kind := w.Tag()
		if w.Bad() || repeated(&seen, number) {
			return false
		}
		ok := true
		switch number {
		case 1:
			r.topic = w.String(w.Text(kind))
		case 2:
			r.submission.Event, _, ok = eventpb.FromWire(w.Slice(w.Bytes(kind)))
		case 4:
			r.submission.ReplyTo = w.String(w.Text(kind))
		case 5:
			r.submission.ContentEncoding = w.String(w.Text(kind))
		default:
			return false
		}
		if !ok || w.Bad() {
			return false
		}
	}
	return r.submission.Event != nil
}

// repeated reports whether a field has come before.
func repeated(seen *uint64, number protowire.Number) bool {
	if number >= 64 {
		return true // none of ours
	}
	bit := uint64(1) << number
	had := *seen&bit != 0
	*seen |= bit
	return had
}

// streamRequest is a PublishStreamRequest.
type streamRequest struct {
	topic   string
	entries []publish.Entry
	message *eventsv1.PublishStreamRequest // instead of both, if it was read so
}

func (*streamRequest) empty() proto.Message { return &eventsv1.PublishStreamRequest{} }

func (r *streamRequest) take(m proto.Message) { r.message, _ = m.(*eventsv1.PublishStreamRequest) }

func (r *streamRequest) scan(b []byte) bool {
	count := 0
	for w := eventpb.NewWire(b); !w.Done(); {
		number, kind := w.Tag()
		w.Skip(number, kind)
		if count++; w.Bad() || count > maxEntries {
			return false
		}
	}
	r.entries = make([]publish.Entry, 0, min(count, publish.Window))
	fields := count
	for w := eventpb.NewWire(b); !w.Done(); {
		switch number, kind := w.Tag(); number {
		case 1:
			if r.topic != "" {
				return false
			}
			r.topic = w.String(w.Text(kind))
		case 2:
			n, ok := r.entry(&w, w.Bytes(kind))
			if fields += n; !ok || fields > maxElements {
				return false
			}
		default:
			return false
		}
		if w.Bad() {
			return false
		}
	}
	return true
}

// entry reads a PublishStreamEntry, of which it counts the fields.
func (r *streamRequest) entry(of *eventpb.Wire, at eventpb.Span) (fields int, ok bool) {
	r.entries = append(r.entries, publish.Entry{})
	e := &r.entries[len(r.entries)-1]
	var seen uint64
	for w := of.Within(at); !w.Done(); {
		number, kind := w.Tag()
		if w.Bad() || number != 3 && repeated(&seen, number) {
			return 0, false
		}
		fields++
		ok := true
		switch number {
		case 1:
			e.ID = w.Varint(kind)
		case 2:
			var n int
			e.Submission.Event, n, ok = eventpb.FromWire(w.Slice(w.Bytes(kind)))
			fields += n
		case 3:
			ok = addTrace(e, &w, w.Bytes(kind))
			fields += 2
		case 4:
			e.Topic = w.String(w.Text(kind))
		case 6:
			e.Submission.ReplyTo = w.String(w.Text(kind))
		case 7:
			e.Submission.ContentEncoding = w.String(w.Text(kind))
		default:
			return 0, false
		}
		if !ok || w.Bad() {
			return 0, false
		}
	}
	return fields, e.Submission.Event != nil
}

// addTrace adds an entry of the trace context. What it does not know is left out.
func addTrace(e *publish.Entry, w *eventpb.Wire, at eventpb.Span) bool {
	key, value, ok := eventpb.Entry(w, at)
	if !ok || !w.IsText(value) {
		return false
	}
	switch string(w.Slice(key)) {
	case tracecontext.HeaderParent:
		e.Trace.Parent = w.String(value)
	case tracecontext.HeaderState:
		e.Trace.State = w.String(value)
	case tracecontext.HeaderBaggage:
		e.Trace.Baggage = w.String(value)
	}
	return true
}

// heldBytes is about what a request costs in memory, 0 when it is little.
func (r *streamRequest) heldBytes() int64 {
	n := int64(len(r.topic))
	for i := range r.entries {
		e := &r.entries[i]
		event := e.Submission.Event
		n += int64(decodedEntry + len(e.Topic) + len(event.ID) + len(event.Source) + len(event.Type) + len(event.Data) +
			len(e.Trace.Parent) + len(e.Trace.State) + len(e.Trace.Baggage) + decodedAttribute*len(event.Attrs))
		for j := range event.Attrs {
			n += int64(event.Attrs[j].Value.Len())
		}
	}
	if n < freeRequest {
		return 0
	}
	return n
}

package grpc

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/proxy/event/eventpb"
	"github.com/warrenmesh/warren/proxy/metrics"
	"github.com/warrenmesh/warren/proxy/publish"
	"github.com/warrenmesh/warren/proxy/refusal"
	"github.com/warrenmesh/warren/tracing/tracecontext"
)

// Publish implements EventService.Publish.
func (d *Door) Publish(ctx context.Context, req *eventsv1.PublishRequest) (*eventsv1.PublishResponse, error) {
	d.metrics.Slow(metrics.PublishDecode, 1)
	var s publish.Submission
	if err := decode(req, &s); err != nil {
		return nil, refuse(ctx, err)
	}
	receipt, err := d.publish.Publish(ctx, req.GetTopic(), &s)
	if err != nil {
		return nil, refuse(ctx, err)
	}
	return responseOf(receipt), nil
}

// PublishBatch implements EventService.PublishBatch; see publish.Service for when it fails
// as a whole.
func (d *Door) PublishBatch(ctx context.Context, req *eventsv1.PublishBatchRequest) (*eventsv1.PublishBatchResponse, error) {
	d.metrics.Slow(metrics.PublishDecode, len(req.GetEntries()))
	results, err := d.publish.PublishBatch(ctx, publish.Batch{
		Topic: req.GetTopic(), Len: len(req.GetEntries()),
		Entries: func(yield func(*publish.Entry) bool) {
			var e publish.Entry
			for _, in := range req.GetEntries() {
				e = publish.Entry{Trace: tracecontext.OfEntry(in.GetTraceContext())}
				e.Err = decode(in, &e.Submission)
				if !yield(&e) {
					return
				}
			}
		},
	})
	if err != nil {
		return nil, refuse(ctx, err)
	}
	out := &eventsv1.PublishBatchResponse{Results: make([]*eventsv1.PublishResult, len(results))}
	for i := range results {
		out.Results[i] = resultOf(&results[i])
	}
	return out, nil
}

func responseOf(r publish.Receipt) *eventsv1.PublishResponse {
	return &eventsv1.PublishResponse{
		EventId: r.EventID, Route: r.Route, Topic: r.Topic, Attempts: int32(r.Attempts), //nolint:gosec // bounded by the retry policy
	}
}

func resultOf(r *publish.Result) *eventsv1.PublishResult {
	if r.Err != nil {
		return &eventsv1.PublishResult{Status: statusOf(r.Err)}
	}
	return &eventsv1.PublishResult{Response: responseOf(r.Receipt)}
}

// submission is what requests and entries have in common.
type submission interface {
	GetEvent() *eventsv1.CloudEvent
	GetHeaders() map[string]*eventsv1.HeaderValue
	GetReplyTo() string
	GetContentEncoding() string
}

// maxHeaderBytes bounds the headers of a publish, as drivers bound all headers of a
// message.
const maxHeaderBytes = 64 << 10

// decode makes of p what the passage takes. The data of the event is shared with p.
func decode(p submission, into *publish.Submission) error {
	e, err := eventpb.FromProto(p.GetEvent())
	if err != nil {
		return publish.Invalid(err)
	}
	into.Event, into.ReplyTo, into.ContentEncoding = e, p.GetReplyTo(), p.GetContentEncoding()
	headers := p.GetHeaders()
	if len(headers) == 0 {
		return nil
	}
	size := proto.Size(&eventsv1.HeaderTable{Headers: headers})
	if size > maxHeaderBytes {
		return refusal.Field(refusal.EventTooLarge, "headers", fmt.Sprintf("have %d bytes; at most %d are allowed", size, maxHeaderBytes))
	}
	into.HeaderBytes = int64(size)
	if into.Headers, err = eventpb.HeadersFromProto(headers); err != nil {
		return invalidHeader(err)
	}
	return nil
}

func invalidHeader(err error) error {
	var he *eventpb.HeaderError
	if errors.As(err, &he) {
		return refusal.Field(refusal.InvalidRequest, "headers."+refusal.Clip(he.Name), he.Reason)
	}
	return refusal.Field(refusal.InvalidRequest, "headers", err.Error())
}

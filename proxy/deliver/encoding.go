package deliver

import (
	"errors"
	"fmt"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/event/coding"
	"github.com/warrenmesh/warren/proxy/event/eventpb"
)

// view is a delivery as the service sees it.
type view struct {
	event           *eventsv1.CloudEvent
	headers         map[string]*eventsv1.HeaderValue
	replyTo         string
	contentEncoding string
}

// see makes the view of d. Where the subscription asks for it, compressed data is
// decoded for the service alone: d itself, and every copy that is made of it, keeps its
// bytes. An encoding that is not known is handed on: it may be a charset. An error says
// that d cannot be decoded.
func see(sub *Subscription, d *broker.Delivery) (*view, error) {
	v := &view{
		event: eventpb.ToProto(d.Event), headers: eventpb.HeadersToProto(d.Headers),
		replyTo: d.ReplyTo, contentEncoding: d.ContentEncoding,
	}
	if sub.MaxDecoded == 0 || d.ContentEncoding == "" {
		return v, nil
	}
	data, err := coding.Decode(d.ContentEncoding, d.Event.Data, int(sub.MaxDecoded))
	switch {
	case errors.Is(err, coding.ErrUnknown):
		return v, nil
	case err != nil:
		return nil, fmt.Errorf("data cannot be decoded: %w", err)
	}
	v.event.Data, v.contentEncoding = nil, ""
	if len(data) > 0 {
		v.event.Data = &eventsv1.CloudEvent_BinaryData{BinaryData: data}
	}
	return v, nil
}

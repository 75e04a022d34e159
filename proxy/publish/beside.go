package publish

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/event/eventpb"
	"github.com/warrenmesh/warren/proxy/route"
	"github.com/warrenmesh/warren/proxy/rpcerr"
)

// submission is one event that a service publishes, with what travels beside it.
type submission interface {
	GetEvent() *eventsv1.CloudEvent
	GetHeaders() map[string]*eventsv1.HeaderValue
	GetReplyTo() string
	GetContentEncoding() string
}

// beside is what travels beside an event. Whether it may is for the topic to say.
type beside struct {
	headers         []broker.Header
	replyTo         string
	contentEncoding string
	size            int64 // in the budget of what is in flight
}

const (
	// maxHeaderBytes bounds the headers of a publish, as drivers bound all headers of a
	// message.
	maxHeaderBytes = 64 << 10
	// directReply is RabbitMQ's pseudo-queue for answers to the same channel: a message
	// that names it closes a channel that does not consume from it.
	directReply = "amq.rabbitmq.reply-to"
)

// acceptBeside turns what a service sent into what AMQP can carry.
func acceptBeside(p submission) (beside, error) {
	b := beside{replyTo: p.GetReplyTo(), contentEncoding: p.GetContentEncoding()}
	switch {
	case len(b.replyTo) > mesh.MaxHeader:
		return b, tooLong(mesh.PropertyReplyTo, b.replyTo)
	case len(b.contentEncoding) > mesh.MaxHeader:
		return b, tooLong(mesh.PropertyContentEncoding, b.contentEncoding)
	case b.replyTo == directReply:
		return b, rpcerr.Field(rpcerr.InvalidRequest, mesh.PropertyReplyTo, "must name a queue; RabbitMQ's direct reply-to works on one channel only")
	}
	headers := p.GetHeaders()
	if len(headers) == 0 {
		return b, nil
	}
	size := proto.Size(&eventsv1.HeaderTable{Headers: headers})
	if size > maxHeaderBytes {
		return b, rpcerr.Field(rpcerr.EventTooLarge, "headers", fmt.Sprintf("have %d bytes; at most %d are allowed", size, maxHeaderBytes))
	}
	var err error
	if b.headers, err = eventpb.HeadersFromProto(headers); err != nil {
		return b, invalidHeader(err)
	}
	b.size = int64(size)
	return b, nil
}

func tooLong(field, s string) error {
	return rpcerr.Field(rpcerr.InvalidRequest, field, fmt.Sprintf("has %d bytes; AMQP allows %d", len(s), mesh.MaxHeader))
}

func invalidHeader(err error) error {
	var he *eventpb.HeaderError
	if errors.As(err, &he) {
		return rpcerr.Field(rpcerr.InvalidRequest, "headers."+clip(he.Name), he.Reason)
	}
	return rpcerr.Field(rpcerr.InvalidRequest, "headers", err.Error())
}

// addTo puts b beside the event of m as far as m's topic allows it; what it does not
// allow is an error that names the field.
func (b *beside) addTo(m *broker.Message, to *route.Backend) error {
	for i := range b.headers {
		name := b.headers[i].Name
		switch {
		case name == "" || len(name) > mesh.MaxHeader:
			return rpcerr.Field(rpcerr.InvalidRequest, "headers."+clip(name), fmt.Sprintf("its name has %d bytes; AMQP allows 1 to %d", len(name), mesh.MaxHeader))
		case mesh.ReservedHeader(name):
			return rpcerr.Field(rpcerr.InvalidRequest, "headers."+name, "is reserved, and never set by publishers")
		case !to.Headers.Allows(name):
			return notAllowed("headers."+name, name, to)
		}
	}
	if b.replyTo != "" && !to.Headers.Allows(mesh.PropertyReplyTo) {
		return notAllowed(mesh.PropertyReplyTo, mesh.PropertyReplyTo, to)
	}
	if b.contentEncoding != "" && !to.Headers.Allows(mesh.PropertyContentEncoding) {
		return notAllowed(mesh.PropertyContentEncoding, mesh.PropertyContentEncoding, to)
	}
	m.Headers, m.ReplyTo, m.ContentEncoding = b.headers, b.replyTo, b.contentEncoding
	return nil
}

func notAllowed(field, entry string, to *route.Backend) error {
	return rpcerr.Field(rpcerr.InvalidRequest, field, fmt.Sprintf("is not allowed by EventTopic %s; its publish.headers must list %q", to.Topic, entry))
}

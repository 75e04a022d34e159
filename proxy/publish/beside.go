package publish

import (
	"fmt"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/refusal"
	"github.com/warrenmesh/warren/proxy/route"
)

// directReply is RabbitMQ's pseudo-queue for answers to the same channel: a message that
// names it closes a channel that does not consume from it.
const directReply = "amq.rabbitmq.reply-to"

// check refuses what no topic could allow.
func (b *Submission) check() error {
	switch {
	case len(b.ReplyTo) > mesh.MaxHeader:
		return tooLong(mesh.PropertyReplyTo, b.ReplyTo)
	case len(b.ContentEncoding) > mesh.MaxHeader:
		return tooLong(mesh.PropertyContentEncoding, b.ContentEncoding)
	case b.ReplyTo == directReply:
		return refusal.Field(refusal.InvalidRequest, mesh.PropertyReplyTo, "must name a queue; RabbitMQ's direct reply-to works on one channel only")
	default:
		return nil
	}
}

func tooLong(field, s string) error {
	return refusal.Field(refusal.InvalidRequest, field, fmt.Sprintf("has %d bytes; AMQP allows %d", len(s), mesh.MaxHeader))
}

// addTo puts b beside the event of m as far as m's topic allows it; what it does not
// allow is an error that names the field.
func (b *Submission) addTo(m *broker.Message, to *route.Backend) error {
	for i := range b.Headers {
		name := b.Headers[i].Name
		switch {
		case name == "" || len(name) > mesh.MaxHeader:
			return refusal.Field(refusal.InvalidRequest, "headers."+refusal.Clip(name), fmt.Sprintf("its name has %d bytes; AMQP allows 1 to %d", len(name), mesh.MaxHeader))
		case mesh.ReservedHeader(name):
			return refusal.Field(refusal.InvalidRequest, "headers."+name, "is reserved, and never set by publishers")
		case !to.Headers.Allows(name):
			return notAllowed("headers."+name, name, to)
		}
	}
	if b.ReplyTo != "" && !to.Headers.Allows(mesh.PropertyReplyTo) {
		return notAllowed(mesh.PropertyReplyTo, mesh.PropertyReplyTo, to)
	}
	if b.ContentEncoding != "" && !to.Headers.Allows(mesh.PropertyContentEncoding) {
		return notAllowed(mesh.PropertyContentEncoding, mesh.PropertyContentEncoding, to)
	}
	m.Headers, m.ReplyTo, m.ContentEncoding = b.Headers, b.ReplyTo, b.ContentEncoding
	return nil
}

func notAllowed(field, entry string, to *route.Backend) error {
	return refusal.Field(refusal.InvalidRequest, field, fmt.Sprintf("is not allowed by EventTopic %s; its publish.headers must list %q", to.Topic, entry))
}

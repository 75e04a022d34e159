package envelope

import (
	"fmt"
	"slices"
	"strings"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/fault"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
)

// Original implements queueing.Original: a message with everything it had. Most are never
// copied, so its properties are kept as they came.
type Original struct {
	Encoded string
	Body    []byte

	ours bool // it came by Warren's own way: its warren- headers are true
}

// Size implements queueing.Original.
func (o *Original) Size() int { return len(o.Encoded) + len(o.Body) }

// Properties are the message's. Of a header table that is broken they have all bytes.
func (o *Original) Properties() message.Properties {
	p, _ := message.ParseProperties(o.Encoded) // what it says of the table was told of the delivery
	return p
}

// brokersHeader tells the headers RabbitMQ writes about what happened to a message. They
// say nothing of a copy, and those of another queue's death would make RabbitMQ take the
// copy's way through a delay queue for a cycle, and drop it.
func brokersHeader(name string) bool {
	switch name {
	case deathHeader, deliveryCountHeader, acquiredCountHeader:
		return true
	default:
		return strings.HasPrefix(name, "x-first-death-") || strings.HasPrefix(name, "x-last-death-")
	}
}

// ourHeader tells the headers that Warren writes.
func ourHeader(name string) bool {
	return strings.HasPrefix(name, reservedPrefix) && slices.Contains(ourHeaders, name)
}

// ourHeaders are all of them. Another one that begins with the prefix is a producer's
// mistake, and stays.
var ourHeaders = []string{
	attemptHeader, republishedHeader, originExchangeHeader, originKeyHeader, PartitionHeader, firstFailureHeader,
	expiresHeader, crashesHeader, lifetimeHeader, userIDHeader, CopyHeader,
	deadReasonHeader, deadDetailHeader, deadSubscriptionHeader, deadExchangeHeader, deadRoutingKeyHeader,
	deadAttemptsHeader, deadFirstFailureHeader, deadTimeHeader, deadCutHeader,
}

// encodeCopy makes the AMQP form of a copy: what was handed out, with Warren's headers
// as m says.
//
// Two properties cannot be the copy's and are kept in headers: user_id, for RabbitMQ
// refuses another user's than the connection's, and the expiration, which would begin
// anew with each copy. A message that is put back has its expiration again.
func encodeCopy(m *queueing.Message, o *Original) (message.Properties, error) {
	was := o.Properties()
	p := was
	p.Headers = p.Headers.Without(func(name string) bool { return brokersHeader(name) || ourHeader(name) })
	lifetime, user := p.Expiration, p.UserID
	if o.ours {
		lifetime, user = orText(lifetime, &was.Headers, lifetimeHeader), orText(user, &was.Headers, userIDHeader)
	}
	p.Drop(message.HasExpiration | message.HasUserID)
	if m.Persistent {
		p.DeliveryMode = message.Persistent
	}
	if user != "" {
		p.Headers.AddText(userIDHeader, user)
	}
	if m.Revived {
		p.Expiration = lifetime
	} else {
		p.Expiration = milliseconds(m.TTL)
		if lifetime != "" {
			p.Headers.AddText(lifetimeHeader, lifetime)
		}
	}
	addHop(&p.Headers, m)
	if m.DeadLetter != nil && !m.Whole {
		fitLetter(&p, m.DeadLetter)
	}
	if n := p.Size(); n > maxCopyHeader {
		return p, fault.NotSent(broker.TooLarge, fault.PublishOp(m.Exchange), fmt.Errorf("headers of %d bytes: want at most %d", n, maxCopyHeader))
	}
	return p, nil
}

func orText(s string, t *message.Table, name string) string {
	if s == "" {
		s = t.Text(name)
	}
	return s
}

// maxCopyHeader is the most bytes of a copy's properties: what a frame holds. What was
// published within Limits.HeaderBytes has room to spare for what a copy adds.
const maxCopyHeader = message.FrameSize - 64

// fitLetter leaves headers out of a dead letter until it fits in a frame, the largest
// first, and says so.
func fitLetter(p *message.Properties, d *broker.DeadLetter) {
	var cut []string
	var bytes int
	for p.Size()+len(deadCutHeader)+maxDetail+8 > maxCopyHeader {
		i := largestField(p.Headers.Fields)
		if i < 0 {
			break
		}
		f := p.Headers.Fields[i]
		cut, bytes = append(cut, f.Name), bytes+f.Size()
		p.Headers.Fields = slices.Delete(p.Headers.Fields, i, i+1)
	}
	if d.Cut != "" {
		p.Headers.AddText(deadCutHeader, cutText(d.Cut, maxDetail))
	} else if len(cut) > 0 {
		text := fmt.Sprintf("%d headers of %d bytes do not fit: %s", len(cut), bytes, strings.Join(cut, " "))
		p.Headers.AddText(deadCutHeader, cutText(text, maxDetail))
	}
}

// largestField is the index of the largest field that is not Warren's, -1 when there is none.
func largestField(fields []message.Field) int {
	at := -1
	for i := range fields {
		if !ourHeader(fields[i].Name) && (at < 0 || fields[i].Size() > fields[at].Size()) {
			at = i
		}
	}
	return at
}

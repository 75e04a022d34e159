package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
)

// Message is a message as queues keep it. It is read-only: queues share it.
type Message struct {
	queueing.Message
	Lifetime time.Duration // the TTL of its first publish
}

// Original is a message that was handed out, as what a copy is made of.
type Original Message

var _ queueing.Original = (*Original)(nil)

// Size implements queueing.Original.
func (o *Original) Size() int {
	size := len(o.Event.Data) + len(o.Event.ID) + len(o.Event.Source) + len(o.Event.Type)
	for i := range o.Event.Attrs {
		size += len(o.Event.Attrs[i].Name) + len(o.Event.Attrs[i].Value.String())
	}
	for i := range o.Headers {
		size += len(o.Headers[i].Name) + len(fmt.Sprint(o.Headers[i].Value))
	}
	return size
}

// ID is Delivery.ID of what is read as no event.
func (o *Original) ID() string {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%q %q %q ", o.Event.ID, o.Event.Source, o.Event.Type)
	_, _ = h.Write(o.Event.Data)
	return "malformed-" + hex.EncodeToString(h.Sum(nil)[:8])
}

// Keep copies m with everything its owner may change once the outcome is told, and
// makes a copy of what it is a copy of.
func Keep(m *queueing.Message) *Message {
	if of, ok := m.Of.(*Original); ok {
		return keepCopy(of, m)
	}
	c := &Message{Message: *m, Lifetime: m.TTL}
	c.Event = m.Event.Clone()
	c.Event.Data = bytes.Clone(m.Event.Data)
	c.Headers = slices.Clone(m.Headers)
	if m.DeadLetter != nil {
		letter := *m.DeadLetter
		c.DeadLetter = &letter
	}
	return c
}

// keepCopy is what was handed out, with what m says anew.
func keepCopy(of *Original, m *queueing.Message) *Message {
	c := &Message{Message: *m, Lifetime: of.Lifetime}
	c.Of = nil
	c.Event, c.Headers, c.ReplyTo, c.ContentEncoding = of.Event, of.Headers, of.ReplyTo, of.ContentEncoding
	c.Trace, c.Priority, c.AppID = of.Trace, of.Priority, of.AppID
	if m.Revived {
		c.TTL = of.Lifetime
	}
	if m.DeadLetter != nil {
		letter := *m.DeadLetter
		c.DeadLetter = &letter
	}
	return c
}

// Origin is where the message was first published.
func (m *Message) Origin() (exchange, key string) {
	if m.OriginExchange != "" || m.OriginKey != "" {
		return m.OriginExchange, m.OriginKey
	}
	return m.Exchange, m.RoutingKey
}

// Letter is the entry's message as a dead letter that the broker made.
func (e *Entry) Letter(reason string) *Message {
	m := *e.Message
	m.TTL = 0
	exchange, key := m.Origin()
	m.OriginExchange, m.OriginKey = exchange, key
	m.DeadLetter = &broker.DeadLetter{
		Reason: reason, Origin: broker.Origin{Name: exchange, Key: key},
		Attempts: e.Attempt, FirstFailure: m.FirstFailure, Time: time.Now(),
	}
	return &m
}

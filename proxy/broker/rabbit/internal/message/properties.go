package message

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
)

// Flag is a bit of the property flags: the property is there, if perhaps empty.
type Flag uint16

// The flags (AMQP 0-9-1, class basic).
const (
	HasContentType     Flag = 1 << 15
	HasContentEncoding Flag = 1 << 14
	HasHeaders         Flag = 1 << 13
	HasDeliveryMode    Flag = 1 << 12
	HasPriority        Flag = 1 << 11
	HasCorrelationID   Flag = 1 << 10
	HasReplyTo         Flag = 1 << 9
	HasExpiration      Flag = 1 << 8
	HasMessageID       Flag = 1 << 7
	HasTimestamp       Flag = 1 << 6
	HasType            Flag = 1 << 5
	HasUserID          Flag = 1 << 4
	HasAppID           Flag = 1 << 3
	HasClusterID       Flag = 1 << 2
)

// Persistent is the delivery mode of a message that outlives a restart.
const Persistent = 2

// MaxShort is the most bytes of a short string: names, keys, most properties.
const MaxShort = 255

// FrameSize is the size of frames that Warren proposes to a broker, RabbitMQ's default. The
// properties of a message must fit in one.
const FrameSize = 131072

// Properties are the properties of a message. One is written if it has its flag, or is
// not the zero value. Strings of more than MaxName bytes are written cut: leave them out.
type Properties struct {
	Flags           Flag
	ContentType     string
	ContentEncoding string
	Headers         Table
	DeliveryMode    uint8
	Priority        uint8
	CorrelationID   string
	ReplyTo         string
	Expiration      string
	MessageID       string
	Timestamp       uint64 // seconds since 1970, as AMQP says
	Type            string
	UserID          string
	AppID           string
	ClusterID       string
}

// Has reports whether the property is there.
func (p *Properties) Has(f Flag) bool { return p.Flags&f != 0 }

// A HeadersError says that the header table is broken; everything else of the
// Properties is good, and Headers has what is before the fault.
type HeadersError struct{ Err error }

// Error implements error.
func (e *HeadersError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *HeadersError) Unwrap() error { return e.Err }

// ParseProperties reads the flags and the property list of a content header, whose strings
// share encoded. The error is a *HeadersError if only the header table is broken.
func ParseProperties(encoded string) (Properties, error) {
	p := Properties{}
	err := p.Parse(encoded)
	return p, err
}

// Parse is ParseProperties for a p that was used before: it replaces everything in p, and
// uses the room of the fields again.
func (p *Properties) Parse(encoded string) error {
	r := reader{s: encoded}
	*p = Properties{Headers: Table{Fields: p.Headers.Fields[:0]}}
	high := r.bytes(2)
	if r.err != nil {
		return fmt.Errorf("property flags: %w", r.err)
	}
	p.Flags = Flag(high[0])<<8 | Flag(high[1])
	if p.Flags&3 != 0 {
		return fmt.Errorf("property flags 0x%04x: no such property", uint16(p.Flags))
	}
	var broken error
	p.ContentType = r.short(p.Has(HasContentType))
	p.ContentEncoding = r.short(p.Has(HasContentEncoding))
	if p.Has(HasHeaders) {
		broken = p.Headers.parse(r.long())
	}
	p.DeliveryMode = r.octet(p.Has(HasDeliveryMode))
	p.Priority = r.octet(p.Has(HasPriority))
	p.CorrelationID = r.short(p.Has(HasCorrelationID))
	p.ReplyTo = r.short(p.Has(HasReplyTo))
	p.Expiration = r.short(p.Has(HasExpiration))
	p.MessageID = r.short(p.Has(HasMessageID))
	if p.Has(HasTimestamp) {
		f := Field{Raw: r.bytes(8)}
		p.Timestamp = f.bits()
	}
	p.Type = r.short(p.Has(HasType))
	p.UserID = r.short(p.Has(HasUserID))
	p.AppID = r.short(p.Has(HasAppID))
	p.ClusterID = r.short(p.Has(HasClusterID))
	switch {
	case r.err != nil:
		return fmt.Errorf("properties: %w", r.err)
	case len(r.s) > 0:
		return errors.New("properties: more bytes than their flags say")
	case broken != nil:
		return &HeadersError{Err: broken}
	}
	return nil
}

// reader takes values off the front of s. After an error all values are empty.
type reader struct {
	s   string
	err error
}

func (r *reader) bytes(n int) string {
	if r.err == nil && len(r.s) < n {
		r.err = errShort
	}
	if r.err != nil {
		return ""
	}
	out := r.s[:n]
	r.s = r.s[n:]
	return out
}

func (r *reader) octet(there bool) uint8 {
	if !there {
		return 0
	}
	if b := r.bytes(1); b != "" {
		return b[0]
	}
	return 0
}

func (r *reader) short(there bool) string {
	if !there {
		return ""
	}
	return r.bytes(int(r.octet(true)))
}

func (r *reader) long() string {
	f := Field{Raw: r.bytes(4)}
	n := f.bits()
	if n > uint64(len(r.s)) {
		r.err = errShort
		return ""
	}
	return r.bytes(int(n)) //nolint:gosec // at most len(r.s)
}

type text struct {
	flag Flag
	s    string
}

// texts are the properties that are short strings.
func (p *Properties) texts() [10]text {
	return [...]text{
		{HasContentType, p.ContentType},
		{HasContentEncoding, p.ContentEncoding},
		{HasCorrelationID, p.CorrelationID},
		{HasReplyTo, p.ReplyTo},
		{HasExpiration, p.Expiration},
		{HasMessageID, p.MessageID},
		{HasType, p.Type},
		{HasUserID, p.UserID},
		{HasAppID, p.AppID},
		{HasClusterID, p.ClusterID},
	}
}

// flags are those of everything that is to be written.
func (p *Properties) flags() Flag {
	f := p.Flags
	for _, text := range p.texts() {
		if text.s != "" {
			f |= text.flag
		}
	}
	if len(p.Headers.Fields)+len(p.Headers.Rest) > 0 {
		f |= HasHeaders
	}
	if p.DeliveryMode != 0 {
		f |= HasDeliveryMode
	}
	if p.Priority != 0 {
		f |= HasPriority
	}
	if p.Timestamp != 0 {
		f |= HasTimestamp
	}
	return f
}

// Append appends the flags and the property list.
func (p *Properties) Append(b []byte) []byte {
	f := p.flags()
	b = binary.BigEndian.AppendUint16(b, uint16(f))
	b = appendIf(b, f&HasContentType, p.ContentType)
	b = appendIf(b, f&HasContentEncoding, p.ContentEncoding)
	if f&HasHeaders != 0 {
		b = p.Headers.Append(b)
	}
	if f&HasDeliveryMode != 0 {
		b = append(b, p.DeliveryMode)
	}
	if f&HasPriority != 0 {
		b = append(b, p.Priority)
	}
	b = appendIf(b, f&HasCorrelationID, p.CorrelationID)
	b = appendIf(b, f&HasReplyTo, p.ReplyTo)
	b = appendIf(b, f&HasExpiration, p.Expiration)
	b = appendIf(b, f&HasMessageID, p.MessageID)
	if f&HasTimestamp != 0 {
		b = binary.BigEndian.AppendUint64(b, p.Timestamp)
	}
	b = appendIf(b, f&HasType, p.Type)
	b = appendIf(b, f&HasUserID, p.UserID)
	b = appendIf(b, f&HasAppID, p.AppID)
	return appendIf(b, f&HasClusterID, p.ClusterID)
}

func appendIf(b []byte, there Flag, s string) []byte {
	if there == 0 {
		return b
	}
	return appendShort(b, s)
}

// Size is how many bytes Append appends.
func (p *Properties) Size() int {
	n := 2
	f := p.flags()
	for _, text := range p.texts() {
		if f&text.flag != 0 {
			n += 1 + min(len(text.s), MaxName)
		}
	}
	if f&HasHeaders != 0 {
		n += p.Headers.Size()
	}
	if f&HasTimestamp != 0 {
		n += 8
	}
	if f&HasDeliveryMode != 0 {
		n++
	}
	if f&HasPriority != 0 {
		n++
	}
	return n
}

// Drop makes absent what a copy cannot have: expiration, user_id, cluster_id.
func (p *Properties) Drop(f Flag) {
	p.Flags &^= f
	if f&HasExpiration != 0 {
		p.Expiration = ""
	}
	if f&HasUserID != 0 {
		p.UserID = ""
	}
	if f&HasClusterID != 0 {
		p.ClusterID = ""
	}
}

// Message is a message as RabbitMQ hands it out.
type Message struct {
	Exchange    string // by which it came to the queue; "" is the default exchange
	RoutingKey  string
	Redelivered bool
	Tag         uint64
	Properties
	// Encoded is the form in which the properties came.
	Encoded string
	// Broken is why the properties, or the header table alone (*HeadersError), could not
	// be read; nil when all of them were.
	Broken error
	Body   []byte
	// Size is that of the body, though Body may have been left on the way: then Body is nil.
	Size uint64
}

// spares are messages that nobody uses, with the room of their fields.
var spares = sync.Pool{New: func() any { return new(Message) }}

// maxSpareFields bounds the room that is kept.
const maxSpareFields = 64

// NewMessage returns an empty message.
func NewMessage() *Message {
	m, _ := spares.Get().(*Message)
	return m
}

// Free gives m back, which is not used any more; its strings and its body may be.
func (m *Message) Free() {
	fields := m.Headers.Fields[:cap(m.Headers.Fields)]
	if len(fields) > maxSpareFields {
		fields = nil
	}
	clear(fields)
	*m = Message{Properties: Properties{Headers: Table{Fields: fields[:0]}}}
	spares.Put(m)
}

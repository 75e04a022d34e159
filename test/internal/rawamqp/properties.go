package rawamqp

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// Properties are the properties of a message. A property with its zero value is not
// written.
type Properties struct {
	ContentType     string
	ContentEncoding string
	Headers         []Field
	DeliveryMode    uint8
	Priority        uint8
	CorrelationID   string
	ReplyTo         string
	Expiration      string
	MessageID       string
	Timestamp       uint64
	Type            string
	UserID          string
	AppID           string
	ClusterID       string
}

// Message is a message to publish.
type Message struct {
	Properties
	Body []byte
}

// Header returns the last field with that name.
func (p *Properties) Header(name string) (Value, bool) {
	for i := len(p.Headers) - 1; i >= 0; i-- {
		if p.Headers[i].Name == name {
			return p.Headers[i].Value, true
		}
	}
	return "", false
}

// Flags of the properties, in the order in which they are written.
const (
	flagContentType = 1 << (15 - iota)
	flagContentEncoding
	flagHeaders
	flagDeliveryMode
	flagPriority
	flagCorrelationID
	flagReplyTo
	flagExpiration
	flagMessageID
	flagTimestamp
	flagType
	flagUserID
	flagAppID
	flagClusterID
)

// texts are the properties that are short strings. Some come before the headers and
// some after them; the timestamp comes between message id and type.
func (p *Properties) texts() (flags []uint16, values []*string) {
	return []uint16{
			flagContentType, flagContentEncoding, flagCorrelationID, flagReplyTo, flagExpiration, flagMessageID,
			flagType, flagUserID, flagAppID, flagClusterID,
		}, []*string{
			&p.ContentType, &p.ContentEncoding, &p.CorrelationID, &p.ReplyTo, &p.Expiration, &p.MessageID,
			&p.Type, &p.UserID, &p.AppID, &p.ClusterID,
		}
}

// Encode returns the flags and the property list of a content header.
func (p *Properties) Encode() []byte {
	var flags uint16
	names, values := p.texts()
	for i, v := range values {
		if *v != "" {
			flags |= names[i]
		}
	}
	if p.Headers != nil {
		flags |= flagHeaders
	}
	if p.DeliveryMode != 0 {
		flags |= flagDeliveryMode
	}
	if p.Priority != 0 {
		flags |= flagPriority
	}
	if p.Timestamp != 0 {
		flags |= flagTimestamp
	}
	b := binary.BigEndian.AppendUint16(nil, flags)
	text := func(s string) {
		if s != "" {
			b = append(append(b, byte(len(s))), s...)
		}
	}
	text(p.ContentType)
	text(p.ContentEncoding)
	if p.Headers != nil {
		b = append(b, Table(p.Headers...)[1:]...)
	}
	for _, octet := range []uint8{p.DeliveryMode, p.Priority} {
		if octet != 0 {
			b = append(b, octet)
		}
	}
	text(p.CorrelationID)
	text(p.ReplyTo)
	text(p.Expiration)
	text(p.MessageID)
	if p.Timestamp != 0 {
		b = binary.BigEndian.AppendUint64(b, p.Timestamp)
	}
	text(p.Type)
	text(p.UserID)
	text(p.AppID)
	text(p.ClusterID)
	return b
}

// parseProperties reads what Encode writes.
func parseProperties(b []byte) (p Properties, err error) {
	s := &scanner{rest: string(b)}
	flags := uint16(s.number(2)) //nolint:gosec // two bytes
	short := func(flag uint16) string {
		if flags&flag == 0 {
			return ""
		}
		return s.bytes(int(s.number(1)))
	}
	number := func(flag uint16, n int) uint64 {
		if flags&flag == 0 {
			return 0
		}
		return s.number(n)
	}
	p.ContentType, p.ContentEncoding = short(flagContentType), short(flagContentEncoding)
	if flags&flagHeaders != 0 {
		if p.Headers, err = parseFields(s.bytes(int(s.number(4)))); err != nil {
			return p, err
		}
	}
	p.DeliveryMode, p.Priority = uint8(number(flagDeliveryMode, 1)), uint8(number(flagPriority, 1)) //nolint:gosec // one byte
	p.CorrelationID, p.ReplyTo, p.Expiration, p.MessageID = short(flagCorrelationID), short(flagReplyTo), short(flagExpiration), short(flagMessageID)
	p.Timestamp = number(flagTimestamp, 8)
	p.Type, p.UserID, p.AppID, p.ClusterID = short(flagType), short(flagUserID), short(flagAppID), short(flagClusterID)
	if s.failed || s.rest != "" {
		return p, fmt.Errorf("properties of %d bytes do not fit their flags 0x%04x", len(b), flags)
	}
	return p, nil
}

// scanner reads values from the front of rest. After an error all values are empty.
type scanner struct {
	rest   string
	failed bool
}

func (s *scanner) bytes(n int) string {
	if n > len(s.rest) {
		s.failed, s.rest = true, ""
		return ""
	}
	out := s.rest[:n]
	s.rest = s.rest[n:]
	return out
}

func (s *scanner) number(n int) (v uint64) {
	for _, b := range []byte(s.bytes(n)) {
		v = v<<8 | uint64(b)
	}
	return v
}

// Lost describes the parts of a message that a copy lacks; nil means that the copy is
// complete. The copy may have additional headers whose names begin with warren- or x-.
// A property that a copy cannot have, because RabbitMQ would act on it, may be in one
// of those headers instead.
func (m *Message) Lost(copied *Message) (lost []string) {
	aside := func(text string) bool {
		for _, f := range copied.Headers {
			if (strings.HasPrefix(f.Name, "warren-") || strings.HasPrefix(f.Name, "x-")) && strings.Contains(string(f.Value), text) {
				return true
			}
		}
		return false
	}
	names := []string{"content type", "content encoding", "correlation id", "reply to", "expiration", "message id", "type", "user id", "app id", "cluster id"}
	_, values := m.texts()
	_, copies := copied.texts()
	for i, v := range values {
		if *v != *copies[i] && (*copies[i] != "" || !aside(*v)) {
			lost = append(lost, fmt.Sprintf("%s %.60q is %.60q", names[i], *v, *copies[i]))
		}
	}
	for _, n := range [][2]uint64{{uint64(m.Priority), uint64(copied.Priority)}, {m.Timestamp, copied.Timestamp}, {uint64(m.DeliveryMode), uint64(copied.DeliveryMode)}} {
		if n[0] != n[1] && n[1] != 2 {
			lost = append(lost, "priority, timestamp or delivery mode "+strconv.FormatUint(n[0], 10)+" is "+strconv.FormatUint(n[1], 10))
		}
	}
	if string(m.Body) != string(copied.Body) {
		lost = append(lost, fmt.Sprintf("a body of %d bytes has %d, or others", len(m.Body), len(copied.Body)))
	}
	return append(lost, lostHeaders(m.Headers, copied.Headers)...)
}

// lostHeaders compares the headers field by field, in order. It leaves out the copy's
// headers of Warren and of the broker.
func lostHeaders(sent, copied []Field) (lost []string) {
	own := func(f Field) bool { return strings.HasPrefix(f.Name, "warren-") || strings.HasPrefix(f.Name, "x-") }
	have := map[string][]Value{}
	for _, f := range copied {
		have[f.Name] = append(have[f.Name], f.Value.AsBroker())
	}
	count := 0
	for _, f := range sent {
		if own(f) {
			continue // forged: Warren rewrites it, or the broker does
		}
		count++
		if values := have[f.Name]; len(values) > 0 && values[0] == f.Value.AsBroker() {
			have[f.Name] = values[1:]
			continue
		}
		lost = append(lost, fmt.Sprintf("header %.40q of type %q and %d bytes", f.Name, f.Value[:1], len(f.Value)))
	}
	for _, f := range copied {
		if !own(f) {
			count--
		}
	}
	if count < 0 {
		lost = append(lost, fmt.Sprintf("%d headers that nobody sent", -count))
	}
	return lost
}

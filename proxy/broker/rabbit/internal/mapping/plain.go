package mapping

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"mime"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
	"github.com/warrenmesh/warren/proxy/event"
)

// PlainType is the type of an event made of a message that names none.
const PlainType = "amqp.message"

// plainEvent makes an event of a plain message:
//
//	id               message_id, or a hash of what stays the same when the message is redelivered
//	source           /amqp/<exchange>, or /amqp/<queue> for the default exchange; then /<app_id> if it has one
//	type             the type property, or "amqp.message"
//	datacontenttype  content_type
//	time             timestamp, of seconds or milliseconds
//	correlationid    correlation_id
//
// A property that cannot be an attribute is left out. It never fails: what a plain
// message has is not the specification's.
func plainEvent(m *message.Message, origin Origin) *event.Event {
	e := &event.Event{
		ID:     cmp.Or(clean(m.MessageID), stableID(m, origin)),
		Source: "/amqp/" + url.PathEscape(cmp.Or(origin.Exchange, origin.Queue)),
		Type:   cmp.Or(clean(m.Type), PlainType),
		Data:   m.Body,
	}
	if m.AppID != "" {
		e.Source += "/" + url.PathEscape(m.AppID)
	}
	if s := clean(m.ContentType); mediaType(s) {
		e.Set(event.AttrDataContentType, event.String(s))
	}
	if id := clean(m.CorrelationID); id != "" {
		e.Set(event.AttrCorrelationID, event.String(id))
	}
	if t, ok := event.SinceEpoch(int64(m.Timestamp)); ok && m.Timestamp != 0 { //nolint:gosec // negative ones are before 1970
		e.Set(event.AttrTime, event.Timestamp(t))
	}
	return e
}

func mediaType(s string) bool {
	kind, _, err := mime.ParseMediaType(s)
	return err == nil && strings.Contains(kind, "/")
}

// clean returns s if it can be the value of a String attribute, "" else.
func clean(s string) string {
	control := func(r rune) bool { return r < 0x20 || (r >= 0x7f && r <= 0x9f) }
	if !utf8.ValidString(s) || strings.ContainsFunc(s, control) {
		return ""
	}
	return s
}

// stableID is the same for every delivery of one message.
func stableID(m *message.Message, origin Origin) string {
	h := sha256.New()
	for _, s := range []string{cmp.Or(origin.Exchange, origin.Queue), origin.RoutingKey, m.AppID, m.Type, m.CorrelationID, m.ContentType} {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(s)))) //nolint:gosec // at most 255
		_, _ = io.WriteString(h, s)
	}
	h.Write(binary.BigEndian.AppendUint64(nil, m.Timestamp))
	h.Write(m.Body)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

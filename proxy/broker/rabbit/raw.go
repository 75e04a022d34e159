package rabbit

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

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/proxy/event"
)

// rawType is the type of an event made of a message that names none.
const rawType = "amqp.message"

// decodeRaw makes an event of a plain AMQP message:
//
//	id               message_id, or a hash of what stays the same when the message is redelivered
//	source           /amqp/<exchange>, or /amqp/<queue> for the default exchange; then /<app_id> if it has one
//	type             the type property, or "amqp.message"
//	datacontenttype  content_type
//	time             timestamp
//	correlationid    correlation_id
//
// A property that cannot be an attribute is left out.
func decodeRaw(d *amqp.Delivery, queue string) *event.Event {
	e := &event.Event{
		ID:     cmp.Or(clean(d.MessageId), stableID(d, queue)),
		Source: "/amqp/" + url.PathEscape(cmp.Or(d.Exchange, queue)),
		Type:   cmp.Or(clean(d.Type), rawType),
		Data:   d.Body,
	}
	if d.AppId != "" {
		e.Source += "/" + url.PathEscape(d.AppId)
	}
	if _, _, err := mime.ParseMediaType(clean(d.ContentType)); err == nil {
		e.Set(event.AttrDataContentType, event.String(d.ContentType))
	}
	if id := clean(d.CorrelationId); id != "" {
		e.Set(event.AttrCorrelationID, event.String(id))
	}
	if y := d.Timestamp.Year(); !d.Timestamp.IsZero() && y >= 0 && y <= 9999 {
		e.Set(event.AttrTime, event.Timestamp(d.Timestamp.UTC()))
	}
	return e
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
func stableID(d *amqp.Delivery, queue string) string {
	h := sha256.New()
	for _, s := range []string{cmp.Or(d.Exchange, queue), d.RoutingKey, d.AppId, d.Type, d.CorrelationId, d.ContentType} {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(s))))
		_, _ = io.WriteString(h, s)
	}
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(d.Timestamp.Unix())))
	h.Write(d.Body)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

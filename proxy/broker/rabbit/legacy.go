package rabbit

import (
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/proxy/broker/rabbit/message"
)

// legacy is m in the library's form.
func legacy(m *message.Message) *amqp.Delivery {
	h := amqp.Table{}
	for i := range m.Headers.Fields {
		f := &m.Headers.Fields[i]
		v := f.Value(&message.Budget{Depth: 8, Elements: 100})
		if n, ok := f.Seconds(); ok {
			v = time.Unix(n, 0)
		}
		h[f.Name] = v
	}
	d := &amqp.Delivery{
		Headers: h, ContentType: m.ContentType, ContentEncoding: m.ContentEncoding, CorrelationId: m.CorrelationID,
		ReplyTo: m.ReplyTo, MessageId: m.MessageID, Type: m.Type, UserId: m.UserID, AppId: m.AppID,
		Exchange: m.Exchange, RoutingKey: m.RoutingKey, Body: m.Body,
	}
	if m.Has(message.HasTimestamp) {
		d.Timestamp = time.Unix(int64(m.Timestamp), 0)
	}
	return d
}

package e2e

import (
	"errors"
	"maps"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/test/internal/product"
)

const (
	someTrace    = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	anotherTrace = "00-11111111111111111111111111111111-2222222222222222-01"
)

// get takes one message from a queue with the plain client.
func (r *rig) get(queue string) amqp.Delivery {
	r.Helper()
	var d amqp.Delivery
	product.Eventually(r, "a message is in "+queue, func() error {
		got, ok, err := r.plain.Get(queue, true)
		if err != nil {
			r.Fatalf("get from %s: %v", queue, err)
		}
		if d = got; !ok {
			return errors.New("it is empty")
		}
		return nil
	})
	return d
}

// queue declares a queue of the plain client that is bound to all messages of an
// exchange. A sidecar later declares the same exchange.
func (r *rig) queue(name, exchange string) string {
	r.Helper()
	r.queues = append(r.queues, r.name(name))
	if err := r.plain.ExchangeDeclare(r.name(exchange), "topic", true, false, false, false, nil); err != nil {
		r.Fatal(err)
	}
	if _, err := r.plain.QueueDeclare(r.name(name), true, false, false, false, nil); err != nil {
		r.Fatal(err)
	}
	if err := r.plain.QueueBind(r.name(name), "#", r.name(exchange), false, nil); err != nil {
		r.Fatal(err)
	}
	return r.name(name)
}

func TestAPlainAMQPConsumerReadsWhatASidecarPublished(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	queue := r.queue("legacy", "orders")
	r.start(r.topic("orders", `routingKey: "{type}.{subject}"`, "publish: {ttl: 1h, priority: 4}"))
	checkout := r.service("checkout")
	when := time.Date(2026, 11, 23, 9, 20, 30, 123456789, time.UTC)
	hop := metadata.AppendToOutgoingContext(t.Context(), "traceparent", anotherTrace, "baggage", "tenant=7")
	_, err := checkout.Publish(hop, &eventsv1.PublishRequest{Topic: "orders", Event: &event{
		Id: "order-1", Source: "/shop/checkout", SpecVersion: "1.0", Type: "com.shop.order.placed",
		Attributes: map[string]*attribute{
			"datacontenttype": text("application/json"),
			"subject":         text("17"),
			"correlationid":   text("cart-9"),
			"traceparent":     text(someTrace),
			"time":            {Attr: &eventsv1.CloudEvent_CloudEventAttributeValue_CeTimestamp{CeTimestamp: timestamppb.New(when)}},
			"vip":             {Attr: &eventsv1.CloudEvent_CloudEventAttributeValue_CeBoolean{CeBoolean: true}},
			"items":           {Attr: &eventsv1.CloudEvent_CloudEventAttributeValue_CeInteger{CeInteger: -3}},
			"seal":            {Attr: &eventsv1.CloudEvent_CloudEventAttributeValue_CeBytes{CeBytes: []byte{0, 1, 255}}},
		},
		Data: &eventsv1.CloudEvent_TextData{TextData: `{"total": "12 €"}`},
	}})
	if err != nil {
		t.Fatal(err)
	}
	got := r.get(queue)
	wantHeaders := amqp.Table{
		"ce-specversion": "1.0", "ce-id": "order-1", "ce-source": "/shop/checkout", "ce-type": "com.shop.order.placed",
		"ce-subject": "17", "ce-correlationid": "cart-9", "ce-time": "2026-11-23T09:20:30.123456789Z",
		"ce-traceparent": someTrace, "ce-vip": true, "ce-items": int32(-3), "ce-seal": "AAH/",
		"traceparent": anotherTrace, "baggage": "tenant=7",
	}
	if end, _ := got.Headers["warren-expires"].(int64); time.Until(time.UnixMilli(end)) > time.Hour || time.Until(time.UnixMilli(end)) < time.Minute {
		t.Errorf("its life ends at %d, want within an hour", end)
	}
	delete(got.Headers, "warren-expires")
	if !maps.Equal(got.Headers, wantHeaders) {
		t.Errorf("headers are\n%v\nwant\n%v", got.Headers, wantHeaders)
	}
	if !got.Timestamp.Equal(when.Truncate(time.Second)) {
		t.Errorf("timestamp is %v, want %v in whole seconds", got.Timestamp, when)
	}
	type plain struct {
		contentType, contentEncoding, correlationID, replyTo, expiration, messageID, kind, userID, appID, exchange, key, body string
		deliveryMode, priority                                                                                                uint8
	}
	have := plain{
		got.ContentType, got.ContentEncoding, got.CorrelationId, got.ReplyTo, got.Expiration, got.MessageId, got.Type, got.UserId, got.AppId,
		got.Exchange, got.RoutingKey, string(got.Body), got.DeliveryMode, got.Priority,
	}
	want := plain{
		contentType: "application/json", correlationID: "cart-9", expiration: "3600000", messageID: "order-1", kind: "com.shop.order.placed",
		appID: "checkout", exchange: r.name("orders"), key: "com.shop.order.placed.17", body: `{"total": "12 €"}`, deliveryMode: 2, priority: 4,
	}
	if have != want {
		t.Errorf("message is\n%+v\nwant\n%+v", have, want)
	}
}

func TestPlainAMQPMessagesArriveAsEvents(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start(r.topic("orders"), r.subscription(subscription{name: "billing", topic: "orders", app: "billing"}))
	in := r.service("billing").subscribe("billing")
	when := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	timestamp := &attribute{Attr: &eventsv1.CloudEvent_CloudEventAttributeValue_CeTimestamp{CeTimestamp: timestamppb.New(when)}}
	dialect := func(prefix string) amqp.Publishing {
		return amqp.Publishing{ContentType: "text/plain", Body: []byte("hi"), Headers: amqp.Table{
			prefix + "specversion": "1.0", prefix + "id": "1", prefix + "source": "/legacy", prefix + "type": "t",
			prefix + "time": "2026-01-02T03:04:05Z", prefix + "count": int32(7), prefix + "ok": true, "other": "header", "x-other": int64(1),
		}}
	}
	fromDialect := &event{
		Id: "1", Source: "/legacy", SpecVersion: "1.0", Type: "t", Data: &eventsv1.CloudEvent_BinaryData{BinaryData: []byte("hi")},
		Attributes: map[string]*attribute{
			"datacontenttype": text("text/plain"), "time": timestamp,
			"count": {Attr: &eventsv1.CloudEvent_CloudEventAttributeValue_CeInteger{CeInteger: 7}},
			"ok":    {Attr: &eventsv1.CloudEvent_CloudEventAttributeValue_CeBoolean{CeBoolean: true}},
		},
	}
	for name, test := range map[string]struct {
		message amqp.Publishing
		want    *event
	}{
		"with ce- headers":          {dialect("ce-"), fromDialect},
		"with cloudEvents: headers": {dialect("cloudEvents:"), fromDialect},
		"with cloudEvents_ headers": {dialect("cloudEvents_"), fromDialect},
		"in structured JSON": {
			amqp.Publishing{
				ContentType: "application/cloudevents+json; charset=utf-8",
				Body:        []byte(`{"specversion":"1.0","id":"1","source":"/legacy","type":"t","time":"2026-01-02T03:04:05Z","data":{ "n" : 1.50 }}`),
			},
			&event{
				Id: "1", Source: "/legacy", SpecVersion: "1.0", Type: "t",
				Attributes: map[string]*attribute{"datacontenttype": text("application/json"), "time": timestamp},
				Data:       &eventsv1.CloudEvent_BinaryData{BinaryData: []byte(`{ "n" : 1.50 }`)},
			},
		},
		"raw": {
			amqp.Publishing{ContentType: "text/xml", MessageId: "m-1", Type: "order", AppId: "erp", CorrelationId: "c", Timestamp: when, Body: []byte("<o/>")},
			&event{
				Id: "m-1", Source: "/amqp/" + r.name("orders") + "/erp", SpecVersion: "1.0", Type: "order",
				Attributes: map[string]*attribute{"datacontenttype": text("text/xml"), "correlationid": text("c"), "time": timestamp},
				Data:       &eventsv1.CloudEvent_BinaryData{BinaryData: []byte("<o/>")},
			},
		},
	} {
		if err := r.plain.Publish(r.name("orders"), "any.key", true, false, test.message); err != nil {
			t.Fatalf("publish a message %s: %v", name, err)
		}
		got := in.next()
		if !proto.Equal(got.GetEvent(), test.want) {
			t.Errorf("a message %s arrived as\n%v\nwant\n%v", name, got.GetEvent(), test.want)
		}
		in.ack(got)
	}
}

func TestAMessageThatIsNoEventGoesToTheDeadLetterQueueAndTheNextOneArrives(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start(r.topic("orders"), r.subscription(subscription{name: "billing", topic: "orders", app: "billing"}))
	in := r.service("billing").subscribe("billing")
	broken := amqp.Publishing{ContentType: "application/cloudevents+json", Body: []byte(`{"specversion":`)}
	if err := r.plain.Publish(r.name("orders"), "k", true, false, broken); err != nil {
		t.Fatal(err)
	}
	good := amqp.Publishing{MessageId: "good", Body: []byte("raw")}
	if err := r.plain.Publish(r.name("orders"), "k", true, false, good); err != nil {
		t.Fatal(err)
	}
	next := in.next()
	if next.GetEvent().GetId() != "good" {
		t.Errorf("received %v, want the good one", next.GetEvent())
	}
	in.ack(next)
	letter := r.get(r.name("billing.dead"))
	if string(letter.Body) != string(broken.Body) || letter.Headers["warren-dead-letter-reason"] != "invalid-event" {
		t.Errorf("dead letter %q with headers %v", letter.Body, letter.Headers)
	}
}

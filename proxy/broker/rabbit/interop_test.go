package rabbit

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/internal/brokertest/one"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/envelope"
	"github.com/warrenmesh/warren/proxy/event"
)

// get takes one message off a queue with the plain client.
func (f *fixture) get(queue string) amqp.Delivery {
	f.Helper()
	var d amqp.Delivery
	f.poll("a message is in "+queue, func() bool {
		var ok bool
		var err error
		if d, ok, err = f.plain.Get(queue, true); err != nil {
			f.Fatalf("get from %s: %v", queue, err)
		}
		return ok
	})
	return d
}

func TestAPlainClientReadsWhatTheDriverPublished(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	exchange, queue := f.name("orders"), f.name("q")
	f.ensure(queueing.Topology{
		Exchanges: []mesh.Exchange{{Name: exchange, Type: "topic"}},
		Queues:    []queueing.Queue{{Name: queue, Type: "classic"}},
		Bindings:  []queueing.Binding{{Exchange: exchange, Queue: queue, Key: "com.shop.#"}},
	})
	f.mustPublish(&queueing.Message{
		Exchange: exchange, RoutingKey: "com.shop.order.placed", Event: orderPlaced(), Mandatory: true, Persistent: true,
		Priority: 4, TTL: time.Hour, AppID: "checkout", Trace: broker.TraceContext{Parent: "00-hop", State: "a=b", Baggage: "k=v"},
	})
	got := f.get(queue)
	wantHeaders := amqp.Table{
		"ce-specversion": "1.0", "ce-id": "order-1", "ce-source": "/shop/checkout", "ce-type": "com.shop.order.placed",
		"ce-subject": "orders/17", "ce-time": "2026-11-23T10:20:30.123456789+01:00", "ce-dataschema": "https://shop.example/order.json",
		"ce-correlationid": "cart-9", "ce-traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"ce-vip": true, "ce-items": int32(3), "ce-seal": "AAH/", "traceparent": "00-hop", "tracestate": "a=b", "baggage": "k=v",
	}
	if !reflect.DeepEqual(got.Headers, wantHeaders) {
		t.Errorf("headers are\n%v\nwant\n%v", got.Headers, wantHeaders)
	}
	if !got.Timestamp.Equal(someTime.Truncate(time.Second)) {
		t.Errorf("timestamp is %v, want %v in whole seconds", got.Timestamp, someTime)
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
		appID: "checkout", exchange: exchange, key: "com.shop.order.placed", body: `{"n":1}`, deliveryMode: 2, priority: 4,
	}
	if have != want {
		t.Errorf("message is\n%+v\nwant\n%+v", have, want)
	}
}

func TestPlainMessagesArriveAsEvents(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	queue := f.queue("q")
	in := f.consume(queue, 10)
	dialect := func(prefix string) amqp.Publishing {
		return amqp.Publishing{ContentType: "text/plain", Body: []byte("hi"), Headers: amqp.Table{
			prefix + "specversion": "1.0", prefix + "id": "1", prefix + "source": "/legacy", prefix + "type": "t", prefix + "time": "2026-01-02T03:04:05Z",
			prefix + "count": int32(7), prefix + "ok": true, "traceparent": "00-plain",
		}}
	}
	fromDialect := map[string]string{
		"id": "1", "source": "/legacy", "type": "t", "data": "hi", "datacontenttype": "String:text/plain",
		"time": "Timestamp:2026-01-02T03:04:05Z", "count": "Integer:7", "ok": "Boolean:true",
	}
	tests := []struct {
		name string
		in   amqp.Publishing
		want map[string]string
	}{
		{"ce- headers", dialect("ce-"), fromDialect},
		{"cloudEvents: headers", dialect("cloudEvents:"), fromDialect},
		{"cloudEvents_ headers", dialect("cloudEvents_"), fromDialect},
		{"bare headers", dialect(""), fromDialect},
		{
			"structured JSON",
			amqp.Publishing{ContentType: "application/cloudevents+json; charset=utf-8", Body: []byte(`{"specversion":"1.0","id":"1","source":"/legacy","type":"t","data":{"n":1}}`)},
			map[string]string{"id": "1", "source": "/legacy", "type": "t", "data": `{"n":1}`, "datacontenttype": "String:application/json"},
		},
		{
			"raw with properties",
			amqp.Publishing{ContentType: "text/xml", MessageId: "m-1", Type: "order", AppId: "erp", Timestamp: time.Unix(1767323045, 0), Body: []byte("<o/>")},
			map[string]string{
				"id": "m-1", "source": "/amqp/" + queue + "/erp", "type": "order", "data": "<o/>", "datacontenttype": "String:text/xml",
				"time": "Timestamp:2026-01-02T03:04:05Z",
			},
		},
	}
	for _, tc := range tests {
		if err := f.plain.Publish("", queue, true, false, tc.in); err != nil {
			t.Fatalf("publish %s: %v", tc.name, err)
		}
		d := in.next()
		t.Log(tc.name)
		wantAttributes(t, d, tc.want)
		if parent, _ := tc.in.Headers["traceparent"].(string); d.Trace.Parent != parent {
			t.Errorf("trace parent is %q, want %q", d.Trace.Parent, parent)
		}
		if err := d.Ack(); err != nil {
			t.Errorf("ack: %v", err)
		}
	}
}

func TestAMessageThatIsNoEventIsDeliveredAsMalformed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	queue := f.queue("q")
	in := f.consume(queue, 1)
	err := f.plain.Publish("", queue, true, false, amqp.Publishing{ContentType: "application/cloudevents+json", Body: []byte("{")})
	if err != nil {
		t.Fatal(err)
	}
	d := in.next()
	if d.Event != nil || d.Malformed == nil || string(d.Raw) != "{" {
		t.Fatalf("delivery is %+v, want a malformed one with its body", d)
	}
	if err := d.Ack(); err != nil {
		t.Errorf("ack: %v", err)
	}
}

func TestConflictsOfARealBrokerNameBothSides(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	queue, exchange, plain := f.name("classic"), f.name("x"), f.name("plain")
	ok := queueing.Topology{
		Exchanges: []mesh.Exchange{{Name: exchange, Type: "direct"}},
		Queues:    []queueing.Queue{{Name: queue, Type: "classic"}, {Name: plain + ".delay", Type: "quorum", Delay: time.Second, Forward: queue}},
	}
	f.ensure(ok)
	if _, err := f.plain.QueueDeclare(plain, true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { deleteTopology(t, queueing.Topology{Queues: []queueing.Queue{{Name: plain}}}) })
	tests := map[string]struct {
		topology queueing.Topology
		want     string // "" means no conflict
	}{
		"another queue type": {
			queueing.Topology{Queues: []queueing.Queue{{Name: queue, Type: "quorum"}}},
			fmt.Sprintf("queue %q exists with type classic, wanted quorum", queue),
		},
		"a plain client's classic queue, wanted as quorum": {
			queueing.Topology{Queues: []queueing.Queue{{Name: plain, Type: "quorum"}}},
			fmt.Sprintf("queue %q exists with type classic, wanted quorum", plain),
		},
		"a plain client's classic queue, wanted as classic": {queueing.Topology{Queues: []queueing.Queue{{Name: plain, Type: "classic"}}}, ""},
		"another exchange type": {
			queueing.Topology{Exchanges: []mesh.Exchange{{Name: exchange, Type: "topic"}}},
			fmt.Sprintf("exchange %q exists with type direct, wanted topic", exchange),
		},
		"another delay": {
			queueing.Topology{Queues: []queueing.Queue{{Name: plain + ".delay", Type: "quorum", Delay: 2 * time.Second, Forward: queue}}},
			fmt.Sprintf("queue %q exists with x-message-ttl 1000, wanted 2000", plain+".delay"),
		},
		"the same again": {ok, ""},
	}
	live := f.node.consume.Live()
	for name, tc := range tests {
		tc.topology.Policy = mesh.Manage
		err := f.node.EnsureTopology(f.context(), tc.topology)
		if tc.want == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if broker.KindOf(err) != broker.Conflict || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want a conflict that says %s", name, err, tc.want)
		}
	}
	if f.node.consume.Live() != live {
		t.Error("a conflict cost the connection")
	}
}

func TestADeletedQueueIsDeclaredAgainUnderItsConsumer(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	exchange, queue := f.name("x"), f.name("q")
	f.ensure(queueing.Topology{
		Exchanges: []mesh.Exchange{{Name: exchange, Type: "fanout"}},
		Queues:    []queueing.Queue{{Name: queue, Type: "quorum"}},
		Bindings:  []queueing.Binding{{Exchange: exchange, Queue: queue}},
	})
	in := f.consume(queue, 5)
	m := func(id string) *queueing.Message {
		return &queueing.Message{Exchange: exchange, Event: newEvent(id), Mandatory: true, Persistent: true}
	}
	f.mustPublish(m("before"))
	before := in.next()
	if _, err := f.plain.QueueDelete(queue, false, false, false); err != nil {
		t.Fatal(err)
	}
	f.poll("the queue and its binding are back", func() bool { return f.publish(m("after")) == nil })
	after := in.next()
	if after.Event.ID != "after" || after.Epoch <= before.Epoch {
		t.Errorf("got %s of epoch %d after %d, want the event published after, of a later epoch", after.Event.ID, after.Epoch, before.Epoch)
	}
	if err := before.Ack(); err == nil {
		t.Error("a delivery of the deleted queue was acked")
	}
	if err := after.Ack(); err != nil {
		t.Errorf("ack: %v", err)
	}
}

func TestADeletedQueueOfSomebodyElseEndsItsConsumer(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	queue := f.name("q")
	if _, err := f.plain.QueueDeclare(queue, true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	in := f.consume(queue, 5)
	f.mustPublish(toQueue(queue, "1"))
	in.next()
	if _, err := f.plain.QueueDelete(queue, false, false, false); err != nil {
		t.Fatal(err)
	}
	select {
	case <-in.ended:
		if broker.KindOf(in.err) != broker.NotFound {
			t.Errorf("Consume ended with %v, want not found", in.err)
		}
	case <-time.After(patience):
		t.Error("Consume goes on without its queue")
	}
}

func TestAMissingExchangeHurtsNoNeighbour(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(o *Options) { o.Channels = 1 })
	queue := f.queue("q")
	ctx := f.context()
	var receipts []*one.Receipt
	for i := range 200 {
		r, err := one.Publish(ctx, f.node.Publish, *toQueue(queue, fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		receipts = append(receipts, r)
		if i%20 == 0 {
			_, err := one.Publish(ctx, f.node.Publish, queueing.Message{Exchange: f.name("missing"), Event: newEvent("x"), Mandatory: true})
			wantKind(t, err, broker.NotFound, broker.NotSent)
		}
	}
	for i, r := range receipts {
		if err := r.Wait(ctx); err != nil {
			t.Fatalf("publish %d beside a missing exchange: %v", i, err)
		}
	}
}

func TestAnExchangeDeletedUnderItsPublisherIsDeclaredAgain(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	exchange, queue := f.name("x"), f.name("q")
	f.ensure(queueing.Topology{
		Exchanges: []mesh.Exchange{{Name: exchange, Type: "fanout"}},
		Queues:    []queueing.Queue{{Name: queue, Type: "quorum"}},
		Bindings:  []queueing.Binding{{Exchange: exchange, Queue: queue}},
	})
	m := &queueing.Message{Exchange: exchange, Event: newEvent("1"), Mandatory: true}
	f.mustPublish(m)
	if err := f.plain.ExchangeDelete(exchange, false, false); err != nil {
		t.Fatal(err)
	}
	wantKind(t, f.publish(m), broker.NotFound, broker.NotSent) // found out by a closed channel, and nothing else was on it
	f.mustPublish(m)                                           // declared again, binding included
}

func TestThePublishThatAnInternalExchangeRefusesIsNotSent(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	exchange := f.name("x")
	if err := f.plain.ExchangeDeclare(exchange, "topic", true, false, true, false, nil); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.plain.ExchangeDelete(exchange, false, false) }()
	for range 2 {
		wantKind(t, f.publish(&queueing.Message{Exchange: exchange, Event: newEvent("1"), Mandatory: true}), broker.Refused, broker.NotSent)
	}
}

func TestAnExchangeDeletedUnderLoadFailsNoPublishToAnother(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	doomed, other, queue := f.name("doomed"), f.name("other"), f.name("q")
	f.ensure(queueing.Topology{
		Exchanges: []mesh.Exchange{{Name: doomed, Type: "fanout"}, {Name: other, Type: "fanout"}},
		Queues:    []queueing.Queue{{Name: queue, Type: "quorum"}},
		Bindings:  []queueing.Binding{{Exchange: doomed, Queue: queue}, {Exchange: other, Queue: queue}},
	})
	to := func(exchange string, i int) *queueing.Message {
		return &queueing.Message{Exchange: exchange, Event: newEvent(fmt.Sprint(exchange, i)), Mandatory: true}
	}
	var load sync.WaitGroup
	over := make(chan struct{}) // closed when the missing exchange was noticed
	for p := range 4 {
		load.Go(func() {
			for i := range 2000 {
				if err := f.publish(to(other, 10_000*p+i)); err != nil {
					t.Errorf("publish %d beside a deleted exchange: %v", i, err)
					return
				}
				select {
				case <-over:
					return
				default:
				}
			}
		})
	}
	for i := range 50 {
		f.mustPublish(to(doomed, i))
	}
	noticed := 0
	for range 5 { // each time it is declared again by the publish after
		if err := f.plain.ExchangeDelete(doomed, false, false); err != nil {
			t.Fatal(err)
		}
		f.poll("the missing exchange is noticed and declared again", func() bool {
			err := f.publish(to(doomed, 1000+noticed))
			if broker.KindOf(err) == broker.NotFound {
				noticed++
			}
			return err == nil
		})
	}
	close(over)
	load.Wait()
	if noticed == 0 {
		t.Error("no publish met the missing exchange")
	}
}

func TestRealReturnsAndConfirmsArePaired(t *testing.T) {
	t.Parallel()
	const n = 6000
	f := newFixture(t)
	queue := f.queue("q")
	ctx := f.context()
	type sent struct {
		receipt    *one.Receipt
		unroutable bool
	}
	inFlight := make(chan sent, 1000)
	go func() {
		defer close(inFlight)
		for i := range n {
			m, unroutable := toQueue(queue, fmt.Sprint(i%50)), i%3 == 0 // the same ids again and again
			if unroutable {
				m.RoutingKey = f.name("nowhere")
			}
			r, err := one.Publish(ctx, f.node.Publish, *m)
			if err != nil {
				t.Errorf("publish %d: %v", i, err)
				return
			}
			inFlight <- sent{r, unroutable}
		}
	}()
	i := 0
	for s := range inFlight {
		err := s.receipt.Wait(ctx)
		if s.unroutable && (broker.KindOf(err) != broker.Unroutable || broker.OutcomeOf(err) != broker.Failed) || !s.unroutable && err != nil {
			t.Fatalf("publish %d: %v, unroutable is %v", i, err, s.unroutable)
		}
		i++
	}
}

func TestTheLargestHeadersPassAndMoreIsRefusedLocally(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	queue := f.queue("q")
	live := f.node.publish.Live()
	m := toQueue(queue, "big")
	m.Event.Type = strings.Repeat("t", 255)
	m.Event.Set("x", event.String(""))
	p, _, _, err := envelope.Encode(m, &envelope.Limits{HeaderBytes: 64 << 10, DataBytes: 16 << 20, Now: time.Now}, nil)
	if err != nil {
		t.Fatal(err)
	}
	room := 64<<10 - p.Headers.Size()
	m.Event.Set("x", event.String(strings.Repeat("x", room)))
	f.mustPublish(m)
	m.Event.Set("x", event.String(strings.Repeat("x", room+1)))
	wantKind(t, f.publish(m), broker.TooLarge, broker.NotSent)
	m.RoutingKey = strings.Repeat("k", 256)
	m.Event.Set("x", event.String("x"))
	wantKind(t, f.publish(m), broker.Invalid, broker.NotSent)
	f.mustPublish(toQueue(queue, "after"))
	if f.node.publish.Live() != live {
		t.Error("a limit cost the connection")
	}
}

func TestStoppingWaitsForConfirms(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	queue := f.queue("q")
	n := New(options(t, server(t), hostPort(server(t))))
	stop := runNode(t, n)
	f.poll("the second node is up", func() bool { return n.State().Publishing })
	var receipts []*one.Receipt
	for i := range 100 {
		r, err := one.Publish(f.context(), n.Publish, *toQueue(queue, fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		receipts = append(receipts, r)
	}
	stop()
	for i, r := range receipts {
		if err := r.Wait(context.Background()); err != nil {
			t.Fatalf("publish %d in flight when the driver was stopped: %v", i, err)
		}
	}
	_, err := one.Publish(f.context(), n.Publish, *toQueue(queue, "late"))
	wantKind(t, err, broker.Unavailable, broker.NotSent)
}

var someTime = time.Date(2026, 11, 23, 10, 20, 30, 123456789, time.FixedZone("", 3600))

func orderPlaced() *event.Event {
	e := &event.Event{ID: "order-1", Source: "/shop/checkout", Type: "com.shop.order.placed", Data: []byte(`{"n":1}`)}
	e.Set("datacontenttype", event.String("application/json"))
	e.Set("subject", event.String("orders/17"))
	e.Set("time", event.Timestamp(someTime))
	e.Set("dataschema", event.URI("https://shop.example/order.json"))
	e.Set("correlationid", event.String("cart-9"))
	e.Set("traceparent", event.String("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"))
	e.Set("vip", event.Boolean(true))
	e.Set("items", event.Integer(3))
	e.Set("seal", event.Binary([]byte{0, 1, 255}))
	return e
}

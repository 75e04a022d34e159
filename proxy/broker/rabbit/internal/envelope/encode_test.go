package envelope

import (
	"reflect"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
	"github.com/warrenmesh/warren/proxy/event"
)

var someTime = time.Date(2026, 11, 23, 10, 20, 30, 123456789, time.FixedZone("", 3600))

// testLimits are the defaults, with a clock that stands still.
func testLimits() *Limits {
	return &Limits{HeaderBytes: 64 << 10, DataBytes: 16 << 20, Now: func() time.Time { return someTime }}
}

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

func TestEncodeWritesBinaryModeAsTheWireDocumentSays(t *testing.T) {
	t.Parallel()
	m := &queueing.Message{
		Exchange: "orders", RoutingKey: "com.shop.order.placed", Event: orderPlaced(), Mandatory: true, Persistent: true,
		Priority: 4, TTL: 1500 * time.Microsecond, AppID: "checkout",
		Trace: broker.TraceContext{Parent: "00-hop", State: "a=b", Baggage: "k=v"},
	}
	p, err := encode(m, testLimits())
	if err != nil {
		t.Fatal(err)
	}
	want := amqp.Publishing{
		ContentType: "application/json", DeliveryMode: amqp.Persistent, Priority: 4, CorrelationId: "cart-9",
		Expiration: "2", MessageId: "order-1", Timestamp: time.Unix(someTime.Unix(), 0), Type: "com.shop.order.placed", AppId: "checkout",
		Body: []byte(`{"n":1}`),
		Headers: amqp.Table{
			"ce-specversion": "1.0", "ce-id": "order-1", "ce-source": "/shop/checkout", "ce-type": "com.shop.order.placed",
			"ce-subject": "orders/17", "ce-time": "2026-11-23T10:20:30.123456789+01:00",
			"ce-dataschema": "https://shop.example/order.json", "ce-correlationid": "cart-9",
			"ce-traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
			"ce-vip":         true, "ce-items": int32(3), "ce-seal": "AAH/",
			"traceparent": "00-hop", "tracestate": "a=b", "baggage": "k=v",
		},
	}
	if got := toLibrary(p); !reflect.DeepEqual(got, want) {
		t.Errorf("encoded\n%#v\nwant\n%#v", got, want)
	}
}

func TestEncodeMarksRepeatsAndDeadLetters(t *testing.T) {
	t.Parallel()
	m := &queueing.Message{
		Event: &event.Event{ID: "1", Source: "/a", Type: "t"}, Republished: true, Attempt: 4,
		DeadLetter: &broker.DeadLetter{
			Reason: "rejected", Detail: strings.Repeat("é", 150), Subscription: "shop/billing", Origin: broker.Origin{Name: "orders", Key: "k"}, Attempts: 5, Time: someTime,
		},
	}
	p, err := encode(m, testLimits())
	if err != nil {
		t.Fatal(err)
	}
	want := amqp.Table{
		"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/a", "ce-type": "t",
		"warren-attempt": int64(4), "warren-republished": true,
		"warren-dead-letter-reason": "rejected", "warren-dead-letter-detail": strings.Repeat("é", 100),
		"warren-dead-letter-subscription": "shop/billing", "warren-dead-letter-exchange": "orders",
		"warren-dead-letter-routing-key": "k", "warren-dead-letter-attempts": int64(5),
		"warren-dead-letter-time": "2026-11-23T09:20:30.123456789Z",
	}
	if got := toLibrary(p).Headers; !reflect.DeepEqual(got, want) {
		t.Errorf("headers %v, want %v", got, want)
	}
	if p.properties.DeliveryMode != amqp.Transient {
		t.Errorf("delivery mode %d, want transient", p.properties.DeliveryMode)
	}
}

func TestEncodeRefusesWhatWouldCloseAConnection(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 256)
	tests := map[string]struct {
		change func(*queueing.Message)
		kind   broker.Kind
	}{
		"a routing key over 255 bytes":        {func(m *queueing.Message) { m.RoutingKey = long }, broker.Invalid},
		"an exchange name over 255 bytes":     {func(m *queueing.Message) { m.Exchange = long }, broker.Invalid},
		"an attribute name over 252 bytes":    {func(m *queueing.Message) { m.Event.Set(long, event.Boolean(true)) }, broker.Invalid},
		"data over the limit":                 {func(m *queueing.Message) { m.Event.Data = make([]byte, 16<<20+1) }, broker.TooLarge},
		"headers over the limit":              {func(m *queueing.Message) { m.Event.Set("x", event.String(strings.Repeat("x", 64<<10))) }, broker.TooLarge},
		"an event that has expired":           {func(m *queueing.Message) { m.Event.Set("expirytime", event.Timestamp(someTime)) }, broker.Invalid},
		"a time that RFC 3339 cannot express": {func(m *queueing.Message) { m.Event.Set("time", event.Timestamp(someTime.AddDate(9000, 0, 0))) }, broker.Invalid},
		"no event":                            {func(m *queueing.Message) { m.Event = nil }, broker.Invalid},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &queueing.Message{Exchange: "x", Event: &event.Event{ID: "1", Source: "/a", Type: "t"}}
			tc.change(m)
			_, err := encode(m, testLimits())
			if broker.KindOf(err) != tc.kind || broker.OutcomeOf(err) != broker.NotSent {
				t.Errorf("error %v (%v, %v), want %v not sent", err, broker.KindOf(err), broker.OutcomeOf(err), tc.kind)
			}
		})
	}
}

func TestEncodeLeavesLongPropertiesToTheHeaders(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 256)
	e := &event.Event{ID: long, Source: "/a", Type: long}
	e.Set("correlationid", event.String(long))
	e.Set("datacontenttype", event.String("text/plain; x="+long))
	p, err := encode(&queueing.Message{Event: e, AppID: long}, testLimits())
	if err != nil {
		t.Fatal(err)
	}
	m := toLibrary(p)
	if m.MessageId+m.Type+m.CorrelationId+m.ContentType+m.AppId != "" {
		t.Errorf("properties are %+v, want none of the long ones", m)
	}
	got := decodeFrom(&amqp.Delivery{Headers: m.Headers, ContentType: m.ContentType})
	if got.Malformed != nil || got.Event.ID != long || got.Event.Text("datacontenttype") != "text/plain; x="+long {
		t.Errorf("decoded %+v (%v), want everything from the headers", got.Event, got.Malformed)
	}
}

func TestExpirationIsTheShorterOfTTLAndExpiryTime(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		ttl    time.Duration
		expiry time.Duration // from now; 0 means none
		want   string
	}{
		"none":                                {0, 0, ""},
		"the TTL alone":                       {time.Second, 0, "1000"},
		"the expiry time alone":               {0, 2 * time.Second, "2000"},
		"the TTL before the expiry time":      {time.Second, time.Minute, "1000"},
		"the expiry time before the TTL":      {time.Minute, time.Second, "1000"},
		"less than a millisecond, rounded up": {time.Nanosecond, 0, "1"},
		"longer than the broker can count":    {0, 50 * 24 * time.Hour, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &queueing.Message{TTL: tc.ttl, Event: &event.Event{}}
			if tc.expiry > 0 {
				m.Event.Set("expirytime", event.Timestamp(someTime.Add(tc.expiry)))
			}
			got, err := expiration(m, someTime)
			if err != nil || got != tc.want {
				t.Errorf("expiration %q (%v), want %q", got, err, tc.want)
			}
		})
	}
}

// encoded is what Encode returns.
type encoded struct {
	properties message.Properties
	id         string
	body       []byte
}

func encode(m *queueing.Message, l *Limits) (p *encoded, err error) {
	p = new(encoded)
	p.properties, p.id, p.body, err = Encode(m, l, nil)
	return p, err
}

package envelope

import (
	"testing"

	"github.com/warrenmesh/warren/internal/budget"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
	"github.com/warrenmesh/warren/proxy/event"
)

func benchEvent() *event.Event {
	e := &event.Event{ID: "3f2b8c1e-0001", Source: "/test", Type: "io.warrenmesh.test"}
	e.Data = make([]byte, 1024)
	e.Set("datacontenttype", event.String("application/json"))
	e.Set("subject", event.String("orders/17"))
	e.Set("time", event.Timestamp(someTime))
	return e
}

// Budget: 2 allocations, of which one is the headers' when there is no space for them.
func BenchmarkEncode(b *testing.B) {
	budget.Allocs(b, 2)
	l := testLimits()
	m := &queueing.Message{Exchange: "orders", RoutingKey: "k", Event: benchEvent(), Mandatory: true, Trace: broker.TraceContext{Parent: "00-hop"}}
	for b.Loop() {
		if _, err := encode(m, l); err != nil {
			b.Fatal(err)
		}
	}
}

// A message as the frame's reader makes it, without the body.
// Budget: 2 allocations.
func BenchmarkDecode(b *testing.B) {
	budget.Allocs(b, 2)
	p, err := encode(&queueing.Message{Exchange: "orders", RoutingKey: "k", Event: benchEvent(), Trace: broker.TraceContext{Parent: "00-hop"}}, testLimits())
	if err != nil {
		b.Fatal(err)
	}
	encoded := p.properties.Append(nil)
	options := &queueing.ConsumeOptions{Queue: "q"}
	for b.Loop() {
		m := message.NewMessage()
		m.Exchange, m.Encoded, m.Body, m.Size = "orders", string(encoded), p.body, uint64(len(p.body))
		m.Broken = m.Parse(m.Encoded)
		if out := Decode(m, options); out.Malformed != nil {
			b.Fatal(out.Malformed)
		}
		m.Free()
	}
}

package rabbit

import (
	"context"
	"testing"

	"github.com/warrenmesh/warren/internal/budget"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/message"
	"github.com/warrenmesh/warren/proxy/event"
)

func benchEvent() *event.Event {
	e := newEvent("3f2b8c1e-0001")
	e.Data = make([]byte, 1024)
	e.Set("datacontenttype", event.String("application/json"))
	e.Set("subject", event.String("orders/17"))
	e.Set("time", event.Timestamp(someTime))
	return e
}

// Budget: 6 allocations.
func BenchmarkEncode(b *testing.B) {
	budget.Allocs(b, 6)
	o := testOptions()
	m := &queueing.Message{Exchange: "orders", RoutingKey: "k", Event: benchEvent(), Mandatory: true, Trace: broker.TraceContext{Parent: "00-hop"}}
	for b.Loop() {
		if _, err := encode(m, o); err != nil {
			b.Fatal(err)
		}
	}
}

// Budget: 10 allocations.
func BenchmarkDecode(b *testing.B) {
	budget.Allocs(b, 10)
	p, err := encode(&queueing.Message{Exchange: "orders", RoutingKey: "k", Event: benchEvent(), Trace: broker.TraceContext{Parent: "00-hop"}}, testOptions())
	if err != nil {
		b.Fatal(err)
	}
	encoded := p.properties.Append(nil)
	options := &queueing.ConsumeOptions{Queue: "q"}
	for b.Loop() {
		properties, err := message.ParseProperties(encoded)
		m := &message.Message{Exchange: "orders", Properties: properties, Broken: err, Body: p.body, Size: uint64(len(p.body))}
		if out := decode(m, options); out.Malformed != nil {
			b.Fatal(out.Malformed)
		}
	}
}

// instantWire confirms at once: what remains is the driver's own cost.
type instantWire struct{ none chan returned }

type confirmed struct{ done chan struct{} }

func (c confirmed) Done() <-chan struct{} { return c.done }
func (c confirmed) Acked() bool           { return true }

func (w instantWire) publish(*pending) (confirmation, error) { return always, nil }
func (w instantWire) returns() <-chan returned               { return w.none }
func (w instantWire) isClosed() bool                         { return false }

var always = func() confirmation {
	done := make(chan struct{})
	close(done)
	return confirmed{done}
}()

// Budget: the two hand-overs between goroutines, and Encode's allocations.
func BenchmarkPublishWithoutTheLibrary(b *testing.B) {
	b.ReportAllocs()
	c := newChannel(instantWire{}, 256, &alarm{})
	go c.write()
	go c.settle()
	o := testOptions()
	m := &queueing.Message{Exchange: "orders", RoutingKey: "k", Event: benchEvent(), Mandatory: true}
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			p := newPublication(context.Background())
			if err := p.encode(m, o); err != nil {
				b.Error(err)
				return
			}
			if ok, err := c.accept(context.Background(), p.pending); !ok || err != nil {
				b.Error(ok, err)
				return
			}
			if err := p.wait(); err != nil {
				b.Error(err)
				return
			}
		}
	})
	c.end(nil)
	<-c.drained
}

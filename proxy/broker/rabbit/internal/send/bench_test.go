package send

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/warrenmesh/warren/internal/budget"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/conn"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/envelope"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/frame"
	"github.com/warrenmesh/warren/proxy/event"
)

func benchEvent() *event.Event {
	e := newEvent("3f2b8c1e-0001")
	e.Data = make([]byte, 1024)
	e.Set("datacontenttype", event.String("application/json"))
	e.Set("subject", event.String("orders/17"))
	e.Set("time", event.Timestamp(time.Unix(1763890830, 0)))
	return e
}

// instantWire confirms at once: what remains is the driver's own cost.
type instantWire struct {
	ring *ring
	none chan frame.Returned
}

func (w instantWire) send([]byte, []byte) error {
	w.ring.confirm(0, true, true)
	return nil
}

func (w instantWire) returns() <-chan frame.Returned { return w.none }
func (w instantWire) isClosed() bool                 { return false }

func newInstantChannel() *channel {
	r := newRing(256)
	c := newChannel(instantWire{ring: r}, r, 256, &conn.Alarm{})
	go c.write()
	go c.confirm()
	return c
}

func benchMessage() (*queueing.Message, *envelope.Limits) {
	return &queueing.Message{Exchange: "orders", RoutingKey: "k", Event: benchEvent(), Mandatory: true},
		&envelope.Limits{HeaderBytes: 64 << 10, DataBytes: 16 << 20, Now: time.Now}
}

// Budget: 9 allocations, of which the test makes three.
func BenchmarkPublishWithoutTheLibrary(b *testing.B) {
	c := newInstantChannel()
	m, l := benchMessage()
	budget.Allocs(b, 9)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			p := newPublication(context.Background())
			if err := p.encode(m, l, 1<<17); err != nil {
				b.Error(err)
				return
			}
			if ok, err := c.acceptOne(context.Background(), p.pending); !ok || err != nil {
				b.Error(ok, err)
				return
			}
			if err := p.wait(); err != nil {
				b.Error(err)
				return
			}
			p.batch.letGo()
		}
	})
	c.end(nil)
	<-c.drained
}

// Budget: one allocation for each of 64 messages, that of its time as text, and ten for all.
func BenchmarkPublishOf64(b *testing.B) {
	const n = 64
	c := newInstantChannel()
	m, l := benchMessage()
	var events [n]event.Event
	for i := range events {
		events[i] = *m.Event
		events[i].ID = fmt.Sprint(i) // the same one would need copy headers
	}
	var left sync.WaitGroup
	told := func(from, to int, err error) {
		if err != nil {
			b.Error(err)
		}
		left.Add(from - to)
	}
	budget.Allocs(b, n+10)
	for b.Loop() {
		left.Add(n)
		many := newBatch(context.Background(), n, told)
		for i := range many.pendings {
			m.Event = &events[i]
			if err := many.pendings[i].encode(m, l, 1<<17); err != nil {
				b.Fatal(err)
			}
		}
		if took, err := c.accept(context.Background(), many.run(0, n)); took != n || err != nil {
			b.Fatal(took, err)
		}
		many.letGo()
		left.Wait()
	}
	c.end(nil)
	<-c.drained
}

package send

import (
	"context"
	"testing"
	"time"

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
type instantWire struct{ none chan frame.Returned }

type confirmed struct{ done chan struct{} }

func (c confirmed) Done() <-chan struct{} { return c.done }
func (c confirmed) Acked() bool           { return true }

func (w instantWire) publish(*pending) (confirmation, error) { return always, nil }
func (w instantWire) returns() <-chan frame.Returned         { return w.none }
func (w instantWire) isClosed() bool                         { return false }

var always = func() confirmation {
	done := make(chan struct{})
	close(done)
	return confirmed{done}
}()

// Budget: the two hand-overs between goroutines, and Encode's allocations.
func BenchmarkPublishWithoutTheLibrary(b *testing.B) {
	b.ReportAllocs()
	c := newChannel(instantWire{}, 256, &conn.Alarm{})
	go c.write()
	go c.confirm()
	l := &envelope.Limits{HeaderBytes: 64 << 10, DataBytes: 16 << 20, Now: time.Now}
	m := &queueing.Message{Exchange: "orders", RoutingKey: "k", Event: benchEvent(), Mandatory: true}
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			p := newPublication(context.Background())
			if err := p.encode(m, l); err != nil {
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

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

// Budget: the hand-over to the confirmer, and Encode's allocations.
func BenchmarkPublishWithoutTheLibrary(b *testing.B) {
	b.ReportAllocs()
	r := newRing(256)
	c := newChannel(instantWire{ring: r}, r, 256, &conn.Alarm{})
	go c.write()
	go c.confirm()
	l := &envelope.Limits{HeaderBytes: 64 << 10, DataBytes: 16 << 20, Now: time.Now}
	m := &queueing.Message{Exchange: "orders", RoutingKey: "k", Event: benchEvent(), Mandatory: true}
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

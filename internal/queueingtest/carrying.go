package queueingtest

import (
	"bytes"
	"strings"
	"time"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/event"
)

const (
	hopParent      = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	creationParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
)

// carrying is what an event and what is said about it look like on the other side.
var carrying = []behaviour{
	{name: "attributes of every type survive", run: func(r *rig) {
		e := newEvent("a")
		e.Set(event.AttrSubject, event.String("order-17"))
		e.Set(event.AttrDataContentType, event.String("application/json"))
		e.Set(event.AttrDataSchema, event.URI("https://example.com/schema?v=1#top"))
		e.Set(event.AttrTime, event.Timestamp(time.Date(2026, 2, 28, 23, 59, 59, 123456789, time.FixedZone("", 5*3600+1800))))
		e.Set("yes", event.Boolean(true))
		e.Set("no", event.Boolean(false))
		e.Set("big", event.Integer(1<<31-1))
		e.Set("negative", event.Integer(-1<<31))
		e.Set("text", event.String("a text"))
		e.Set("bytes", event.Binary([]byte{0, 1, 254, 255}))
		e.Set("ref", event.URIRef("../relative?q=%20"))
		e.Set("when", event.Timestamp(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)))
		r.wantSame(r.carried(e).Event, e)
	}},
	{name: "text in any script survives", run: func(r *rig) {
		e := newEvent("ключ-鍵-🔑")
		e.Source, e.Type = "/żółć/مصدر", "io.warrenmesh.测试"
		e.Set(event.AttrSubject, event.String(`"quoted", café, 100 %, 𝔘𝔫𝔦`))
		e.Data = []byte("naïve ☃")
		r.wantSame(r.carried(e).Event, e)
	}},
	{name: "an id and a type longer than a short string survive", run: func(r *rig) {
		e := newEvent(strings.Repeat("i", 300))
		e.Type = strings.Repeat("t", 300)
		e.Set(event.AttrCorrelationID, event.String(strings.Repeat("c", 300)))
		e.Set("long", event.String(strings.Repeat("x", 20<<10)))
		r.wantSame(r.carried(e).Event, e)
	}},
	{name: "binary data survives byte for byte", run: func(r *rig) {
		e := newEvent("a")
		e.Set(event.AttrDataContentType, event.String("application/octet-stream"))
		e.Data = nil
		for i := range 1024 {
			e.Data = append(e.Data, byte(i))
		}
		d := r.carried(e)
		r.wantSame(d.Event, e)
		if !bytes.Equal(d.Raw, e.Data) {
			r.Fatal("the raw body is not the data")
		}
	}},
	{name: "empty data stays empty", run: func(r *rig) {
		e := newEvent("a")
		e.Data = nil
		r.wantSame(r.carried(e).Event, e)
	}},
	{name: "a mebibyte of data survives", run: func(r *rig) {
		e := newEvent("a")
		e.Data = bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
		e.Data[1<<19] = 0
		r.wantSame(r.carried(e).Event, e)
	}},
	{name: "the hop's trace context and the event's own travel side by side", run: func(r *rig) {
		queue := r.queue("q")
		m := toQueue(queue, "a")
		m.Event.Set(event.AttrTraceParent, event.String(creationParent))
		m.Event.Set(event.AttrTraceState, event.String("origin=1"))
		m.Trace = broker.TraceContext{Parent: hopParent, State: "hop=2,b=3", Baggage: "tenant=blue,k=v%20w"}
		r.publish(m)
		d := r.consume(queue, 1).next()
		if d.Trace != m.Trace {
			r.Fatalf("hop's context is %+v, want %+v", d.Trace, m.Trace)
		}
		r.wantSame(d.Event, m.Event)
	}},
	{name: "a hop's trace context adds nothing to the event", run: func(r *rig) {
		queue := r.queue("q")
		m := toQueue(queue, "a")
		m.Trace = broker.TraceContext{Parent: hopParent}
		r.publish(m)
		d := r.consume(queue, 1).next()
		if d.Trace != m.Trace {
			r.Fatalf("hop's context is %+v, want %+v", d.Trace, m.Trace)
		}
		r.wantSame(d.Event, m.Event)
	}},
	{name: "a copy says its partition and when the event first failed", run: func(r *rig) {
		queue := r.queue("q")
		m := toQueue(queue, "a")
		m.Partition, m.Partitioned = 1<<32-1, true
		m.FirstFailure = time.Date(2026, 2, 28, 23, 59, 59, 123456789, time.UTC)
		r.publish(m)
		d := r.consume(queue, 1).next()
		if !d.Partitioned || d.Partition != m.Partition || !d.FirstFailure.Equal(m.FirstFailure) {
			r.Fatalf("partition is %d (%t) and the first failure %v, want %d and %v", d.Partition, d.Partitioned, d.FirstFailure, m.Partition, m.FirstFailure)
		}
		r.wantSame(d.Event, m.Event)
	}},
	{name: "an event without a partition or a failure has none", run: func(r *rig) {
		queue := r.queue("q")
		r.publish(toQueue(queue, "a"))
		if d := r.consume(queue, 1).next(); d.Partitioned || !d.FirstFailure.IsZero() {
			r.Fatalf("partition is %d (%t) and the first failure %v", d.Partition, d.Partitioned, d.FirstFailure)
		}
	}},
	{name: "a dead letter says where it comes from and why", run: func(r *rig) {
		queue := r.queue("q")
		m := toQueue(queue, "a")
		m.AppID = "billing"
		m.DeadLetter = &broker.DeadLetter{
			Reason: "attempts-exhausted", Detail: "naïve: no such order \"17\"", Subscription: "shop/billing",
			Origin: broker.Origin{Name: "orders", Key: "com.shop.order.placed"}, Attempts: 5,
			FirstFailure: time.Date(2026, 11, 22, 3, 4, 5, 678_000_000, time.UTC),
			Time:         time.Date(2026, 11, 23, 4, 5, 6, 0, time.UTC),
		}
		r.publish(m)
		d := r.consume(queue, 1).next()
		got := d.DeadLetter
		if got == nil {
			r.Fatal("the delivery is no dead letter")
		}
		sameTime := got.Time.Equal(m.DeadLetter.Time) && got.FirstFailure.Equal(m.DeadLetter.FirstFailure)
		flat := *got
		flat.Time, flat.FirstFailure = m.DeadLetter.Time, m.DeadLetter.FirstFailure
		if flat != *m.DeadLetter || !sameTime || d.AppID != m.AppID {
			r.Fatalf("dead letter of %q is %+v, want %+v", d.AppID, *got, *m.DeadLetter)
		}
		r.wantSame(d.Event, m.Event)
	}},
	{name: "an event's priority is kept", needs: func(h *Harness) bool { return h.Caps.Priorities }, run: func(r *rig) {
		queue := r.queue("q")
		m := toQueue(queue, "a")
		m.Priority = 7
		r.publish(m)
		if d := r.consume(queue, 1).next(); d.Priority != 7 {
			r.Fatalf("priority is %d, want 7", d.Priority)
		}
	}},
	{name: "an expired event is never delivered", needs: func(h *Harness) bool { return h.Caps.Expiration }, run: func(r *rig) {
		queue := r.queue("q")
		m := toQueue(queue, "short-lived")
		m.TTL = time.Millisecond
		r.publish(m)
		m = toQueue(queue, "long-lived")
		m.TTL = time.Hour
		r.publish(m)
		r.publish(toQueue(queue, "immortal"))
		<-time.After(quiet) // a hundred lifetimes
		r.wantIDs(r.consume(queue, 5).acked(2), []string{"long-lived", "immortal"})
	}},
}

// carried sends e through a queue.
func (r *rig) carried(e *event.Event) *queueing.Delivery {
	r.Helper()
	if err := e.Validate(); err != nil {
		r.Fatalf("the test's own event: %v", err)
	}
	queue := r.queue("q")
	r.publish(&queueing.Message{RoutingKey: queue, Event: e, Mandatory: true, Persistent: true})
	return r.consume(queue, 1).next()
}

// wantSame compares events. Attributes without a native form on the wire come as
// their canonical strings, which is compared; booleans and integers keep their type.
func (r *rig) wantSame(got, want *event.Event) {
	r.Helper()
	if got.ID != want.ID || got.Source != want.Source || got.Type != want.Type {
		r.Fatalf("id, source and type are %q, %q, %q, want %q, %q, %q", got.ID, got.Source, got.Type, want.ID, want.Source, want.Type)
	}
	if !bytes.Equal(got.Data, want.Data) {
		r.Fatalf("data has %d bytes and is not the %d that were sent", len(got.Data), len(want.Data))
	}
	if len(got.Attrs) != len(want.Attrs) {
		r.Fatalf("attributes are %v, want %v", got.Attrs, want.Attrs)
	}
	for _, a := range want.Attrs {
		v, ok := got.Lookup(a.Name)
		if !ok || v.String() != a.Value.String() {
			r.Fatalf("attribute %s is %q, want %q", a.Name, v, a.Value)
		}
		if kind := a.Value.Kind(); (kind == event.KindBoolean || kind == event.KindInteger) && v.Kind() != kind {
			r.Fatalf("attribute %s has type %v, want %v", a.Name, v.Kind(), kind)
		}
	}
}

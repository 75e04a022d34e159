package brokertest

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/event"
)

// events are how they get from a topic to its subscriptions.
var events = []behaviour{
	{name: "state names the server", run: func(r *rig) {
		if s := r.driver.State(); s.Server == "" || s.Reason != "" {
			r.Fatalf("state of a driver that is up: %+v", s)
		}
	}},
	{name: "an event reaches every subscription of its topic, and no other", run: func(r *rig) {
		orders, returns := r.topic("orders"), r.topic("returns")
		billing, shipping, refunds := r.subscription(orders, "billing"), r.subscription(orders, "shipping"), r.subscription(returns, "refunds")
		r.publish(orders, "1")
		r.publish(returns, "2")
		r.receive(billing, 10).acked("1")
		r.receive(shipping, 10).acked("1")
		r.receive(refunds, 10).acked("2")
	}},
	{name: "an event that no subscription takes is unroutable, where the topic asks for one", run: func(r *rig) {
		orders := r.topic("orders")
		r.wantKind(r.outcomes(r.context(), []*broker.Message{message(orders, "1")})[0], broker.Unroutable, broker.Failed)
		free := *orders
		free.Mandatory = false
		r.publish(&free, "2")
	}},
	{name: "events arrive in the order they were published", run: func(r *rig) {
		orders := r.topic("orders")
		billing := r.subscription(orders, "billing")
		r.publish(orders, numbered(200)...)
		r.receive(billing, 200).acked(numbered(200)...)
	}},
	{name: "an event arrives as it was, with what travels beside it", run: func(r *rig) {
		orders := r.topic("orders")
		billing := r.subscription(orders, "billing")
		m := message(orders, "1")
		m.Event.Set(event.AttrSubject, event.String("naïve ✓"))
		m.Event.Data = []byte{0, 1, 0xff}
		m.Headers = []broker.Header{{Name: "x-tenant", Value: "blue"}, {Name: "x-count", Value: int64(3)}}
		m.ReplyTo, m.AppID = "answers", "checkout"
		m.Trace = broker.TraceContext{Parent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", State: "a=b", Baggage: "c=d"}
		m.Republished = true
		want := *m
		e := *m.Event
		want.Event = &e
		r.send(m)
		d := r.receive(billing, 1).next()
		if !reflect.DeepEqual(d.Event, want.Event) || string(d.Raw) != string(want.Event.Data) {
			r.Errorf("event %+v of %q, want %+v", d.Event, d.Raw, want.Event)
		}
		slices.SortFunc(d.Headers, func(a, b broker.Header) int { return strings.Compare(b.Name, a.Name) }) // RabbitMQ 4.3 sorts them
		if !reflect.DeepEqual(d.Headers, want.Headers) || d.ReplyTo != want.ReplyTo || d.AppID != want.AppID || d.Trace != want.Trace {
			r.Errorf("beside it came %+v", d)
		}
		if d.Attempt != 1 || !d.Redelivered || d.Returning || d.DeadLetter != nil || d.Origin.Key != "a.key" {
			r.Errorf("a first delivery of what was published twice is %+v", d)
		}
	}},
	{name: "what expires is not delivered, and the rest says when it does", run: func(r *rig) {
		orders := r.topic("orders")
		billing := r.subscription(orders, "billing")
		brief, long := message(orders, "brief"), message(orders, "long")
		brief.TTL, brief.Expires = time.Millisecond, time.Now().Add(time.Millisecond)
		long.TTL, long.Expires = time.Hour, time.Now().Add(time.Hour).Truncate(time.Millisecond)
		end := long.Expires
		r.send(brief)
		<-time.After(quiet)
		r.send(long)
		if d := r.receive(billing, 5).want("long")[0]; !d.Expires.Equal(end) {
			r.Errorf("expires %v, want %v", d.Expires, end)
		}
	}},
	{name: "no more is unsettled than the prefetch", run: func(r *rig) {
		orders := r.topic("orders")
		billing := r.subscription(orders, "billing")
		r.publish(orders, numbered(5)...)
		in := r.receive(billing, 2)
		first := in.want("000", "001")
		in.empty()
		if err := first[1].Ack(); err != nil {
			r.Fatal(err)
		}
		in.want("002")
		in.empty()
	}},
	{name: "receivers of a subscription share its events", run: func(r *rig) {
		orders := r.topic("orders")
		billing := r.subscription(orders, "billing")
		one, two := r.receive(billing, 1), r.receiveOn(r.harness.New(r.T), billing, 1)
		r.publish(orders, "1", "2")
		a, b := one.next(), two.next()
		if a.MessageID() == b.MessageID() {
			r.Fatalf("both received %s", a.MessageID())
		}
	}},
}

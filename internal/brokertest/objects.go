package brokertest

import (
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
)

// objects are what the configuration names, on the broker.
var objects = []behaviour{
	{name: "ensuring what exists changes nothing", run: func(r *rig) {
		orders := r.topic("orders")
		billing := r.subscription(orders, "billing")
		r.publish(orders, "1")
		r.ensure(broker.Object{Topic: orders})
		r.ensure(broker.Object{Subscription: billing})
		in := r.receive(billing, 5)
		in.acked("1")
		in.empty()
	}},
	{name: "what is verified and missing is not found", run: func(r *rig) {
		orders := r.topic("orders")
		err := r.driver.Ensure(r.context(), broker.Object{Subscription: r.undeclared(orders, "billing"), Policy: mesh.Verify})
		if broker.KindOf(err) != broker.NotFound {
			r.Fatalf("verified with %v, want not-found", err)
		}
	}},
	{name: "a subscription that is not there cannot be received", run: func(r *rig) {
		orders := r.topic("orders")
		from := broker.Receiving{Subscription: r.undeclared(orders, "billing"), Prefetch: 1}
		if _, err := r.driver.Receive(r.context(), from, func([]*broker.Delivery) {}); broker.KindOf(err) != broker.NotFound {
			r.Fatalf("Receive ended with %v, want not-found", err)
		}
	}},
	{name: "objects are the same if they look the same on the broker", run: func(r *rig) {
		orders := r.topic("orders")
		a, b := r.undeclared(orders, "billing"), r.undeclared(orders, "billing")
		b.PushPort = 8080
		of := func(s *mesh.Subscription) broker.Object { return broker.Object{Subscription: s, Policy: mesh.Manage} }
		if !r.driver.Same(of(a), of(b)) {
			r.Error("where its events are pushed to makes it another object")
		}
		if b.Exchange.Name = "another"; r.driver.Same(of(a), of(b)) {
			r.Error("another topic makes it no other object")
		}
	}},
	{name: "a subscription that has moved to another topic gets nothing more of the old one, and keeps what it has", run: func(r *rig) {
		orders, returns := r.topic("orders"), r.topic("returns")
		billing := r.subscription(orders, "billing")
		r.subscription(orders, "shipping") // so that something takes what billing does not
		r.publish(orders, "before")
		moved := *billing
		moved.Topic, moved.Exchange = returns.Topic, returns.Exchange
		r.ensure(broker.Object{Subscription: &moved})
		kept := []broker.Object{{Subscription: &moved, Policy: mesh.Manage}}
		if err := r.driver.Keep(r.context(), kept); err != nil {
			r.Fatal(err)
		}
		r.publish(orders, "old")
		r.publish(returns, "new")
		in := r.receive(&moved, 5)
		got := in.want("before", "new")
		if got[0].Topic != "brokertest/orders" || got[1].Topic != "" {
			r.Errorf("of topics %q and %q, want the old one and the subscription's own", got[0].Topic, got[1].Topic)
		}
		in.empty()
	}},
}

package server_test

import (
	"testing"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/server"
)

// A subscription concerns the sidecars that its selector picks, also before they asked.
func TestASelectedSidecarCountsBeforeItAsked(t *testing.T) {
	t.Parallel()
	s := server.New(server.Options{})
	stub := start(t, s)
	g := server.NewGroup([][2]string{{xds.TypeListener, "subscription/shop/billing"}})
	s.Update(server.View{Scoped: []server.Scoped{subscription(t, "billing", "billing", 1)}, Groups: []*server.Group{g}})
	asks, silent, other := newClient(t, stub, node("billing.shop~1")), newClient(t, stub, node("billing.shop~2")), newClient(t, stub, node("other.shop~1"))
	for _, c := range []*client{asks, silent, other} {
		c.open()
		c.fence()
	}
	if got := g.Progress(); got != (server.Progress{Pending: 2}) {
		t.Errorf("before anybody asked: %+v", got)
	}
	asks.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: xds.TypeListener, ResourceNamesSubscribe: []string{"*"}})
	asks.next()
	asks.answer("")
	asks.fence()
	if got := g.Progress(); got != (server.Progress{Acked: 1, Pending: 1}) || got.Total() != 2 {
		t.Errorf("when one has it: %+v", got)
	}
	silent.cancel()
	await(t, s, "one has left", func(all []server.Sidecar) bool { return len(all) == 2 })
	if got := g.Progress(); got != (server.Progress{Acked: 1}) {
		t.Errorf("when the other has left: %+v", got)
	}
}

// When a change is in force, what sidecars said of the version before no longer counts,
// and nobody has been told yet.
func TestAChangeIsPendingWhenItComesIntoForce(t *testing.T) {
	t.Parallel()
	s := server.New(server.Options{})
	stub := start(t, s)
	g := server.NewGroup([][2]string{{xds.TypeListener, "topic/shop/orders"}, {xds.TypeRoute, "topic/shop/orders"}})
	s.Update(server.View{Resources: topic(t, "orders", 1), Groups: []*server.Group{g}})
	c := newClient(t, stub, node("a.shop~1"))
	c.open()
	c.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: xds.TypeRoute, ResourceNamesSubscribe: []string{"topic/shop/orders"}})
	c.next()
	c.answer("")
	c.fence()
	if got := g.Progress(); got != (server.Progress{Acked: 1}) {
		t.Fatalf("before the change: %+v", got)
	}
	var adopted server.Progress
	s.Update(server.View{Resources: topic(t, "orders", 2), Groups: []*server.Group{g}, Adopted: func() { adopted = g.Progress() }})
	if adopted != (server.Progress{Pending: 1}) {
		t.Errorf("when it came into force: %+v", adopted)
	}
	c.next()
	c.answer("topic/shop/orders: odd")
	c.fence()
	if got := g.Progress(); got != (server.Progress{Rejected: 1, LastError: "odd"}) {
		t.Errorf("when it was refused: %+v", got)
	}
}

// A response says of which configuration it is, whatever it tells.
func TestEveryResponseSaysItsConfiguration(t *testing.T) {
	t.Parallel()
	s := server.New(server.Options{})
	stub := start(t, s)
	s.Update(server.View{Version: "one", Resources: topic(t, "orders", 1)})
	c := newClient(t, stub, node("a.shop~1"))
	c.open()
	expect := func(what, want string) {
		t.Helper()
		if got := c.next().GetSystemVersionInfo(); got != want {
			t.Errorf("%s: system_version_info is %q, want %q", what, got, want)
		}
		c.answer("")
	}
	c.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: xds.TypeRoute, ResourceNamesSubscribe: []string{"topic/shop/orders"}})
	expect("a resource", "one")
	c.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: xds.TypeListener, ResourceNamesSubscribe: []string{"*"}})
	expect("nothing", "one")
	s.Update(server.View{Version: "two", Resources: topic(t, "orders", 2)})
	expect("a change", "two")
	s.Update(server.View{Version: "three"})
	expect("a removal", "three")
}

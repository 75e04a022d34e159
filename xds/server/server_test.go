package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/server"
)

// refusal returns the error of a delta stream whose first request is from n.
func refusal(t *testing.T, stub discoveryv3.AggregatedDiscoveryServiceClient, n xds.Node) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stream, err := stub.DeltaAggregatedResources(ctx)
	if err != nil {
		return err
	}
	err = stream.Send(&discoveryv3.DeltaDiscoveryRequest{Node: n.Proto(), TypeUrl: xds.TypeListener})
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	_, err = stream.Recv()
	return err
}

func TestStreamsAreRefusedUntilThereIsSomethingToServe(t *testing.T) {
	t.Parallel()
	s := server.New(server.Options{})
	stub := start(t, s)
	if err := refusal(t, stub, node("a.shop~1")); status.Code(err) != codes.Unavailable {
		t.Errorf("before the first update: %v, want Unavailable", err)
	}
	s.Update(server.View{})
	c := newClient(t, stub, node("a.shop~1"))
	c.open()
	c.fence()
	if got := s.Sidecars(); len(got) != 1 {
		t.Errorf("after it: sidecars are %+v", got)
	}
}

func TestAStreamWithoutAnIdentityIsRefused(t *testing.T) {
	t.Parallel()
	s := server.New(server.Options{})
	stub := start(t, s)
	s.Update(server.View{})
	for what, n := range map[string]xds.Node{
		"without an id":       {Namespace: "shop"},
		"without a namespace": {ID: "a"},
	} {
		if err := refusal(t, stub, n); status.Code(err) != codes.InvalidArgument {
			t.Errorf("a node %s: %v, want InvalidArgument", what, err)
		}
	}
}

func TestStateOfTheWorldIsRefused(t *testing.T) {
	t.Parallel()
	s := server.New(server.Options{})
	stub := start(t, s)
	s.Update(server.View{})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stream, err := stub.StreamAggregatedResources(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	if status.Code(err) != codes.Unimplemented || !strings.Contains(err.Error(), "use delta") {
		t.Errorf("error is %v", err)
	}
}

func TestATypeThatIsNotServedIsNotAnswered(t *testing.T) {
	t.Parallel()
	s := server.New(server.Options{})
	stub := start(t, s)
	s.Update(server.View{})
	c := newClient(t, stub, node("a.shop~1"))
	c.open()
	for range 50 { // more than the library's mailbox holds
		c.send(&discoveryv3.DeltaDiscoveryRequest{
			TypeUrl: "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret", ResourceNamesSubscribe: []string{"*"},
		})
	}
	c.fence()
	if len(c.inbox) > 0 {
		t.Errorf("answered with %v", c.inbox)
	}
}

func TestCloseEndsStreams(t *testing.T) {
	t.Parallel()
	s := server.New(server.Options{})
	stub := start(t, s)
	s.Update(server.View{})
	c := newClient(t, stub, node("a.shop~1"))
	c.open()
	c.fence()
	s.Close()
	if _, err := c.stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the stream ended with %v, want EOF", err)
	}
	await(t, s, "nobody is connected", func(all []server.Sidecar) bool { return len(all) == 0 })
}

// Several streams that say they are one node are all told: one may be dead, one may
// be somebody else.
func TestAllStreamsOfANodeAreShown(t *testing.T) {
	t.Parallel()
	at := time.Unix(1, 0)
	s := server.New(server.Options{Now: func() time.Time { return at }})
	stub := start(t, s)
	s.Update(server.View{Resources: topic(t, "orders", 100)})
	old, fresh := newClient(t, stub, node("a.shop~1")), newClient(t, stub, node("a.shop~1"))
	for _, c := range []*client{old, fresh} {
		c.open()
		c.fence()
	}
	fresh.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: xds.TypeRoute, ResourceNamesSubscribe: []string{"topic/shop/orders"}})
	fresh.fence()
	all := s.Sidecars()
	if len(all) != 2 {
		t.Fatalf("%d sidecars, want 2: %+v", len(all), all)
	}
	for _, got := range all {
		if got.Node.ID != "a.shop~1" || got.Node.Labels["app"] != "a" || got.Peer == "" || !got.ConnectedAt.Equal(at) {
			t.Errorf("sidecar is %+v", got)
		}
	}
	isRoute := func(r server.ResourceState) bool { return r.TypeURL == xds.TypeRoute && r.State == server.Sent }
	if slices.ContainsFunc(all[0].Resources, isRoute) || !slices.ContainsFunc(all[1].Resources, isRoute) {
		t.Errorf("want the route at the newer stream, which comes last: %+v", all)
	}
}

// Sidecars that come, go and dawdle while the configuration changes all end up
// with its last state.
func TestAllSidecarsGetTheLastState(t *testing.T) {
	t.Parallel()
	const sidecars, updates = 12, 60
	s := server.New(server.Options{})
	stub := start(t, s)
	s.Update(server.View{Resources: topic(t, "orders", 0)})
	last := topic(t, "orders", updates)[1].Version

	var wg sync.WaitGroup
	defer wg.Wait()
	for i := range sidecars {
		c := newClient(t, stub, node(fmt.Sprintf("a.shop~%d", i)))
		c.open()
		c.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: xds.TypeRoute, ResourceNamesSubscribe: []string{"topic/shop/orders"}})
		wg.Go(func() { follow(c, last) })
	}
	for i := range updates {
		s.Update(server.View{Resources: topic(t, "orders", uint32(i+1))})
	}
	await(t, s, "all have accepted the last version", func(all []server.Sidecar) bool {
		accepted := 0
		for _, x := range all {
			if len(x.Resources) == 1 && x.Resources[0].Acked == last && x.Resources[0].State == server.Acked {
				accepted++
			}
		}
		return accepted == sidecars
	})
}

// follow ACKs until version comes. It may not end the test: it is not its goroutine.
func follow(c *client, version string) {
	for round := 0; ; round++ {
		resp, err := c.stream.Recv()
		if err != nil {
			c.t.Errorf("%s: receive: %v", c.node.ID, err)
			return
		}
		req := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: resp.TypeUrl, ResponseNonce: resp.Nonce}
		if round%3 == 0 { // a spontaneous request may cross the next response
			_ = c.stream.Send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: resp.TypeUrl})
		}
		if err := c.stream.Send(req); err != nil {
			c.t.Errorf("%s: send: %v", c.node.ID, err)
			return
		}
		if len(resp.Resources) == 1 && resp.Resources[0].Version == version {
			return
		}
	}
}

func Example() {
	s := server.New(server.Options{})
	s.Update(server.View{})
	fmt.Println(len(s.Sidecars()), "sidecars")
	s.Close()
	// Output: 0 sidecars
}

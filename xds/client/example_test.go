package client_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	cachev3 "github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	serverv3 "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/client"
	"github.com/warrenmesh/warren/xds/wire"
)

var (
	orders = mesh.Name{Namespace: "shop", Name: "orders"}
	broker = mesh.Name{Namespace: "shop", Name: "main"}
)

// A stock go-control-plane serves one topic; the client asks for it, waits until
// it is complete, and runs on it.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	socket, stop := serveOrders(ctx)
	defer stop()

	c, err := client.New(client.Options{
		Server: "unix:" + socket,
		Node:   xds.Node{ID: "checkout.shop~1", Namespace: "shop", Workload: "checkout"},
		Apply:  func(*client.Snapshot) client.Refusals { return nil /* compile it and swap one pointer */ },
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	running, end := context.WithCancel(ctx)
	done := make(chan error)
	go func() { done <- c.Run(running) }()

	fmt.Println("await orders:", c.Await(ctx, orders))
	for _, r := range c.Status().Resources {
		fmt.Println(r.State, r.Name)
	}
	end()
	fmt.Println("run:", <-done)
	// Output:
	// await orders: <nil>
	// ACKED broker/shop/main
	// ACKED broker/shop/main
	// ACKED topic/shop/orders
	// ACKED topic/shop/orders
	// run: <nil>
}

// serveOrders is a control plane of library parts, on a unix socket.
func serveOrders(ctx context.Context) (socket string, stop func()) {
	dir, err := os.MkdirTemp("", "warren")
	must(err)
	socket = filepath.Join(dir, "xds.sock")
	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", socket)
	must(err)

	cache := cachev3.NewSnapshotCache(true, cachev3.IDHash{}, nil)
	snapshot, err := cachev3.NewSnapshot("1", resources())
	must(err)
	must(cache.SetSnapshot(ctx, "checkout.shop~1", snapshot))
	srv := grpc.NewServer()
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(srv, serverv3.NewServer(ctx, cache, nil))
	done := make(chan error)
	go func() { done <- srv.Serve(listener) }()
	return socket, func() {
		srv.Stop()
		must(errors.Join(<-done, os.RemoveAll(dir)))
	}
}

// resources are the four of a topic on one broker.
func resources() map[string][]types.Resource {
	topic, err := wire.EncodeTopic(&mesh.Topic{Name: orders, Rules: []mesh.Rule{{
		Retry: mesh.Retry{Attempts: 1, Backoff: mesh.Backoff{Base: time.Millisecond, Max: time.Second}},
		Backends: []mesh.Backend{{Weight: 1, Destination: mesh.Destination{
			Topic: orders, Broker: broker, Exchange: mesh.Exchange{Name: "orders", Type: "topic"},
			RoutingKey: "{type}", ConfirmTimeout: time.Second, MaxEventBytes: 1 << 20,
		}}},
	}}})
	must(err)
	nodes, err := wire.EncodeBroker(&mesh.Broker{
		Name: broker, Type: mesh.RabbitMQ, VHost: "/", Topology: mesh.Manage, Heartbeat: 10 * time.Second,
		Nodes: []mesh.Node{{Address: "127.0.0.1:5672"}},
	})
	must(err)
	byType := map[string][]types.Resource{}
	for _, r := range append(topic, nodes...) {
		m, err := r.Any.UnmarshalNew()
		must(err)
		byType[r.TypeURL] = append(byType[r.TypeURL], m)
	}
	return byType
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

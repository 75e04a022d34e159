package server_test

import (
	"context"
	"fmt"
	"net"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/server"
	"github.com/warrenmesh/warren/xds/wire"
)

func ExampleServer() {
	s := server.New(server.Options{})
	g := grpc.NewServer(server.ServerOptions()...)
	s.Register(g)
	listener := bufconn.Listen(1 << 16)
	done := make(chan error, 1)
	go func() { done <- g.Serve(listener) }()

	resources, err := wire.EncodeBroker(&mesh.Broker{Name: mesh.Name{Namespace: "shop", Name: "main"}, Type: mesh.Memory, Topology: mesh.Ignore})
	if err != nil {
		fmt.Println(err)
	}
	key := [2]string{xds.TypeCluster, "broker/shop/main"}
	uses := server.NewGroup([][2]string{key})
	s.Update(server.View{Version: "1", Resources: resources, Groups: []*server.Group{uses}})

	conn, err := grpc.NewClient("passthrough:///memory", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		fmt.Println(err)
	}
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(context.Background())
	if err != nil {
		fmt.Println(err)
	}
	err = stream.Send(&discoveryv3.DeltaDiscoveryRequest{
		Node: xds.Node{ID: "billing.shop~1", Namespace: "shop", Workload: "billing"}.Proto(), TypeUrl: key[0], ResourceNamesSubscribe: []string{key[1]},
	})
	if err != nil {
		fmt.Println(err)
	}
	resp, err := stream.Recv()
	fmt.Println(resp.GetSystemVersionInfo(), resp.GetResources()[0].GetName(), err)
	changed := s.Changed()
	if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: key[0], ResponseNonce: resp.GetNonce()}); err != nil {
		fmt.Println(err)
	}
	<-changed
	fmt.Printf("%+v\n", uses.Progress())

	s.Close()
	_ = conn.Close()
	g.GracefulStop()
	fmt.Println(<-done)
	// Output:
	// 1 broker/shop/main <nil>
	// {Acked:1 Pending:0 Rejected:0 LastError:}
	// <nil>
}

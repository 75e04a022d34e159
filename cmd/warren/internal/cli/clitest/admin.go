package clitest

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/xds"
)

// Admin is a sidecar's AdminService with fixed answers.
type Admin struct {
	adminv1.UnimplementedAdminServiceServer
	Dumped  *adminv1.GetConfigDumpResponse
	Passing []*adminv1.TapResponse
	Unclean bool

	Tapped  *adminv1.TapRequest
	Drained *adminv1.DrainRequest
}

// Register adds the fake to a server.
func (f *Admin) Register(g *grpc.Server) { adminv1.RegisterAdminServiceServer(g, f) }

// GetConfigDump answers Dumped.
func (f *Admin) GetConfigDump(context.Context, *adminv1.GetConfigDumpRequest) (*adminv1.GetConfigDumpResponse, error) {
	return f.Dumped, nil
}

// Tap shows what passes, and ends as a sidecar does that stops.
func (f *Admin) Tap(req *adminv1.TapRequest, stream grpc.ServerStreamingServer[adminv1.TapResponse]) error {
	f.Tapped = req
	for _, r := range append([]*adminv1.TapResponse{{}}, f.Passing...) {
		if err := stream.Send(r); err != nil {
			return err
		}
	}
	return status.Error(codes.Unavailable, "the sidecar is shutting down")
}

// Drain notes what was asked for.
func (f *Admin) Drain(_ context.Context, req *adminv1.DrainRequest) (*adminv1.DrainResponse, error) {
	f.Drained = req
	return &adminv1.DrainResponse{Took: durationpb.New(3 * time.Millisecond), Clean: !f.Unclean}, nil
}

// Dump is what a sidecar runs on that has everything a dump can show.
func Dump() *adminv1.GetConfigDumpResponse {
	return &adminv1.GetConfigDumpResponse{
		Node: "billing.shop~1c20", Namespace: "shop", Workload: "billing", Version: "9d81c00f2b", AppliedAt: timestamppb.New(Loaded), FromDisk: true,
		ControlPlane: &adminv1.ControlPlaneContact{Address: "10.0.0.1:17430", LastError: "connection refused"},
		Topics: []*adminv1.TopicConfig{{Name: "shop/orders", Rules: []*adminv1.RuleConfig{
			{Name: "orders-canary/eu", Filters: []string{`prefix(type, "com.shop.")`, `not(exact(source, "/test"))`}, Backends: []*adminv1.BackendConfig{
				{Topic: "shop/orders", Weight: 95, Broker: "shop/main", Exchange: "orders", ExchangeType: "topic", RoutingKey: "{type}"},
				{Topic: "shop/orders-next", Weight: 5, Broker: "shop/main", Exchange: "orders-next", ExchangeType: "topic", RoutingKey: "{type}", Partitions: &adminv1.PartitionsConfig{Count: 8, Key: "partitionkey"}},
			}},
			{Backends: []*adminv1.BackendConfig{{Topic: "shop/orders", Weight: 1, Broker: "shop/main", Exchange: "orders", ExchangeType: "topic", RoutingKey: "{type}"}}},
		}}},
		Subscriptions: []*adminv1.SubscriptionConfig{{
			Name: "shop/billing", Topic: "shop/orders", Broker: "shop/main", Queue: "shop.billing", Prefetch: 64, Attempts: 5,
			AckDeadline: durationpb.New(30 * time.Second), DeadLetterQueue: "orders.billing.dead",
		}, {
			Name: "shop/ledger", Topic: "shop/orders-next", Broker: "shop/main", Queue: "shop.ledger", Prefetch: 64, Attempts: 5,
			AckDeadline: durationpb.New(30 * time.Second), DeadLetterQueue: "shop.ledger.dead",
			Ordering: "PerKey", Partitions: &adminv1.PartitionsConfig{Count: 8, Key: "partitionkey"},
			DedupeWindow: durationpb.New(10 * time.Minute), DedupeMaxEntries: 100_000,
		}},
		Brokers: []*adminv1.BrokerConfig{{Name: "shop/main", Type: "RabbitMQ", Vhost: "/", Credentials: "rabbit", Topology: "Manage", Nodes: []*adminv1.BrokerNode{
			{Broker: "shop/main", Address: "127.0.0.1:5672", Server: "RabbitMQ 4.1.0", Publishing: true, Consuming: true},
			{Broker: "shop/main", Address: "127.0.0.1:5673", Reason: "connection refused", Priority: 1},
		}}},
		Resources: []*adminv1.ConfigResource{
			{TypeUrl: xds.TypeListener, Name: "subscription/shop/billing", State: "ACKED", Version: "aa11"},
			{TypeUrl: xds.TypeListener, Name: "topic/shop/orders", State: "ACKED", Version: "bb22"},
			{TypeUrl: xds.TypeRoute, Name: "topic/shop/orders", State: "NACKED", Version: "cc33", RejectedVersion: "dd44", Error: "regex is not supported"},
		},
	}
}

package deliver_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/internal/brokertest/one"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker/membroker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/deliver"
	door "github.com/warrenmesh/warren/proxy/door/grpc"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/tracing"
)

// BenchmarkDeliver hands out and acks events over a gRPC stream, both ends and the
// broker in this process; each event is published in the loop, too.
func BenchmarkDeliver(b *testing.B) {
	br := membroker.New(membroker.Options{})
	defer br.Close()
	node := br.Node(membroker.NodeOptions{})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- node.Run(ctx) }()
	defer func() { cancel(); <-done }()
	sub := subscription()
	sub.Queue.Prefetch = 64
	if err := node.EnsureTopology(ctx, queueing.Layout(&sub, mesh.Manage)); err != nil {
		b.Fatal(err)
	}
	cfg := &config{changed: make(chan struct{})}
	cfg.set(sub)
	server := grpc.NewServer()
	eventsv1.RegisterEventServiceServer(server, door.New(nil, deliver.New(deliver.Options{
		Namespace: "shop", Subscriptions: cfg, Brokers: only(node), Tracing: tracing.Disabled().Messaging(), Logger: slog.New(slog.DiscardHandler),
	}), 0))
	l := bufconn.Listen(1 << 20)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	defer func() { server.Stop(); <-served }()
	conn, err := grpc.NewClient("passthrough:///bufconn", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	s, err := eventsv1.NewEventServiceClient(conn).Subscribe(ctx)
	if err != nil {
		b.Fatal(err)
	}
	say := func(r *eventsv1.SubscribeRequest) {
		if err := s.Send(r); err != nil {
			b.Fatal(err)
		}
	}
	say(&eventsv1.SubscribeRequest{Request: &eventsv1.SubscribeRequest_Init{Init: &eventsv1.SubscribeInit{Subscription: "billing", InitialCredit: 1 << 30}}})
	e := &event.Event{ID: "1", Source: "/shop", Type: "com.shop.order.placed", Data: []byte("x")}
	b.ReportAllocs()
	sent := 0
	publish := func() {
		receipt, err := one.Publish(ctx, node.Publish, queueing.Message{Exchange: "orders", RoutingKey: e.Type, Event: e})
		if err == nil {
			err = receipt.Wait(ctx)
		}
		if err != nil {
			b.Fatal(fmt.Errorf("publish %d: %w", sent, err))
		}
		sent++
	}
	for range 64 {
		publish()
	}
	for b.Loop() {
		publish()
		for {
			res, err := s.Recv()
			if err != nil {
				b.Fatal(err)
			}
			ds := res.GetDeliveries().GetDeliveries()
			if len(ds) == 0 {
				continue
			}
			say(&eventsv1.SubscribeRequest{Request: &eventsv1.SubscribeRequest_Settle{Settle: &eventsv1.SubscribeSettle{
				Settlements: []*eventsv1.Settlement{{Token: ds[0].GetToken(), Outcome: eventsv1.Outcome_OUTCOME_ACK}},
			}}})
			break
		}
	}
}

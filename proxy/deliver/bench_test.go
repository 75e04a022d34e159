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
	"github.com/warrenmesh/warren/internal/budget"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/membroker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/deliver"
	"github.com/warrenmesh/warren/proxy/deliver/session"
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
	server := grpc.NewServer(door.Codec())
	eventsv1.RegisterEventServiceServer(server, door.New(nil, deliver.New(deliver.Options{
		Namespace: "shop", Subscriptions: cfg, Brokers: only(node), Tracing: tracing.Disabled().Messaging(), Logger: slog.New(slog.DiscardHandler),
	}), 0, nil))
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

// fed is a node whose flow never ends: it hands the same events out again and again, as many
// at once as there is room for.
type fed struct {
	broker.Driver
	slots chan struct{} // one for each unsettled delivery
}

// Receive implements broker.Receiver.
func (f *fed) Receive(ctx context.Context, r broker.Receiving, sink func([]*broker.Delivery)) (drain func(), err error) {
	e := &event.Event{ID: "1", Source: "/shop", Type: "com.shop.order.placed", Data: make([]byte, 1024)}
	ring := make([]broker.Delivery, r.Prefetch+64) // an unsettled one is never handed out again
	trace := broker.TraceContext{Parent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"}
	var batch []*broker.Delivery
	for tag := uint64(1); ctx.Err() == nil; {
		for most := max(r.AtOnce(), 1); len(batch) < most; tag++ {
			select {
			case f.slots <- struct{}{}:
			case <-ctx.Done():
				return func() {}, nil
			}
			d := &ring[tag%uint64(len(ring))]
			*d = broker.Delivery{Event: e, Raw: e.Data, Attempt: 1, Trace: trace, Part: "q", Epoch: 1, Tag: tag, Settler: f}
			if batch = append(batch, d); len(f.slots) == cap(f.slots) {
				tag++
				break
			}
		}
		sink(batch)
		batch = batch[:0]
	}
	return func() {}, nil
}

// feeding has one node.
type feeding struct{ node *fed }

func (f feeding) Ready(context.Context, mesh.Name, string) error { return nil }
func (f feeding) PickConsumer(mesh.Name) (broker.Driver, error)  { return f.node, nil }
func (f feeding) Changed() <-chan struct{}                       { return nil }

// Ack, Return and Settle implement broker.Settler.
func (f *fed) Ack(*broker.Delivery) error                                        { <-f.slots; return nil }
func (f *fed) Return(*broker.Delivery) error                                     { return nil }
func (f *fed) Settle(context.Context, *broker.Delivery, broker.Settlement) error { return nil }

// acking is a client that acknowledges everything.
type acking struct {
	ctx  context.Context
	says chan session.Request
	left int
	done context.CancelFunc
}

func (a *acking) Context() context.Context { return a.ctx }

func (a *acking) Receive() (session.Request, error) {
	select {
	case r := <-a.says:
		return r, nil
	case <-a.ctx.Done():
		return nil, a.ctx.Err()
	}
}

func (a *acking) Send(r session.Response) error {
	if len(r.Deliveries) == 0 {
		return nil
	}
	acks := make(session.Settlements, len(r.Deliveries))
	for i := range r.Deliveries {
		acks[i] = session.Settlement{Token: r.Deliveries[i].Token, Outcome: event.Ack}
	}
	if a.left -= len(acks); a.left <= 0 {
		a.done()
	}
	select {
	case a.says <- acks:
	case <-a.ctx.Done():
	}
	return nil
}

// BenchmarkSession is the way of an event from the driver's hands to its acknowledgement,
// without the door. With the 2 of BenchmarkDecode, the body and the share of BenchmarkWire, an
// event on the steady path takes about 6 allocations.
// Budget: 3 allocations: 2, and what depends on how many are handed over at once.
func BenchmarkSession(b *testing.B) {
	br := membroker.New(membroker.Options{})
	defer br.Close()
	sub := subscription()
	sub.Queue.Prefetch = 256
	cfg := &config{changed: make(chan struct{})}
	cfg.set(sub)
	node := &fed{Driver: queueing.NewNode(br.Node(membroker.NodeOptions{})), slots: make(chan struct{}, 256)}
	service := deliver.New(deliver.Options{
		Namespace: "shop", Subscriptions: cfg, Brokers: feeding{node}, Tracing: tracing.Disabled().Messaging(), Logger: slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	client := &acking{ctx: ctx, says: make(chan session.Request, 16), left: b.N, done: cancel}
	client.says <- session.Init{Subscription: "billing", Credit: 1 << 30}
	budget.Allocs(b, 3)
	_ = service.Subscribe(client) // ends with the client
}

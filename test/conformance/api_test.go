// Package conformance_test runs batch, stream and push of the event API on both
// drivers. It does for the API what brokertest does for a driver.
package conformance_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"slices"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/membroker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/broker/rabbit"
	"github.com/warrenmesh/warren/proxy/deliver"
	"github.com/warrenmesh/warren/proxy/deliver/push"
	door "github.com/warrenmesh/warren/proxy/door/grpc"
	"github.com/warrenmesh/warren/proxy/pool"
	"github.com/warrenmesh/warren/proxy/publish"
	"github.com/warrenmesh/warren/proxy/refusal"
	"github.com/warrenmesh/warren/proxy/route"
	"github.com/warrenmesh/warren/proxy/snapshot"
	"github.com/warrenmesh/warren/tracing"
)

const events = 50

// rig is the event API on one driver, and a service that is pushed to.
type rig struct {
	client eventsv1.EventServiceClient
	pushed chan string // ids in the order of the calls
}

// config holds everything that publish and deliver get from the composition root.
type config struct {
	table  *route.Table
	driver broker.Driver
}

func (c config) Await(_ context.Context, name mesh.Name) (*route.Topic, error) {
	if t, ok := c.table.Topic(name); ok {
		return t, nil
	}
	return nil, refusal.Missing(refusal.TopicNotFound, "EventTopic", name.String(), "not declared")
}
func (c config) Lookup(name mesh.Name) (*route.Topic, bool)     { return c.table.Topic(name) }
func (c config) Ready(context.Context, mesh.Name, string) error { return nil }
func (c config) Claim(context.Context, mesh.Name, string, []pool.Node) (pool.Node, error) {
	return claimed{c.driver}, nil
}
func (c config) PickConsumer(mesh.Name) (broker.Driver, error) { return c.driver, nil }
func (c config) Changed() <-chan struct{}                      { return nil }
func (c config) Subscription(mesh.Name) (*snapshot.Subscription, <-chan struct{}, error) {
	return nil, nil, errors.New("only push here")
}

// claimed is a broker's only node.
type claimed struct{ broker.Driver }

func (n claimed) Address() string { return n.State().Address }

func (n claimed) Answered(error) {}

// handler records the events that are pushed.
type handler struct {
	eventsv1.UnimplementedEventHandlerServiceServer
	pushed chan string
}

func (h handler) OnEvent(_ context.Context, req *eventsv1.OnEventRequest) (*eventsv1.OnEventResponse, error) {
	h.pushed <- req.GetEvent().GetId()
	return &eventsv1.OnEventResponse{}, nil
}

func run(t *testing.T, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = f(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
}

// listen serves s on a free port and returns the port.
func listen(t *testing.T, s *grpc.Server) int {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	run(t, func(context.Context) error { return s.Serve(l) })
	t.Cleanup(s.Stop)
	return l.Addr().(*net.TCPAddr).Port
}

func newRig(t *testing.T, driver broker.Driver, unique string) *rig {
	t.Helper()
	run(t, driver.Run)
	r := &rig{pushed: make(chan string, 4*events)}
	service := grpc.NewServer()
	eventsv1.RegisterEventHandlerServiceServer(service, handler{pushed: r.pushed})
	name := func(s string) mesh.Name { return mesh.Name{Namespace: "api", Name: s} }
	exchange := mesh.Exchange{Name: unique, Type: "topic"}
	sub := &mesh.Subscription{
		Name: name("billing"), Topic: name("orders"), Broker: name("main"), Exchange: exchange,
		Queue:       mesh.Queue{Name: unique + ".q", Type: "classic", Prefetch: 1}, // with one call at a time the order is visible
		AckDeadline: time.Minute, Attempts: 1, DeadLetterQueue: unique + ".dead", PushPort: uint32(listen(t, service)),
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := driver.Ensure(ctx, broker.Object{Subscription: sub, Policy: mesh.Manage}); err != nil {
		t.Fatal(err)
	}
	cfg := &mesh.Config{
		Subscriptions: map[mesh.Name]*mesh.Subscription{sub.Name: sub},
		Topics: map[mesh.Name]*mesh.Topic{sub.Topic: {Name: sub.Topic, Rules: []mesh.Rule{{
			Backends: []mesh.Backend{{Weight: 1, Destination: mesh.Destination{
				Topic: sub.Topic, Broker: sub.Broker, Exchange: exchange, RoutingKey: "{type}", Mandatory: true, ConfirmTimeout: 20 * time.Second, MaxEventBytes: 1000,
			}}},
			Retry: mesh.Retry{Attempts: 3, On: []mesh.RetryOn{mesh.OnConnectFailure}, Backoff: mesh.Backoff{Base: 100 * time.Millisecond, Max: time.Second}},
		}}}},
	}
	byKey := cfg.Topics[sub.Topic].Rules[0]
	byKey.Backends = slices.Clone(byKey.Backends)
	byKey.Backends[0].Destination.Partitions = mesh.Partitions{Count: 8, Key: "partitionkey"}
	cfg.Topics[name("ledger")] = &mesh.Topic{Name: name("ledger"), Rules: []mesh.Rule{byKey}}
	c := config{table: route.Compile(cfg), driver: driver}
	traces, log := tracing.Disabled().Messaging(), slog.New(slog.DiscardHandler)
	pusher := deliver.NewPusher(deliver.New(deliver.Options{Namespace: "api", Subscriptions: c, Brokers: c, Tracing: traces, Logger: log}), push.Options{Dial: door.Push(door.PushOptions{})})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		pusher.Stop(ctx)
	})
	pusher.Apply(snapshot.Subscriptions(cfg))
	api := grpc.NewServer(door.Codec())
	door.Register(api, door.New(publish.New(publish.Options{Namespace: "api", Topics: c, Brokers: c, Tracing: traces}), nil, 0, nil))
	conn, err := grpc.NewClient(fmt.Sprintf("127.0.0.1:%d", listen(t, api)), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	r.client = eventsv1.NewEventServiceClient(conn)
	return r
}

func numberedEvent(i int) *eventsv1.CloudEvent {
	return &eventsv1.CloudEvent{Id: fmt.Sprint(i), Source: "/api", SpecVersion: "1.0", Type: "com.shop.order"}
}

// wantPushed receives n calls and checks their order.
func (r *rig) wantPushed(t *testing.T, n int) {
	t.Helper()
	for i := range n {
		select {
		case id := <-r.pushed:
			if id != fmt.Sprint(i) {
				t.Fatalf("call %d is event %s", i, id)
			}
		case <-time.After(60 * time.Second):
			t.Fatalf("event %d was never pushed", i)
		}
	}
}

func conformance(t *testing.T, newDriver func(t *testing.T, unique string) broker.Driver) {
	behaviours := map[string]func(*testing.T, *rig){
		"a batch answers in input order and its events are pushed in that order": func(t *testing.T, r *rig) {
			req := &eventsv1.PublishBatchRequest{Topic: "orders"}
			for i := range events {
				req.Entries = append(req.Entries, &eventsv1.PublishBatchEntry{Event: numberedEvent(i)})
			}
			req.Entries = append(req.Entries, &eventsv1.PublishBatchEntry{Event: &eventsv1.CloudEvent{}})
			res, err := r.client.PublishBatch(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			for i, result := range res.GetResults() {
				if ok := i < events; (result.GetResponse() != nil) != ok || (ok && result.GetResponse().GetEventId() != fmt.Sprint(i)) {
					t.Errorf("result %d: %v", i, result)
				}
			}
			r.wantPushed(t, events)
		},
		"a batch of one key is confirmed and pushed in its order": func(t *testing.T, r *rig) {
			req := &eventsv1.PublishBatchRequest{Topic: "ledger"}
			for i := range events {
				e := numberedEvent(i)
				e.Attributes = map[string]*eventsv1.CloudEvent_CloudEventAttributeValue{
					"partitionkey": {Attr: &eventsv1.CloudEvent_CloudEventAttributeValue_CeString{CeString: "customer-17"}},
				}
				req.Entries = append(req.Entries, &eventsv1.PublishBatchEntry{Event: e})
			}
			res, err := r.client.PublishBatch(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			for i, result := range res.GetResults() {
				if result.GetResponse() == nil {
					t.Errorf("result %d: %v", i, result)
				}
			}
			r.wantPushed(t, events)
		},
		"a stream answers every request before its end and its events are pushed in order": func(t *testing.T, r *rig) {
			stream, err := r.client.PublishStream(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for i := range events {
				if err := stream.Send(&eventsv1.PublishStreamRequest{Topic: "orders", Entries: []*eventsv1.PublishStreamEntry{{RequestId: uint64(i), Event: numberedEvent(i)}}}); err != nil {
					t.Fatal(err)
				}
			}
			if err := stream.CloseSend(); err != nil {
				t.Fatal(err)
			}
			answered := 0
			for {
				res, err := stream.Recv()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				for _, result := range res.GetResults() {
					if result.GetResult().GetResponse() == nil {
						t.Errorf("request %d: %v", result.GetRequestId(), result.GetResult())
					}
					answered++
				}
			}
			if answered != events {
				t.Errorf("%d answers, want %d", answered, events)
			}
			r.wantPushed(t, events)
		},
	}
	for name, behaviour := range behaviours {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			unique := "api-" + rand.Text()[:12]
			behaviour(t, newRig(t, newDriver(t, unique), unique))
		})
	}
}

func TestPublishManyAndPushOnMembroker(t *testing.T) {
	t.Parallel()
	conformance(t, func(t *testing.T, _ string) broker.Driver {
		t.Helper()
		b := membroker.New(membroker.Options{})
		t.Cleanup(b.Close)
		return queueing.NewNode(b.Node(membroker.NodeOptions{}))
	})
}

func TestPublishManyAndPushOnRabbitMQ(t *testing.T) {
	t.Parallel()
	address, newNode := rabbitNodes(t)
	conformance(t, func(t *testing.T, unique string) broker.Driver {
		t.Helper()
		t.Cleanup(func() { clean(t, address, unique) })
		return newNode()
	})
}

// rabbitNodes returns the address of the RabbitMQ to test with, and a function that
// makes drivers for it.
func rabbitNodes(t *testing.T) (address string, newNode func() broker.Driver) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a RabbitMQ; not with -short")
	}
	address = os.Getenv("AMQP_URL")
	u, err := url.Parse(address)
	if err != nil || address == "" {
		t.Fatalf("AMQP_URL %q: `make test` sets it (%v)", address, err)
	}
	parsed, err := amqp.ParseURI(address)
	if err != nil {
		t.Fatal(err)
	}
	return address, func() broker.Driver {
		return queueing.NewNode(rabbit.New(rabbit.Options{
			Address: u.Host, VHost: parsed.Vhost, Logger: slog.New(slog.DiscardHandler),
			Credentials: func() (string, string, error) { return parsed.Username, parsed.Password, nil },
		}))
	}
}

// clean deletes the topology of a behaviour, after its driver has ended.
func clean(t *testing.T, address, unique string) {
	t.Helper()
	conn, err := amqp.Dial(address)
	if err != nil {
		t.Logf("clean up: %v", err)
		return
	}
	defer func() { _ = conn.Close() }()
	ch, err := conn.Channel()
	if err != nil {
		t.Logf("clean up: %v", err)
		return
	}
	queues := []string{unique + ".q", unique + ".dead", unique + ".q.members"}
	for i := range orderedPartitions {
		queues = append(queues, fmt.Sprintf("%s.q.p%d", unique, i))
	}
	for _, queue := range queues {
		_, _ = ch.QueueDelete(queue, false, false, false)
	}
	for _, exchange := range []string{unique, unique + ".q.partitions", unique + ".q.partitions.unpartitioned"} {
		_ = ch.ExchangeDelete(exchange, false, false)
	}
}

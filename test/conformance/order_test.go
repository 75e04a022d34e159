package conformance_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/balance"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/membroker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/deliver"
	"github.com/warrenmesh/warren/proxy/deliver/push"
	door "github.com/warrenmesh/warren/proxy/door/grpc"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/snapshot"
	"github.com/warrenmesh/warren/tracing"
)

const (
	orderedKeys       = 16
	orderedPartitions = 4
)

// ledger records the calls to the services of a subscription.
type ledger struct {
	t *testing.T

	mu      sync.Mutex
	newest  map[string]int         // by key
	keys    map[string]map[int]int // number of calls for each event, by key
	callees map[string]int         // number of calls, by service
	grown   chan struct{}          // cap 1
}

// note records a call for event n of a key, numbered from 1. The first call for each
// event must follow the call for the event before it.
func (l *ledger) note(service, key string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.callees[service]++
	if l.keys[key] == nil {
		l.keys[key] = map[int]int{}
	}
	l.keys[key][n]++
	if n > l.newest[key]+1 {
		l.t.Errorf("%s was called with %s/%d when the newest of its key was %d", service, key, n, l.newest[key])
	}
	l.newest[key] = max(l.newest[key], n)
	select {
	case l.grown <- struct{}{}:
	default:
	}
}

// await blocks until ok returns true. It calls ok with its lock held.
func (l *ledger) await(what string, ok func() bool) {
	l.t.Helper()
	deadline := time.After(60 * time.Second)
	for {
		l.mu.Lock()
		satisfied := ok()
		l.mu.Unlock()
		if satisfied {
			return
		}
		select {
		case <-l.grown:
		case <-deadline:
			l.t.Fatalf("never happened: %s", what)
		}
	}
}

// keyedHandler is one service of several.
type keyedHandler struct {
	eventsv1.UnimplementedEventHandlerServiceServer
	name   string
	ledger *ledger
}

func (h keyedHandler) OnEvent(_ context.Context, req *eventsv1.OnEventRequest) (*eventsv1.OnEventResponse, error) {
	var n int
	key := req.GetEvent().GetAttributes()["partitionkey"].GetCeString()
	if _, err := fmt.Sscan(req.GetEvent().GetId()[len(key):], &n); err != nil {
		return nil, err
	}
	h.ledger.note(h.name, key, n)
	if n%7 == 0 && req.GetAttempt() == 1 {
		return &eventsv1.OnEventResponse{Outcome: eventsv1.Outcome_OUTCOME_RETRY}, nil
	}
	return &eventsv1.OnEventResponse{}, nil
}

func orderedSubscription(unique string) *mesh.Subscription {
	name := func(s string) mesh.Name { return mesh.Name{Namespace: "api", Name: s} }
	return &mesh.Subscription{
		Name: name("billing"), Topic: name("orders"), Broker: name("main"),
		Exchange: mesh.Exchange{Name: unique, Type: "topic"},
		Queue:    mesh.Queue{Name: unique + ".q", Type: "quorum", Prefetch: 16},
		Ordering: mesh.PerKey, Partitions: mesh.Partitions{Count: orderedPartitions, Key: event.AttrPartitionKey},
		AckDeadline: time.Minute, Attempts: 5, Backoff: mesh.Backoff{Base: time.Millisecond, Max: time.Millisecond},
		DeadLetterQueue: unique + ".dead",
	}
}

// pushTo runs a sidecar's pusher on driver, and the service beside it.
func pushTo(t *testing.T, driver broker.Driver, sub mesh.Subscription, h keyedHandler) {
	t.Helper()
	service := grpc.NewServer()
	eventsv1.RegisterEventHandlerServiceServer(service, h)
	sub.PushPort = uint32(listen(t, service))
	c := config{driver: driver}
	pusher := deliver.NewPusher(deliver.New(deliver.Options{
		Namespace: "api", Subscriptions: c, Brokers: c, Tracing: tracing.Disabled().Messaging(),
		Logger: slog.New(slog.DiscardHandler), ShareEvery: 100 * time.Millisecond,
	}), push.Options{Dial: door.Push(door.PushOptions{})})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		pusher.Stop(ctx)
	})
	pusher.Apply(snapshot.Subscriptions(&mesh.Config{Subscriptions: map[mesh.Name]*mesh.Subscription{sub.Name: &sub}}))
}

// publishRound publishes the n-th event of each key.
func publishRound(t *testing.T, driver broker.Driver, exchange string, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for k := range orderedKeys {
		key := fmt.Sprintf("key-%02d-", k)
		e := &event.Event{ID: fmt.Sprint(key, n), Source: "/api", Type: "com.shop.order"}
		e.Set(event.AttrPartitionKey, event.String(key))
		confirmed := make(chan error, 1)
		driver.Publish(ctx, []*broker.Message{{
			To:  &mesh.Destination{Exchange: mesh.Exchange{Name: exchange}, Mandatory: true, Persistent: true},
			Key: e.Type, Event: e,
			Partitioned: true, Partition: balance.Partition(key, orderedPartitions),
		}}, func(_, _ int, err error) { confirmed <- err })
		if err := <-confirmed; err != nil {
			t.Fatal(err)
		}
	}
}

// sharing lets two sidecars of one subscription share its partitions, then disconnects
// one. newNode makes a sidecar's own connection to the broker.
func sharing(t *testing.T, unique string, newNode func() broker.Driver) {
	t.Helper()
	sub := orderedSubscription(unique)
	one := newNode()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = one.Run(ctx) }()
	stopOne := sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stopOne)
	two := newNode()
	run(t, two.Run)
	for _, node := range []broker.Driver{one, two} {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if err := node.Ensure(ctx, broker.Object{Subscription: sub, Policy: mesh.Manage}); err != nil {
			t.Fatal(err)
		}
	}
	l := &ledger{t: t, newest: map[string]int{}, keys: map[string]map[int]int{}, callees: map[string]int{}, grown: make(chan struct{}, 1)}
	published := 0
	round := func() {
		published++
		publishRound(t, two, unique, published)
	}
	complete := func() bool {
		for k := range orderedKeys {
			if len(l.keys[fmt.Sprintf("key-%02d-", k)]) < published {
				return false
			}
		}
		return true
	}
	pushTo(t, one, *sub, keyedHandler{name: "one", ledger: l})
	round()
	l.await("the first has everything", complete)
	pushTo(t, two, *sub, keyedHandler{name: "two", ledger: l})
	for shared := false; !shared; { // until the second has half of the partitions
		l.mu.Lock()
		clear(l.callees)
		l.mu.Unlock()
		round()
		l.await("a round is pushed", complete)
		l.mu.Lock()
		shared = l.callees["two"] >= orderedKeys/orderedPartitions
		l.mu.Unlock()
	}
	for range 10 {
		round()
	}
	stopOne() // it still holds events
	for range 10 {
		round()
	}
	l.await("nothing is lost", complete)
}

func TestPartitionsAreSharedInOrderOnMembroker(t *testing.T) {
	t.Parallel()
	b := membroker.New(membroker.Options{})
	t.Cleanup(b.Close)
	sharing(t, "orders", func() broker.Driver { return queueing.NewNode(b.Node(membroker.NodeOptions{})) })
}

func TestPartitionsAreSharedInOrderOnRabbitMQ(t *testing.T) {
	t.Parallel()
	address, newNode := rabbitNodes(t)
	unique := "order-" + rand.Text()[:12]
	t.Cleanup(func() { clean(t, address, unique) })
	sharing(t, unique, newNode)
}

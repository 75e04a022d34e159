package deadletter_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/warrenmesh/warren/internal/brokertest/one"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/membroker"
	"github.com/warrenmesh/warren/proxy/broker/membroker/faulty"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/deadletter"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/refusal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const dead = "shop.billing.dead"

var (
	billing  = mesh.Name{Namespace: "shop", Name: "billing"}
	shipping = mesh.Name{Namespace: "shop", Name: "shipping"}
	main     = mesh.Name{Namespace: "shop", Name: "main"}
	died     = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
)

// rig is a service on a broker in memory, where billing and shipping share a
// dead-letter queue.
type rig struct {
	*testing.T
	*deadletter.Service
	broker        *faulty.Broker
	driver        queueing.Driver
	subscriptions map[mesh.Name]*mesh.Subscription
}

func newRig(t *testing.T) *rig {
	t.Helper()
	b := faulty.New(membroker.Options{})
	r := &rig{T: t, broker: b, driver: b.Node(membroker.NodeOptions{}), subscriptions: map[mesh.Name]*mesh.Subscription{}}
	for _, name := range []mesh.Name{billing, shipping} {
		r.subscriptions[name] = &mesh.Subscription{
			Name: name, Broker: main, Queue: mesh.Queue{Name: "shop." + name.Name}, DeadLetterQueue: dead,
			Topic: mesh.Name{Namespace: "shop", Name: "orders"}, Exchange: mesh.Exchange{Name: "orders", Type: "topic"},
		}
	}
	r.Service = deadletter.New(deadletter.Options{Subscriptions: r, Brokers: r})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = r.driver.Run(ctx) })
	t.Cleanup(func() {
		r.Stop(context.Background())
		cancel()
		running.Wait()
		b.Close()
	})
	err := r.driver.EnsureTopology(t.Context(), queueing.Topology{
		Policy:    mesh.Manage,
		Exchanges: []mesh.Exchange{{Name: "orders", Type: "topic"}},
		Queues:    []queueing.Queue{{Name: "shop.billing"}, {Name: "shop.shipping"}, {Name: dead}},
		Bindings:  []queueing.Binding{{Exchange: "orders", Queue: "shop.billing", Key: "#"}, {Exchange: "orders", Queue: "shop.shipping", Key: "#"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Declared implements deadletter.Subscriptions.
func (r *rig) Declared(name mesh.Name) (*mesh.Subscription, error) {
	if s, ok := r.subscriptions[name]; ok {
		return s, nil
	}
	return nil, refusal.Missing(refusal.SubscriptionUnknown, "EventSubscription", name.String(), "no such subscription")
}

// Ready implements deadletter.Brokers.
func (r *rig) Ready(context.Context, mesh.Name, string) error { return nil }

// PickConsumer implements deadletter.Brokers.
func (r *rig) PickConsumer(mesh.Name) (broker.Driver, error) { return queueing.NewNode(r.driver), nil }

// letter is event id, given up for billing that many minutes after died.
func letter(id string, minutes int) *queueing.Message {
	e := &event.Event{ID: id, Source: "/checkout", Type: "com.shop.order.placed", Data: []byte("data of " + id)}
	e.Set(event.AttrSubject, event.String(id))
	return &queueing.Message{
		RoutingKey: dead, Event: e, Mandatory: true, Persistent: true, Attempt: 5, AppID: "checkout", Priority: 3,
		Trace:          broker.TraceContext{Parent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", State: "a=b", Baggage: "c=d"},
		OriginExchange: "orders", OriginKey: "placed." + id,
		DeadLetter: &broker.DeadLetter{
			Reason: "rejected", Detail: "no such customer", Subscription: billing.String(), Origin: broker.Origin{Name: "orders", Key: "placed." + id},
			Attempts: 5, FirstFailure: died.Add(-time.Minute), Time: died.Add(time.Duration(minutes) * time.Minute),
		},
	}
}

// put publishes messages and waits for each confirm.
func (r *rig) put(messages ...*queueing.Message) {
	r.Helper()
	for _, m := range messages {
		receipt, err := one.Publish(r.Context(), r.driver.Publish, *m)
		if err == nil {
			err = receipt.Wait(r.Context())
		}
		if err != nil {
			r.Fatalf("publish %s: %v", m.Event.ID, err)
		}
	}
}

// bury puts n letters of billing, named from 0, into the queue.
func (r *rig) bury(n int) {
	r.Helper()
	for i := range n {
		r.put(letter(fmt.Sprint(i), i))
	}
}

// ids are those of the events in a queue, in order.
func (r *rig) ids(queue string) []string {
	var out []string
	for _, m := range r.broker.Peek(queue, 1<<20) {
		out = append(out, m.Event.ID)
	}
	return out
}

func (r *rig) wantIDs(queue string, want ...string) {
	r.Helper()
	if got := r.ids(queue); !slices.Equal(got, want) {
		r.Errorf("queue %s holds %q, want %q", queue, got, want)
	}
	if _, unsettled := r.broker.Len(queue); unsettled != 0 {
		r.Errorf("%d messages of queue %s are still in somebody's hands", unsettled, queue)
	}
}

// list returns the ids that q lists.
func (r *rig) list(q deadletter.Query) ([]string, deadletter.Report) {
	r.Helper()
	var out []string
	report, err := r.List(r.Context(), q, func(d *broker.Delivery) error {
		out = append(out, d.Event.ID)
		return nil
	})
	if err != nil {
		r.Fatalf("list: %v", err)
	}
	return out, report
}

func numbered(from, to int) []string {
	var out []string
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprint(i))
	}
	return out
}

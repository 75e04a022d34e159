package snapshot_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/pool"
	"github.com/warrenmesh/warren/proxy/refusal"
	"github.com/warrenmesh/warren/proxy/snapshot"
)

var (
	main    = mesh.Name{Namespace: "shop", Name: "main"}
	orders  = mesh.Name{Namespace: "shop", Name: "orders"}
	billing = mesh.Name{Namespace: "shop", Name: "billing"}
)

// brokers keep what they were given last, unless they refuse it.
type brokers struct {
	refuse       error
	declarations map[mesh.Name][]pool.Declaration
}

func (b *brokers) Apply(_ map[mesh.Name]*mesh.Broker, ds map[mesh.Name][]pool.Declaration) error {
	if b.refuse != nil {
		return b.refuse
	}
	b.declarations = ds
	return nil
}

func newStore(b *brokers, fetch func(context.Context, mesh.Name) error) *snapshot.Store {
	return snapshot.New(snapshot.Options{Brokers: b, Fetch: fetch})
}

// shop is a configuration with one topic and one subscription to it.
func shop(version, exchange string) *mesh.Config {
	return &mesh.Config{
		Version: version,
		Brokers: map[mesh.Name]*mesh.Broker{main: {Name: main, Type: mesh.RabbitMQ, Topology: mesh.Verify}},
		Topics: map[mesh.Name]*mesh.Topic{orders: {Name: orders, Rules: []mesh.Rule{
			{Backends: []mesh.Backend{{Weight: 1, Destination: destination(exchange)}, {Weight: 1, Destination: destination(exchange)}}},
		}}},
		Subscriptions: map[mesh.Name]*mesh.Subscription{billing: {
			Name: billing, Topic: orders, Broker: main,
			Exchange: mesh.Exchange{Name: exchange}, Queue: mesh.Queue{Name: "billing", MaxEventBytes: 10},
		}},
	}
}

func destination(exchange string) mesh.Destination {
	return mesh.Destination{Topic: orders, Broker: main, Exchange: mesh.Exchange{Name: exchange}, MaxEventBytes: 20}
}

func TestNothingIsInForceAtFirst(t *testing.T) {
	t.Parallel()
	s := newStore(&brokers{}, func(context.Context, mesh.Name) error { return nil })
	if s.Current() != nil {
		t.Error("there is a snapshot")
	}
	if _, ok := s.Lookup(orders); ok {
		t.Error("there is a topic")
	}
	_, _, err := s.Subscription(billing)
	if refusal.Reason(err) != refusal.ConfigNotReady {
		t.Errorf("a subscription: %v", err)
	}
	if _, err := s.Await(t.Context(), orders); refusal.Reason(err) != refusal.ConfigNotReady {
		t.Errorf("a topic that was fetched, and is not in force: %v", err)
	}
}

func TestASnapshotIsReplacedAsAWhole(t *testing.T) {
	t.Parallel()
	b := &brokers{}
	s := newStore(b, nil)
	at := time.Unix(1, 0)
	if err := s.Apply(shop("1", "old"), at); err != nil {
		t.Fatal(err)
	}
	first := s.Current()
	if first.Config.Version != "1" || !first.At.Equal(at) {
		t.Errorf("in force: %q of %s", first.Config.Version, first.At)
	}
	sub, superseded, err := s.Subscription(billing)
	if err != nil || sub.Largest != 20 || sub.FullName != "shop/billing" || sub.TopicName != "shop/orders" {
		t.Fatalf("the subscription: %+v, %v", sub, err)
	}
	if _, ok := s.Lookup(orders); !ok {
		t.Error("no topic")
	}
	if err := s.Apply(&mesh.Config{Version: "2"}, at); err != nil {
		t.Fatal(err)
	}
	select {
	case <-superseded:
	default:
		t.Error("nobody is told of the new one")
	}
	if _, _, err := s.Subscription(billing); refusal.Reason(err) != refusal.SubscriptionUnknown {
		t.Errorf("a subscription that is gone: %v", err)
	}
	if len(first.Subscriptions) != 1 {
		t.Error("the old snapshot has changed")
	}
}

func TestWhatBrokersRefuseChangesNothing(t *testing.T) {
	t.Parallel()
	b := &brokers{}
	s := newStore(b, nil)
	if err := s.Apply(shop("1", "x"), time.Now()); err != nil {
		t.Fatal(err)
	}
	before := s.Current()
	_, superseded, _ := s.Subscription(billing)
	b.refuse = pool.Unbuildable{main: errors.New("not supported")}
	var why pool.Unbuildable
	if err := s.Apply(shop("2", "x"), time.Now()); !errors.As(err, &why) || why[main] == nil {
		t.Errorf("got %v, want the reason of the brokers", err)
	}
	if s.Current() != before {
		t.Error("another snapshot is in force")
	}
	select {
	case <-superseded:
		t.Error("it counts as superseded")
	default:
	}
}

func TestWhatMustExistIsDeclaredOncePerObjectByThePolicyOfItsBroker(t *testing.T) {
	t.Parallel()
	b := &brokers{}
	if err := newStore(b, nil).Apply(shop("1", "x"), time.Now()); err != nil {
		t.Fatal(err)
	}
	ds := b.declarations[main]
	if len(b.declarations) != 1 || len(ds) != 2 {
		t.Fatalf("declared: %+v", b.declarations)
	}
	if o := ds[0].Object; o.Policy != mesh.Verify || o.Topic != nil || o.Subscription.Name != billing {
		t.Errorf("for the subscription: %+v", o)
	}
	if o := ds[1].Object; o.Policy != mesh.Verify || o.Subscription != nil || o.Topic.Exchange.Name != "x" {
		t.Errorf("for the topic: %+v", o)
	}
}

func TestAwaitFetchesWhatWasNeverUsed(t *testing.T) {
	t.Parallel()
	var s *snapshot.Store
	fetched := 0
	s = newStore(&brokers{}, func(_ context.Context, name mesh.Name) error {
		fetched++
		if name != orders {
			return refusal.Missing(refusal.TopicNotFound, "EventTopic", name.String(), "")
		}
		return s.Apply(shop("1", "x"), time.Now())
	})
	if _, err := s.Await(t.Context(), billing); refusal.Reason(err) != refusal.TopicNotFound {
		t.Errorf("one that does not exist: %v", err)
	}
	for range 2 {
		if topic, err := s.Await(t.Context(), orders); err != nil || topic.Name != orders {
			t.Errorf("got %+v, %v", topic, err)
		}
	}
	if fetched != 2 {
		t.Errorf("fetched %d times, want once each", fetched)
	}
}

func TestDeclaredIsTheSubscriptionAsItCame(t *testing.T) {
	t.Parallel()
	s := newStore(&brokers{}, nil)
	cfg := shop("1", "x")
	if _, err := s.Declared(billing); refusal.Reason(err) != refusal.ConfigNotReady {
		t.Errorf("before: %v", err)
	}
	if err := s.Apply(cfg, time.Now()); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Declared(billing); err != nil || got != cfg.Subscriptions[billing] {
		t.Errorf("got %+v, %v", got, err)
	}
}

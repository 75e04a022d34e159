package wire_test

import (
	"flag"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds/wire"
)

var update = flag.Bool("update", false, "rewrite testdata")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func name(s string) mesh.Name { return mesh.Name{Namespace: "shop", Name: s} }

func exact(attr, value string) mesh.Filter {
	return mesh.Filter{Op: mesh.Exact, Attr: attr, Value: value}
}

func prefix(attr, value string) mesh.Filter {
	return mesh.Filter{Op: mesh.Prefix, Attr: attr, Value: value}
}

func suffix(attr, value string) mesh.Filter {
	return mesh.Filter{Op: mesh.Suffix, Attr: attr, Value: value}
}

func not(f mesh.Filter) mesh.Filter { return mesh.Filter{Op: mesh.Not, Sub: []mesh.Filter{f}} }

func all(f ...mesh.Filter) mesh.Filter { return mesh.Filter{Op: mesh.All, Sub: f} }

func anyOf(f ...mesh.Filter) mesh.Filter { return mesh.Filter{Op: mesh.Any, Sub: f} }

func destination(topic string) mesh.Destination {
	return mesh.Destination{
		Topic:          name(topic),
		Broker:         name("main"),
		Exchange:       mesh.Exchange{Name: topic, Type: "topic"},
		RoutingKey:     "{type}",
		Mandatory:      true,
		Persistent:     true,
		ConfirmTimeout: 2 * time.Second,
		TTL:            time.Minute,
		Priority:       3,
		MaxEventBytes:  1 << 20,
		Headers:        mesh.NewHeaderList([]string{"tenant", "app-*", "reply_to", "content_encoding"}),
		Partitions:     mesh.Partitions{Count: 8, Key: "partitionkey"},
	}
}

func canary() mesh.Rule {
	return mesh.Rule{
		Name:    "orders-canary/eu",
		Filters: []mesh.Filter{prefix("type", "com.shop.order."), not(exact("source", "/test"))},
		Backends: []mesh.Backend{
			{Destination: destination("orders"), Weight: 95},
			{Destination: destination("orders-next"), Weight: 5},
		},
		Timeout: 10 * time.Second,
		Retry: mesh.Retry{
			Attempts:      4,
			On:            []mesh.RetryOn{mesh.OnNack, mesh.OnConfirmTimeout, mesh.OnConnectFailure, mesh.OnChannelClosed},
			PerTryTimeout: 2 * time.Second,
			Backoff:       mesh.Backoff{Base: 50 * time.Millisecond, Max: 2 * time.Second},
		},
	}
}

func itself() mesh.Rule {
	return mesh.Rule{
		Backends: []mesh.Backend{{Destination: destination("orders"), Weight: 1}},
		Retry:    mesh.Retry{Attempts: 1},
	}
}

func orders() *mesh.Topic {
	return &mesh.Topic{Name: name("orders"), Rules: []mesh.Rule{canary(), itself()}}
}

func nested() *mesh.Topic {
	t := orders()
	t.Rules[0].Filters = []mesh.Filter{
		anyOf(prefix("type", "com.shop.order."), all(exact("type", "x"), not(suffix("subject", "/eu")))),
		not(anyOf(exact("source", "/test"), exact("source", "/probe"))),
	}
	return t
}

func broker() *mesh.Broker {
	return &mesh.Broker{
		Name:        name("main"),
		Type:        mesh.RabbitMQ,
		VHost:       "/",
		Credentials: "rabbit",
		Topology:    mesh.Manage,
		Heartbeat:   10 * time.Second,
		Nodes: []mesh.Node{
			{Address: "127.0.0.1:5672", Zone: "a"},
			{Address: "127.0.0.1:5674", Zone: "a"},
			{Address: "rabbit-b.shop:5672", Zone: "b"},
			{Address: "[::1]:5673", Priority: 1},
		},
	}
}

func billing() *mesh.Subscription {
	return &mesh.Subscription{
		Name:     name("billing"),
		Topic:    name("orders"),
		Broker:   name("main"),
		Exchange: mesh.Exchange{Name: "orders", Type: "topic"},
		Queue:    mesh.Queue{Name: "orders.billing", Type: "quorum", Prefetch: 64},
		Filters: []mesh.Filter{
			prefix("type", "com.shop.order."),
			all(not(anyOf(exact("source", "/test"), suffix("subject", " é%")))),
		},
		AckDeadline:     30 * time.Second,
		Attempts:        5,
		Backoff:         mesh.Backoff{Base: time.Second, Max: 5 * time.Minute},
		DeadLetterQueue: "orders.billing.dead",
		PushPort:        9090,
	}
}

// ordered is a subscription that uses what billing leaves at its default.
func ordered() *mesh.Subscription {
	s := billing()
	s.Name = name("ledger")
	s.Queue = mesh.Queue{Name: "orders.ledger", Type: "quorum", Prefetch: 64, PrefetchBytes: 1 << 20, MaxEventBytes: 256 << 10}
	s.Filters, s.DeadLetterQueue, s.PushPort = nil, "orders.ledger.dead", 0
	s.Ordering, s.Partitions = mesh.PerKey, mesh.Partitions{Count: 8, Key: "partitionkey"}
	s.MaxElapsed, s.KeyPolicy = 5*time.Minute, mesh.Hold
	s.Dedupe = mesh.Dedupe{Window: 10 * time.Minute, MaxEntries: 100_000}
	s.MaxDecoded = 256 << 10
	return s
}

// samples are resources that hold every supported field between them.
func samples(t testing.TB) []wire.Resource {
	t.Helper()
	var out []wire.Resource
	for _, f := range []func() ([]wire.Resource, error){
		func() ([]wire.Resource, error) { return wire.EncodeTopic(orders()) },
		func() ([]wire.Resource, error) { return wire.EncodeTopic(nested()) },
		func() ([]wire.Resource, error) { return wire.EncodeBroker(broker()) },
		func() ([]wire.Resource, error) { return wire.EncodeSubscription(billing()) },
		func() ([]wire.Resource, error) { return wire.EncodeSubscription(ordered()) },
	} {
		rs, err := f()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, rs...)
	}
	return out
}

func decode(t testing.TB, r wire.Resource) wire.Decoded {
	t.Helper()
	d, err := wire.Decode(r.TypeURL, r.Any)
	if err != nil {
		t.Fatalf("decode %s: %v", r.Name, err)
	}
	return d
}

// golden compares got with a file of testdata, or rewrites it with -update.
func golden(t testing.TB, file, got string) {
	t.Helper()
	file = "testdata/" + file
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not what the code makes now; rewrite it with -update and read the diff. Now:\n%s", file, got)
	}
}

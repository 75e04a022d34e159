package wire_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds/wire"
)

func decodeTopic(t *testing.T, in *mesh.Topic) *mesh.Topic {
	t.Helper()
	rs, err := wire.EncodeTopic(in)
	if err != nil {
		t.Fatal(err)
	}
	listener, routes := decode(t, rs[0]).(*wire.TopicListener), decode(t, rs[1]).(*wire.Routes)
	if listener.RouteConfig != rs[1].Name {
		t.Errorf("the listener names routes %q, the routes are %q", listener.RouteConfig, rs[1].Name)
	}
	if listener.Name != routes.Name {
		t.Errorf("the listener is of %v, the routes of %v", listener.Name, routes.Name)
	}
	return &mesh.Topic{Name: routes.Name, Rules: routes.Rules}
}

func TestTopicsComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	with := func(change func(*mesh.Topic)) *mesh.Topic {
		topic := orders()
		change(topic)
		return topic
	}
	for what, topic := range map[string]*mesh.Topic{
		"with header matchers":    orders(),
		"with nested filters":     nested(),
		"with its own rule alone": with(func(t *mesh.Topic) { t.Rules = t.Rules[1:] }),
		"with a backend of weight 0": with(func(t *mesh.Topic) {
			t.Rules[0].Backends[1].Weight = 0
		}),
		"with one try and a timeout of its own": with(func(t *mesh.Topic) {
			t.Rules[1].Retry.PerTryTimeout = time.Second
		}),
		"with values HTTP must escape": with(func(t *mesh.Topic) {
			t.Rules[0].Filters = []mesh.Filter{exact("subject", "é 100%\n\"x\""), suffix("subject", "%2F")}
		}),
		"with the content type": with(func(t *mesh.Topic) {
			t.Rules[0].Filters = []mesh.Filter{exact("datacontenttype", "application/json; charset=utf-8")}
		}),
		"with a rule that matches everything by a tree": with(func(t *mesh.Topic) {
			t.Rules[0].Filters = []mesh.Filter{anyOf(exact("type", "a"), exact("type", "b"))}
		}),
		"without partitions": with(func(t *mesh.Topic) {
			t.Rules[0].Backends[0].Destination.Partitions = mesh.Partitions{}
			t.Rules[0].Backends[1].Destination.Partitions = mesh.Partitions{}
		}),
		"with partitions of one backend alone": with(func(t *mesh.Topic) {
			t.Rules[0].Backends[0].Destination.Partitions = mesh.Partitions{}
		}),
		"with partitions by another key": with(func(t *mesh.Topic) {
			t.Rules[0].Backends[0].Destination.Partitions = mesh.Partitions{Count: 1024, Key: "datacontenttype"}
		}),
		"with a negated negation": with(func(t *mesh.Topic) {
			t.Rules[0].Filters = []mesh.Filter{not(not(exact("type", "a")))}
		}),
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			if got := decodeTopic(t, topic); !reflect.DeepEqual(got, topic) {
				t.Errorf("got  %+v\nwant %+v", got, topic)
			}
		})
	}
}

func TestTopicsComeBackInNormalForm(t *testing.T) {
	t.Parallel()
	a, b, c := exact("type", "a"), prefix("subject", "b"), suffix("subject", "c")
	for what, tc := range map[string]struct{ in, want []mesh.Filter }{
		"all at the top joins the list":       {[]mesh.Filter{all(a, all(b, c))}, []mesh.Filter{a, b, c}},
		"a list of one is its element":        {[]mesh.Filter{anyOf(a), not(all(b))}, []mesh.Filter{a, not(b)}},
		"all inside any stays":                {[]mesh.Filter{anyOf(all(a, b), c)}, []mesh.Filter{anyOf(all(a, b), c)}},
		"all inside any inside all is a list": {[]mesh.Filter{all(anyOf(all(all(a), b)))}, []mesh.Filter{a, b}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			topic := orders()
			topic.Rules[0].Filters = tc.in
			if got := decodeTopic(t, topic).Rules[0].Filters; !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
	t.Run("rules that are never reached are not sent", func(t *testing.T) {
		t.Parallel()
		topic := orders()
		topic.Rules = []mesh.Rule{canary(), itself(), canary(), itself()}
		if got := decodeTopic(t, topic); !reflect.DeepEqual(got, orders()) {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("one attempt has no retry conditions", func(t *testing.T) {
		t.Parallel()
		topic := orders()
		topic.Rules[1].Retry = mesh.Retry{Attempts: 1, On: []mesh.RetryOn{mesh.OnNack}, Backoff: mesh.Backoff{Base: 1, Max: 1}}
		if got := decodeTopic(t, topic); !reflect.DeepEqual(got, orders()) {
			t.Errorf("got %+v", got)
		}
	})
}

// TestRandomTopicsMatchTheSameEvents checks the normal form by what it must keep.
func TestRandomTopicsMatchTheSameEvents(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		topic := orders()
		topic.Rules[0].Filters = randomFilters(r, 3)
		got := decodeTopic(t, topic)
		want := topic.Rules[0].Filters
		for range 50 {
			event := randomEvent(r)
			if matches(got.Rules[0].Filters, event) != matches(want, event) {
				t.Fatalf("event %v: %+v and %+v disagree", event, got.Rules[0].Filters, want)
			}
		}
		if again := decodeTopic(t, got); !reflect.DeepEqual(again, got) {
			t.Fatalf("not stable: %+v, then %+v", got, again)
		}
	}
}

func randomFilters(r *rand.Rand, depth int) []mesh.Filter {
	out := make([]mesh.Filter, 1+r.IntN(3))
	for i := range out {
		op := mesh.FilterOp(1 + r.IntN(6))
		if depth == 0 {
			op = mesh.FilterOp(1 + r.IntN(3))
		}
		switch op {
		case mesh.All, mesh.Any:
			out[i] = mesh.Filter{Op: op, Sub: randomFilters(r, depth-1)}
		case mesh.Not:
			out[i] = not(randomFilters(r, depth-1)[0])
		default:
			out[i] = mesh.Filter{Op: op, Attr: fmt.Sprintf("a%d", r.IntN(3)), Value: string(rune('x' + r.IntN(2)))}
		}
	}
	return out
}

func randomEvent(r *rand.Rand) map[string]string {
	out := map[string]string{}
	for i := range 3 {
		if r.IntN(3) > 0 {
			out[fmt.Sprintf("a%d", i)] = []string{"x", "y", "xy", "yx"}[r.IntN(4)]
		}
	}
	return out
}

func TestBrokersComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	memory := &mesh.Broker{Name: name("local"), Type: mesh.Memory, Topology: mesh.Ignore}
	for _, want := range []*mesh.Broker{broker(), memory} {
		rs, err := wire.EncodeBroker(want)
		if err != nil {
			t.Fatal(err)
		}
		c, e := decode(t, rs[0]).(*wire.Cluster), decode(t, rs[1]).(*wire.Endpoints)
		if c.EndpointName != rs[1].Name {
			t.Errorf("the cluster names endpoints %q, the endpoints are %q", c.EndpointName, rs[1].Name)
		}
		got := c.Broker
		got.Nodes = e.Nodes
		if !reflect.DeepEqual(&got, want) || e.Name != want.Name {
			t.Errorf("got  %+v\nwant %+v", got, *want)
		}
	}
}

func TestNodesOfOneZoneAreKeptTogether(t *testing.T) {
	t.Parallel()
	b := broker()
	b.Nodes = []mesh.Node{
		{Address: "d:1", Zone: "b", Priority: 1},
		{Address: "a:1", Zone: "a"},
		{Address: "b:1", Zone: "b"},
		{Address: "c:1", Zone: "a"},
	}
	rs, err := wire.EncodeBroker(b)
	if err != nil {
		t.Fatal(err)
	}
	want := []mesh.Node{b.Nodes[1], b.Nodes[3], b.Nodes[2], b.Nodes[0]}
	if got := decode(t, rs[1]).(*wire.Endpoints).Nodes; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestSubscriptionsComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	plain := billing()
	plain.Filters, plain.Attempts, plain.Backoff = nil, 1, mesh.Backoff{}
	plain.Queue.Type = "classic"
	going := ordered()
	going.KeyPolicy, going.Dedupe = mesh.Continue, mesh.Dedupe{}
	for _, want := range []*mesh.Subscription{billing(), plain, ordered(), going} {
		rs, err := wire.EncodeSubscription(want)
		if err != nil {
			t.Fatal(err)
		}
		got := decode(t, rs[0]).(*wire.Subscription)
		if !reflect.DeepEqual(&got.Subscription, want) {
			t.Errorf("got  %+v\nwant %+v", got.Subscription, *want)
		}
		if got.Cluster() != "broker/shop/main" {
			t.Errorf("it needs %q", got.Cluster())
		}
	}
}

func TestARouteNamesTheClustersItNeeds(t *testing.T) {
	t.Parallel()
	topic := orders()
	topic.Rules[0].Backends[1].Destination.Broker = name("backup")
	rs, err := wire.EncodeTopic(topic)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"broker/shop/backup", "broker/shop/main"}
	if got := decode(t, rs[1]).(*wire.Routes).Clusters(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestVersionsAreOfTheContent(t *testing.T) {
	t.Parallel()
	encode := func(topic *mesh.Topic) []wire.Resource {
		rs, err := wire.EncodeTopic(topic)
		if err != nil {
			t.Fatal(err)
		}
		return rs
	}
	before, same := encode(orders()), encode(orders())
	changed := orders()
	changed.Rules[0].Backends[0].Weight, changed.Rules[0].Backends[1].Weight = 50, 50
	after := encode(changed)
	for i := range before {
		if before[i].Version != same[i].Version {
			t.Errorf("%s: the same content has versions %s and %s", before[i].TypeURL, before[i].Version, same[i].Version)
		}
	}
	if before[0].Version != after[0].Version {
		t.Error("a weight changed the version of the listener")
	}
	if before[1].Version == after[1].Version {
		t.Error("a weight did not change the version of the routes")
	}
}

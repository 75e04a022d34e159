package client

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/client/resource"
	"github.com/warrenmesh/warren/xds/wire"
)

// FuzzServer plays a control plane that sends anything at any time: halves of
// changes, things nobody asked for, flawed resources, removals, errors. Whatever
// it does, every snapshot is consistent and nothing in force is given up; and when
// it comes to its senses, the client ends up with exactly what is declared.
func FuzzServer(f *testing.F) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		script := make([]byte, 600)
		for i := range script {
			script[i] = byte(random.Uint32())
		}
		f.Add(script)
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		w := newWorld(t, script)
		for len(w.script) > 0 {
			w.act()
			w.advance()
		}
		w.heal()
	})
}

// world is what is declared, and the client that is told of it. There is no
// stream: the script decides what would have come.
type world struct {
	t      *testing.T
	script []byte
	client *Client

	topics        map[mesh.Name][]mesh.Name // its brokers
	subscriptions map[mesh.Name]mesh.Name   // its broker
	brokers       map[mesh.Name]*mesh.Broker
	versions      map[string]int // by type and name; content and version change together

	last *mesh.Config // the snapshot in force
}

var (
	fuzzTopics        = []mesh.Name{{Namespace: "n", Name: "a"}, {Namespace: "n", Name: "b"}, {Namespace: "n", Name: "c"}}
	fuzzSubscriptions = []mesh.Name{{Namespace: "n", Name: "s"}, {Namespace: "n", Name: "t"}}
	fuzzBrokers       = []mesh.Name{{Namespace: "n", Name: "w"}, {Namespace: "n", Name: "x"}, {Namespace: "n", Name: "y"}, {Namespace: "n", Name: "z"}}
)

func newWorld(t *testing.T, script []byte) *world {
	t.Helper()
	w := &world{
		t: t, script: script,
		topics: map[mesh.Name][]mesh.Name{}, subscriptions: map[mesh.Name]mesh.Name{},
		brokers: map[mesh.Name]*mesh.Broker{}, versions: map[string]int{},
	}
	for _, b := range fuzzBrokers {
		w.declareBroker(b)
	}
	c, err := New(Options{
		Server: "none", Node: xds.Node{ID: "i", Namespace: "n"},
		Apply: w.check, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	c.decode = decodeFlawed
	w.client = c
	return w
}

// choose takes the next decision from the script: a number below n.
func (w *world) choose(n int) int {
	if len(w.script) == 0 {
		return 0
	}
	b := w.script[0]
	w.script = w.script[1:]
	return int(b) % n
}

func (w *world) act() {
	switch w.choose(10) {
	case 0:
		w.client.Want(fuzzTopics[w.choose(len(fuzzTopics))])
	case 1, 2:
		w.declare()
	case 3:
		delete(w.topics, fuzzTopics[w.choose(len(fuzzTopics))])
	case 4:
		delete(w.subscriptions, fuzzSubscriptions[w.choose(len(fuzzSubscriptions))])
	default:
		w.say()
	}
}

func (w *world) changed(typeURL, name string) { w.versions[typeURL+name]++ }

func (w *world) declare() {
	broker := func() mesh.Name { return fuzzBrokers[w.choose(len(fuzzBrokers))] }
	switch w.choose(3) {
	case 0:
		t := fuzzTopics[w.choose(len(fuzzTopics))]
		w.topics[t] = []mesh.Name{broker()}
		if second := broker(); second != w.topics[t][0] {
			w.topics[t] = append(w.topics[t], second)
		}
		w.changed(xds.TypeListener, xds.TopicResource(t))
		w.changed(xds.TypeRoute, xds.TopicResource(t))
	case 1:
		s := fuzzSubscriptions[w.choose(len(fuzzSubscriptions))]
		w.subscriptions[s] = broker()
		w.changed(xds.TypeListener, xds.SubscriptionResource(s))
	case 2:
		w.declareBroker(broker())
	}
}

func (w *world) declareBroker(b mesh.Name) {
	typ, addresses := mesh.RabbitMQ, []string{"10.0.0.1:5672", "10.0.0.2:5672"}[:1+w.choose(2)]
	if w.choose(4) == 0 {
		typ, addresses = mesh.Memory, nil
	}
	w.brokers[b] = brokerAt(b, typ, addresses...)
	w.changed(xds.TypeCluster, xds.BrokerResource(b))
	w.changed(xds.TypeEndpoint, xds.BrokerResource(b))
}

// encode returns what is declared under a name; nil when there is nothing.
func (w *world) encode(typeURL, resource string) *discoveryv3.Resource {
	var rs []wire.Resource
	var err error
	if n, e := xds.ParseTopicResource(resource); e == nil && w.topics[n] != nil {
		rs, err = wire.EncodeTopic(topicTo(n, w.topics[n]...))
	} else if n, e := xds.ParseSubscriptionResource(resource); e == nil && w.subscriptions[n] != (mesh.Name{}) {
		rs, err = wire.EncodeSubscription(subscriptionOn(n, fuzzTopics[0], w.subscriptions[n]))
	} else if n, e := xds.ParseBrokerResource(resource); e == nil {
		rs, err = wire.EncodeBroker(w.brokers[n])
	}
	if err != nil {
		w.t.Fatal(err)
	}
	if !slices.ContainsFunc(rs, func(r wire.Resource) bool { return r.TypeURL == typeURL }) {
		return nil
	}
	return resourceOf(w.t, typeURL, w.version(typeURL, resource), rs, nil)
}

func (w *world) version(typeURL, resource string) string {
	return fmt.Sprint("v", w.versions[typeURL+resource])
}

// names are all that a type could have.
func (w *world) names(typeURL string) (names []string) {
	if typeURL == xds.TypeListener || typeURL == xds.TypeRoute {
		for _, t := range fuzzTopics {
			names = append(names, xds.TopicResource(t))
		}
	}
	if typeURL == xds.TypeListener {
		for _, s := range fuzzSubscriptions {
			names = append(names, xds.SubscriptionResource(s))
		}
	}
	if typeURL == xds.TypeCluster || typeURL == xds.TypeEndpoint {
		for _, b := range fuzzBrokers {
			names = append(names, xds.BrokerResource(b))
		}
	}
	return names
}

// say sends a response of some type with some of its resources, true or not.
func (w *world) say() {
	typeURL := xds.TypeURLs()[w.choose(len(xds.TypeURLs()))]
	response := &discoveryv3.DeltaDiscoveryResponse{TypeUrl: typeURL}
	for _, name := range w.names(typeURL) {
		switch w.choose(8) {
		case 0:
			response.RemovedResources = append(response.RemovedResources, name)
		case 1:
			response.Resources = append(response.Resources, flawed(name, "bad", "panic or not"))
		case 2:
			response.Resources = append(response.Resources, &discoveryv3.Resource{Name: name})
		case 3, 4, 5, 6:
			if r := w.encode(typeURL, name); r != nil {
				response.Resources = append(response.Resources, r)
			}
		}
	}
	w.client.take(response)
}

// advance does what the stream does after every event, and checks that all a
// snapshot stands on stays subscribed.
func (w *world) advance() resource.Needs {
	n, _ := w.client.advance()
	for _, e := range w.client.applied.Entries() {
		_, isSub := e.Decoded.(*wire.Subscription)
		if !isSub && !n.Has(e.TypeURL, e.Name) {
			w.t.Fatalf("%s %q is in force and not subscribed to", shortType(e.TypeURL), e.Name)
		}
	}
	return n
}

// check is Apply: the snapshot must be consistent.
// Of the brokers that are new in it, it refuses one now and then.
func (w *world) check(s *Snapshot) Refusals {
	for _, name := range mesh.Sorted(s.Config.Brokers) {
		if (w.last == nil || w.last.Brokers[name] != s.Config.Brokers[name]) && w.choose(4) == 3 {
			return Refusals{name: errors.New("refused")}
		}
	}
	usable := func(user fmt.Stringer, n mesh.Name) {
		b := s.Config.Brokers[n]
		if b == nil {
			w.t.Fatalf("%s uses broker %s, which is not in the snapshot", user, n)
		}
		if b.Type.Capabilities().Networked && len(b.Nodes) == 0 {
			w.t.Fatalf("%s uses broker %s, which has no nodes", user, n)
		}
	}
	w.checkKept(s.Config)
	used := map[mesh.Name]struct{}{}
	for n, t := range s.Config.Topics {
		for _, r := range t.Rules {
			for _, b := range r.Backends {
				usable(n, b.Destination.Broker)
				used[b.Destination.Broker] = struct{}{}
			}
		}
	}
	for n, sub := range s.Config.Subscriptions {
		usable(n, sub.Broker)
		used[sub.Broker] = struct{}{}
	}
	if !slices.Equal(sorted(used), sorted(s.Config.Brokers)) {
		w.t.Fatalf("brokers are %v, used are %v", sorted(s.Config.Brokers), sorted(used))
	}
	return nil
}

// checkKept: what was in force stays, in this form or another, but for a
// subscription that was removed. The script never gives up a topic.
func (w *world) checkKept(next *mesh.Config) {
	if w.last != nil {
		for n := range w.last.Topics {
			if next.Topics[n] == nil {
				w.t.Fatalf("topic %s was in force and is gone", n)
			}
		}
		for n := range w.last.Subscriptions {
			_, known := w.client.table[xds.TypeListener][xds.SubscriptionResource(n)]
			if known && next.Subscriptions[n] == nil {
				w.t.Fatalf("subscription %s was in force and is gone", n)
			}
		}
	}
	w.last = next
}

func sorted[V any](m map[mesh.Name]V) []string {
	var names []string
	for n := range maps.Keys(m) {
		names = append(names, n.String())
	}
	slices.Sort(names)
	return names
}

// heal says the whole truth until nothing more is asked for, and checks that the
// client then has it, all of it and nothing else.
func (w *world) heal() {
	for range 8 { // listener, route, cluster, endpoints; twice
		n := w.advance()
		for _, typeURL := range xds.TypeURLs() {
			response := &discoveryv3.DeltaDiscoveryResponse{TypeUrl: typeURL}
			for _, name := range w.names(typeURL) {
				if !n.Has(typeURL, name) && !resource.IsSubscription(typeURL, name) {
					continue
				}
				if r := w.encode(typeURL, name); r != nil {
					response.Resources = append(response.Resources, r)
				} else {
					response.RemovedResources = append(response.RemovedResources, name)
				}
			}
			w.client.take(response)
		}
	}
	w.advance()
	w.compare()
}

func (w *world) compare() {
	f := w.client.applied
	for _, e := range f.Entries() {
		n, err := xds.ParseTopicResource(e.Name)
		if err == nil && w.topics[n] == nil {
			continue // deleted, and keeps serving
		}
		if want := w.version(e.TypeURL, e.Name); e.Version != want {
			w.t.Errorf("%s %q is %s, want %s", shortType(e.TypeURL), e.Name, e.Version, want)
		}
	}
	for n := range w.topics {
		_, wanted := w.client.wanted.names[n]
		if got := f.Has(n); got != wanted {
			w.t.Errorf("topic %s: in the snapshot %v, wanted %v", n, got, wanted)
		}
	}
	if !slices.Equal(sorted(f.Config().Subscriptions), sorted(w.subscriptions)) {
		w.t.Errorf("subscriptions are %v, want %v", sorted(f.Config().Subscriptions), sorted(w.subscriptions))
	}
	if oldest, ok := w.client.table.OldestAsked(); ok {
		w.t.Errorf("a clock runs since %v without a stream", time.Since(oldest))
	}
}

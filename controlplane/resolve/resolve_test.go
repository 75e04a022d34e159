package resolve

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/controlplane/declare"
	"github.com/warrenmesh/warren/controlplane/source/file"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/wire"
)

// objects joins short declarations "Kind name: {spec}" into a YAML file. They are
// in namespace shop.
func objects(t *testing.T, declarations ...string) declare.Set {
	t.Helper()
	set, problems := file.Decode(file.File{Name: "a.yaml", Data: []byte(yamlOf(declarations...))})
	if len(problems) > 0 {
		t.Fatalf("the test's own objects are wrong: %v", problems)
	}
	return set
}

func yamlOf(declarations ...string) string {
	var b strings.Builder
	for _, d := range declarations {
		head, spec, _ := strings.Cut(d, ": ")
		kind, name, _ := strings.Cut(head, " ")
		fmt.Fprintf(&b, "---\napiVersion: warrenmesh.io/v1alpha1\nkind: %s\nmetadata: {name: %s, namespace: shop}\nspec: %s\n", kind, name, spec)
	}
	return b.String()
}

const (
	rabbit  = `EventBroker main: {nodes: [{address: "b:5672", zone: z2, priority: 1}, {address: "a:5672"}], credentials: {name: rabbit}}`
	memory  = `EventBroker main: {type: Memory}`
	orders  = `EventTopic orders: {brokerRef: {name: main}}`
	audit   = `EventTopic audit: {brokerRef: {name: main}}`
	sharded = `EventTopic orders: {brokerRef: {name: main}, partitions: {count: 4}}`
	billing = `EventSubscription billing: {topicRef: {name: orders}, selector: {matchLabels: {app: billing}}}`
)

func n(name string) mesh.Name { return mesh.Name{Namespace: "shop", Name: name} }

func resolved(t *testing.T, declarations ...string) Result {
	t.Helper()
	result, problems := Resolve(objects(t, declarations...))
	if len(problems) > 0 {
		t.Fatalf("unexpected problems: %v", problems)
	}
	return result
}

func destinationOf(topic string) mesh.Destination {
	return mesh.Destination{
		Topic: n(topic), Broker: n("main"), Exchange: mesh.Exchange{Name: topic, Type: "topic"}, RoutingKey: "{type}",
		Mandatory: true, Persistent: true, ConfirmTimeout: 2 * time.Second, MaxEventBytes: 1 << 20,
	}
}

var retryDefault = mesh.Retry{
	Attempts: 3, On: []mesh.RetryOn{mesh.OnNack, mesh.OnConfirmTimeout, mesh.OnConnectFailure, mesh.OnChannelClosed},
	Backoff: mesh.Backoff{Base: 50 * time.Millisecond, Max: 2 * time.Second},
}

func TestResolveFillsInEveryDefault(t *testing.T) {
	t.Parallel()
	got := resolved(t, rabbit, orders, billing).Config
	want := mesh.Config{
		Brokers: map[mesh.Name]*mesh.Broker{n("main"): {
			Name: n("main"), Type: mesh.RabbitMQ, VHost: "/", Credentials: "rabbit", Topology: mesh.Manage, Heartbeat: 10 * time.Second,
			Nodes: []mesh.Node{{Address: "a:5672", Zone: "default"}, {Address: "b:5672", Zone: "z2", Priority: 1}},
		}},
		Topics: map[mesh.Name]*mesh.Topic{n("orders"): {
			Name:  n("orders"),
			Rules: []mesh.Rule{{Backends: []mesh.Backend{{Destination: destinationOf("orders"), Weight: 1}}, Retry: retryDefault}},
		}},
		Subscriptions: map[mesh.Name]*mesh.Subscription{n("billing"): {
			Name: n("billing"), Topic: n("orders"), Broker: n("main"), Exchange: mesh.Exchange{Name: "orders", Type: "topic"},
			Queue:       mesh.Queue{Name: "shop.billing", Type: "quorum", Prefetch: 64},
			AckDeadline: 30 * time.Second, Attempts: 5,
			Backoff: mesh.Backoff{Base: time.Second, Max: 5 * time.Minute}, DeadLetterQueue: "shop.billing.dead",
		}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", dump(got), dump(want))
	}
}

func dump(c mesh.Config) string {
	var b strings.Builder
	for _, v := range c.Brokers {
		fmt.Fprintf(&b, "\n%+v", *v)
	}
	for _, v := range c.Topics {
		fmt.Fprintf(&b, "\n%+v", *v)
	}
	for _, v := range c.Subscriptions {
		fmt.Fprintf(&b, "\n%+v", *v)
	}
	return b.String()
}

func TestResolveCarriesWhatIsDeclared(t *testing.T) {
	t.Parallel()
	c := resolved(t, rabbit, audit,
		`EventTopic orders: {brokerRef: {name: main}, exchange: {name: ex, type: headers}, routingKey: "k.{subject}", publish: {confirmTimeout: 1s, mandatory: false, persistent: false, ttl: 5s, priority: 9, maxEventBytes: 10, headers: [tenant, app-*, reply_to]}}`,
		`EventRoute canary: {parentRefs: [{name: orders}], rules: [{name: eu, filters: [{prefix: {type: com., source: /s}}, {any: [{not: {suffix: {subject: x}}}]}], backendRefs: [{name: orders, weight: 95}, {name: audit, weight: 5}], timeout: 10s, retry: {attempts: 4, on: [nack], perTryTimeout: 2s, backoff: {baseInterval: 5ms, maxInterval: 6ms}}}, {}]}`,
		`EventSubscription billing: {topicRef: {name: orders}, selector: {matchLabels: {app: billing}}, filters: [{exact: {type: a}}], queue: {name: q, type: classic, prefetch: 7, prefetchBytes: 2048}, dedupe: {window: 1m, maxEntries: 9}, ackDeadline: 2s, contentEncoding: Decode, retry: {attempts: 2, backoff: {baseInterval: 3s, maxInterval: 4s}}, deadLetter: {queue: d}}`,
	).Config
	dest := mesh.Destination{
		Topic: n("orders"), Broker: n("main"), Exchange: mesh.Exchange{Name: "ex", Type: "headers"}, RoutingKey: "k.{subject}",
		ConfirmTimeout: time.Second, TTL: 5 * time.Second, Priority: 9, MaxEventBytes: 10,
		Headers: mesh.NewHeaderList([]string{"tenant", "app-*", "reply_to"}),
	}
	itself := []mesh.Backend{{Destination: dest, Weight: 1}}
	want := []mesh.Rule{
		{
			Name: "canary/eu",
			Filters: []mesh.Filter{
				{Op: mesh.All, Sub: []mesh.Filter{{Op: mesh.Prefix, Attr: "source", Value: "/s"}, {Op: mesh.Prefix, Attr: "type", Value: "com."}}},
				{Op: mesh.Any, Sub: []mesh.Filter{{Op: mesh.Not, Sub: []mesh.Filter{{Op: mesh.Suffix, Attr: "subject", Value: "x"}}}}},
			},
			Backends: []mesh.Backend{{Destination: dest, Weight: 95}, {Destination: destinationOf("audit"), Weight: 5}},
			Timeout:  10 * time.Second,
			Retry: mesh.Retry{
				Attempts: 4, On: []mesh.RetryOn{mesh.OnNack}, PerTryTimeout: 2 * time.Second,
				Backoff: mesh.Backoff{Base: 5 * time.Millisecond, Max: 6 * time.Millisecond},
			},
		},
		{Name: "canary/rule-1", Backends: itself, Retry: retryDefault},
		{Backends: itself, Retry: retryDefault},
	}
	if got := c.Topics[n("orders")].Rules; !reflect.DeepEqual(got, want) {
		t.Errorf("rules: got  %+v\nwant %+v", got, want)
	}
	wantSub := &mesh.Subscription{
		Name: n("billing"), Topic: n("orders"), Broker: n("main"), Exchange: dest.Exchange,
		Queue: mesh.Queue{Name: "q", Type: "classic", Prefetch: 7, PrefetchBytes: 2048, MaxEventBytes: 10}, Filters: []mesh.Filter{{Op: mesh.Exact, Attr: "type", Value: "a"}},
		AckDeadline: 2 * time.Second, Attempts: 2, Backoff: mesh.Backoff{Base: 3 * time.Second, Max: 4 * time.Second}, DeadLetterQueue: "d",
		Dedupe: mesh.Dedupe{Window: time.Minute, MaxEntries: 9}, MaxDecoded: 10,
	}
	if got := c.Subscriptions[n("billing")]; !reflect.DeepEqual(got, wantSub) {
		t.Errorf("subscription: got  %+v\nwant %+v", got, wantSub)
	}
}

func TestOrderByKeyTakesThePartitionsOfTheTopic(t *testing.T) {
	t.Parallel()
	ordered := func(more string) string {
		return "EventSubscription billing: {topicRef: {name: orders}, selector: {matchLabels: {app: billing}}, ordering: PerKey, " + more + "}"
	}
	c := resolved(t, rabbit, sharded, ordered("")).Config
	four := mesh.Partitions{Count: 4, Key: "partitionkey"}
	if got := c.Topics[n("orders")].Rules[0].Backends[0].Destination.Partitions; got != four {
		t.Errorf("the destination has %+v, want %+v", got, four)
	}
	if s := c.Subscriptions[n("billing")]; s.Ordering != mesh.PerKey || s.Partitions != four || s.MaxElapsed != 5*time.Minute || s.KeyPolicy != mesh.Continue {
		t.Errorf("the defaults of an ordered subscription: got %+v", s)
	}
	c = resolved(t, memory, sharded, ordered("retry: {maxElapsed: 1m}, deadLetter: {keyPolicy: Hold}")).Config
	if s := c.Subscriptions[n("billing")]; s.MaxElapsed != time.Minute || s.KeyPolicy != mesh.Hold {
		t.Errorf("got %+v", s)
	}
	c = resolved(t, rabbit, sharded, billing).Config
	if s := c.Subscriptions[n("billing")]; s.Ordering != mesh.Unordered || s.Partitions.Count != 0 || s.MaxElapsed != 0 {
		t.Errorf("a subscription without order to a topic with partitions: got %+v", s)
	}
}

func TestRoutesOfOneTopicAreMergedByName(t *testing.T) {
	t.Parallel()
	route := func(name string) string {
		return "EventRoute " + name + ": {parentRefs: [{name: orders}, {name: audit}], rules: [{filters: [{exact: {type: " + name + "}}]}]}"
	}
	result := resolved(t, rabbit, orders, audit, route("b"), route("a"), route("c"))
	for _, topic := range []string{"orders", "audit"} {
		var names []string
		for _, rule := range result.Config.Topics[n(topic)].Rules {
			names = append(names, rule.Name+">"+rule.Backends[0].Destination.Topic.Name)
		}
		if want := []string{"a/rule-0>" + topic, "b/rule-0>" + topic, "c/rule-0>" + topic, ">" + topic}; !slices.Equal(names, want) {
			t.Errorf("%s: got rules %v, want %v", topic, names, want)
		}
	}
}

func TestTheOldestRouteComesFirst(t *testing.T) {
	t.Parallel()
	set := objects(t, rabbit, orders,
		`EventRoute a: {parentRefs: [{name: orders}], rules: [{}]}`, `EventRoute b: {parentRefs: [{name: orders}], rules: [{}]}`)
	set.Objects[2].Value.(*v1alpha1.EventRoute).CreationTimestamp.Time = time.Unix(2000, 0)
	set.Objects[3].Value.(*v1alpha1.EventRoute).CreationTimestamp.Time = time.Unix(1000, 0)
	result, _ := Resolve(set)
	if got := result.Config.Topics[n("orders")].Rules[0].Name; got != "b/rule-0" {
		t.Errorf("the first rule is %q, want that of the older route b", got)
	}
}

func TestAMemoryBrokerGetsDefaultsItCanHonour(t *testing.T) {
	t.Parallel()
	c := resolved(t, memory, orders, billing).Config
	if b := c.Brokers[n("main")]; b.Type != mesh.Memory || b.VHost != "" || b.Heartbeat != 0 || len(b.Nodes) != 0 {
		t.Errorf("broker: got %+v", b)
	}
	if d := c.Topics[n("orders")].Rules[0].Backends[0].Destination; d.Persistent {
		t.Error("events on a memory broker are called persistent")
	}
	if q := c.Subscriptions[n("billing")].Queue.Type; q != "classic" {
		t.Errorf("queue type is %q, want classic", q)
	}
}

func TestResolveRefuses(t *testing.T) {
	t.Parallel()
	sub := func(name, more string) string {
		return "EventSubscription " + name + ": {topicRef: {name: orders}, selector: {matchLabels: {a: b}}, " + more + "}"
	}
	topic := func(publish string) string {
		return "EventTopic orders: {brokerRef: {name: main}, publish: {" + publish + "}}"
	}
	long := strings.Repeat("q", 221)
	cases := []struct {
		name         string
		declarations []string
		want         string
		kind         v1alpha1.ErrorKind
	}{
		{"a broker that is not declared", []string{orders}, `a.yaml:5: spec.brokerRef.name: EventBroker shop/main is not declared: declare it; namespace "shop" has no EventBroker`, v1alpha1.RefNotFound},
		{"a misspelt topic of a subscription", []string{rabbit, orders, strings.Replace(billing, "orders", "oders", 1)}, `a.yaml:15: spec.topicRef.name: EventTopic shop/oders is not declared (did you mean "orders"?): declare it, or name one that is: orders`, v1alpha1.RefNotFound},
		{"a parent that is not declared", []string{rabbit, orders, `EventRoute r: {parentRefs: [{name: x}], rules: [{}]}`}, `a.yaml:15: spec.parentRefs[0].name: EventTopic shop/x is not declared: declare it, or name one that is: orders`, v1alpha1.RefNotFound},
		{"a backend that is not declared", []string{rabbit, orders, `EventRoute r: {parentRefs: [{name: orders}], rules: [{backendRefs: [{name: orders}, {name: orders-next}]}]}`}, `a.yaml:15: spec.rules[0].backendRefs[1].name: EventTopic shop/orders-next is not declared: declare it, or name one that is: orders`, v1alpha1.RefNotFound},
		{"a topic of another namespace that is not declared", []string{rabbit, orders, `EventSubscription s: {topicRef: {name: orders, namespace: other}, selector: {matchLabels: {a: b}}}`}, `a.yaml:15: spec.topicRef.name: EventTopic other/orders is not declared: declare it; namespace "other" has no EventTopic`, v1alpha1.RefNotFound},
		{"ttl on a memory broker", []string{memory, topic("ttl: 5s")}, `a.yaml:10: spec.publish.ttl: asks for expiration of messages, which broker shop/main of type Memory cannot honour: remove it`, v1alpha1.Invalid},
		{"priority on a memory broker", []string{memory, topic("priority: 1")}, `a.yaml:10: spec.publish.priority: asks for message priorities, which broker shop/main of type Memory cannot honour: remove it`, v1alpha1.Invalid},
		{"persistence on a memory broker", []string{memory, topic("persistent: true")}, `a.yaml:10: spec.publish.persistent: asks for events that survive a restart, which broker shop/main of type Memory cannot honour: remove it or set it to false`, v1alpha1.Invalid},
		{"a quorum queue on a memory broker", []string{memory, orders, sub("s", "queue: {type: quorum}")}, `a.yaml:15: spec.queue.type: asks for a quorum queue, which broker shop/main of type Memory cannot honour: remove it`, v1alpha1.Invalid},
		{"a headers exchange on a memory broker", []string{memory, `EventTopic orders: {brokerRef: {name: main}, exchange: {type: headers}}`}, `a.yaml:10: spec.exchange.type: asks for an exchange of type headers, which broker shop/main of type Memory cannot honour: want topic, direct or fanout`, v1alpha1.Invalid},
		{"a subscription that a sidecar would bind to a direct exchange", []string{rabbit, `EventTopic orders: {brokerRef: {name: main}, exchange: {type: direct}}`, billing}, `a.yaml:15: spec.topicRef: EventTopic shop/orders has an exchange of type direct, which has no binding for all of its events: give it type topic or fanout, or bind the queue yourself and set topology Verify on broker shop/main`, v1alpha1.Invalid},
		{"two topics on one exchange", []string{rabbit, orders, `EventTopic audit: {brokerRef: {name: main}, exchange: {name: orders}}`}, `a.yaml:15: spec.exchange.name: exchange "orders" on broker shop/main belongs to EventTopic shop/orders (a.yaml:7): give one of the two another exchange, or subscribers of one would get the events of both`, v1alpha1.Conflict},
		{"two subscriptions on one queue", []string{rabbit, orders, sub("s1", "queue: {name: q}"), sub("s2", "queue: {name: q}")}, `a.yaml:20: spec.queue.name: queue "q" on broker shop/main belongs to EventSubscription shop/s1 (a.yaml:12): give one of the two another queue, or each would get only part of its events`, v1alpha1.Conflict},
		{"dead letters in the queue of another", []string{rabbit, orders, sub("s1", "deadLetter: {queue: shop.s2}"), sub("s2", "")}, `a.yaml:15: spec.deadLetter.queue: queue "shop.s2" on broker shop/main belongs to EventSubscription shop/s2 (a.yaml:17): send dead letters to a queue of their own`, v1alpha1.Conflict},
		{"delays by the broker in a classic queue", []string{rabbit, orders, sub("s", "queue: {type: classic}, retry: {strategy: BrokerDelay}")}, `a.yaml:15: spec.retry.strategy: is BrokerDelay, which needs a quorum queue, and the queue is of type classic: set strategy DelayQueues or queue type quorum`, v1alpha1.Invalid},
		{"delays by the broker in queues that others declare", []string{strings.Replace(rabbit, "{nodes", "{topology: Verify, nodes", 1), orders, sub("s", "retry: {strategy: BrokerDelay}")}, `a.yaml:15: spec.retry.strategy: is BrokerDelay, which is an argument of the queue, but broker shop/main has topology Verify: whether queues that others declare have it cannot be asked by AMQP; set strategy DelayQueues, or topology Manage on the broker`, v1alpha1.Invalid},
		{"order on a topic without partitions", []string{rabbit, orders, sub("s", "ordering: PerKey")}, `a.yaml:15: spec.ordering: is PerKey, but EventTopic shop/orders has no partitions, and only they have an order: set ordering None, or declare a topic with partitions, such as {count: 8}, and subscribe to that`, v1alpha1.Invalid},
		{"order on queues that others declare", []string{strings.Replace(rabbit, "{nodes", "{topology: Verify, nodes", 1), sharded, sub("s", "ordering: PerKey")}, `a.yaml:15: spec.ordering: is PerKey, which needs queues that hand events to one consumer at a time, but broker shop/main has topology Verify: whether queues that others declare do that cannot be asked by AMQP, and order would be lost unseen; set ordering None, or topology Manage on the broker`, v1alpha1.Invalid},
		{"a name that leaves no room for the partitions", []string{rabbit, sharded, sub("s", "ordering: PerKey, queue: {name: "+long+"}, deadLetter: {queue: d}")}, `a.yaml:15: spec.queue.name: has 221 bytes, but with ordering PerKey the queues of the partitions are named after it: want at most 220`, v1alpha1.Invalid},
		{"the queue of a partition of another", []string{rabbit, sharded, sub("s1", "ordering: PerKey, queue: {name: q}"), sub("s2", "queue: {name: q.p3}")}, `a.yaml:20: spec.queue.name: queue "q.p3" on broker shop/main belongs to EventSubscription shop/s1 (a.yaml:12): give one of the two another queue, or each would get only part of its events`, v1alpha1.Conflict},
		{"the queue of the members of another", []string{rabbit, sharded, sub("s1", "ordering: PerKey, queue: {name: q}"), sub("s2", "queue: {name: q.members}")}, `a.yaml:20: spec.queue.name: queue "q.members" on broker shop/main belongs to EventSubscription shop/s1 (a.yaml:12): give one of the two another queue, or each would get only part of its events`, v1alpha1.Conflict},
		{"partitions in the queue of another", []string{rabbit, sharded, sub("s1", "queue: {name: q.p0}"), sub("s2", "ordering: PerKey, queue: {name: q}")}, `a.yaml:20: spec.queue.name: queue "q.p0" on broker shop/main belongs to EventSubscription shop/s1 (a.yaml:12): give one of the two another queue, or each would get only part of its events`, v1alpha1.Conflict},
		{"dead letters in an own delay", []string{rabbit, orders, sub("s", "queue: {name: q}, deadLetter: {queue: q.retry.2000ms}")}, `a.yaml:15: spec.deadLetter.queue: queue "q.retry.2000ms" on broker shop/main belongs to EventSubscription shop/s (a.yaml:12): send dead letters to a queue of their own`, v1alpha1.Conflict},
		{"the queue of a delay of another", []string{rabbit, orders, sub("s1", "queue: {name: q}"), sub("s2", "queue: {name: q.retry.1000ms}")}, `a.yaml:20: spec.queue.name: queue "q.retry.1000ms" on broker shop/main belongs to EventSubscription shop/s1 (a.yaml:12): give one of the two another queue, or each would get only part of its events`, v1alpha1.Conflict},
		{"the queue of what the broker drops from another", []string{rabbit, orders, sub("s1", "queue: {name: q}, deadLetter: {queue: d}"), sub("s2", "queue: {name: q.dead}")}, `a.yaml:15: spec.queue.name: queue "q.dead" on broker shop/main belongs to EventSubscription shop/s2 (a.yaml:17): what the broker drops from a queue goes to a queue of that name, so give one of the two another queue`, v1alpha1.Conflict},
		{"dead letters of two types", []string{rabbit, orders, sub("s1", "deadLetter: {queue: d}"), sub("s2", "queue: {type: classic}, deadLetter: {queue: d}")}, `a.yaml:20: spec.deadLetter.queue: queue "d" on broker shop/main would be of type classic, as the subscription's queue is, but it is of type quorum by EventSubscription shop/s1 (a.yaml:12): give both the same queue.type, or one of them another deadLetter.queue`, v1alpha1.Conflict},
		{"dead letters in the queue of an own partition", []string{rabbit, sharded, sub("s", "ordering: PerKey, queue: {name: q}, deadLetter: {queue: q.p0}")}, `a.yaml:15: spec.deadLetter.queue: queue "q.p0" on broker shop/main belongs to EventSubscription shop/s (a.yaml:12): send dead letters to a queue of their own`, v1alpha1.Conflict},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, problems := Resolve(objects(t, c.declarations...))
			if len(problems) != 1 || problems[0].String() != c.want || problems[0].Kind != c.kind {
				t.Errorf("got  %q\nwant %q of kind %v", problems, c.want, c.kind)
			}
		})
	}
}

func TestWhatLooksAlikeButIsAllowed(t *testing.T) {
	t.Parallel()
	resolved(t, rabbit, strings.Replace(memory, "main", "other", 1), orders,
		`EventTopic elsewhere: {brokerRef: {name: other}, exchange: {name: orders}}`,
		`EventSubscription s1: {topicRef: {name: orders}, selector: {matchLabels: {a: b}}, queue: {name: q}, deadLetter: {queue: dead}}`,
		`EventSubscription s2: {topicRef: {name: orders}, selector: {matchLabels: {a: b}}, deadLetter: {queue: dead}}`,
		`EventSubscription s3: {topicRef: {name: elsewhere}, selector: {matchLabels: {a: b}}, queue: {name: q}}`,
		`EventTopic sharded: {brokerRef: {name: main}, partitions: {count: 2}}`,
		`EventSubscription s4: {topicRef: {name: sharded}, selector: {matchLabels: {a: b}}, ordering: PerKey, queue: {name: x}, deadLetter: {queue: x.p2}}`,
		`EventSubscription s5: {topicRef: {name: sharded}, selector: {matchLabels: {a: b}}, queue: {name: x.p3}}`,
	)
}

func TestTopologiesOfOthersMayBeShared(t *testing.T) {
	t.Parallel()
	for policy, want := range map[string]mesh.TopologyPolicy{"Verify": mesh.Verify, "Ignore": mesh.Ignore, "Manage": mesh.Manage} {
		broker := strings.Replace(rabbit, "{nodes", "{topology: "+policy+", nodes", 1)
		set := objects(t, broker, billing,
			`EventTopic orders: {brokerRef: {name: main}, exchange: {name: events, type: direct}, routingKey: order}`,
			`EventTopic audit: {brokerRef: {name: main}, exchange: {name: events, type: direct}, routingKey: audit}`)
		result, problems := Resolve(set)
		if got := result.Config.Brokers[n("main")].Topology; got != want {
			t.Errorf("topology %s is resolved to %s", policy, got)
		}
		if managed := want == mesh.Manage; managed != (len(problems) == 2) {
			t.Errorf("%s: got %v, want two problems under Manage and else none", policy, problems)
		}
	}
}

func TestAReferenceToAnObjectWithProblemsIsNotDangling(t *testing.T) {
	t.Parallel()
	text := yamlOf(rabbit, `EventTopic orders: {brokerRef: {name: main}, routingKey: "{"}`, billing)
	set, problems := file.Decode(file.File{Name: "a.yaml", Data: []byte(text)})
	if len(problems) != 1 {
		t.Fatalf("got %v, want the template's problem", problems)
	}
	if _, more := Resolve(set); len(more) > 0 {
		t.Errorf("unexpected problems: %v", more)
	}
}

func TestNothingIsCalledDanglingWhileTextCannotBeRead(t *testing.T) {
	t.Parallel()
	set := objects(t, orders, billing)
	set.Incomplete = true
	if _, problems := Resolve(set); len(problems) > 0 {
		t.Errorf("unexpected problems: %v", problems)
	}
}

func TestSelectorsPickWorkloads(t *testing.T) {
	t.Parallel()
	matches := resolved(t, rabbit, orders, billing).Selectors[n("billing")]
	if !matches(map[string]string{"app": "billing"}) || matches(map[string]string{"app": "audit"}) {
		t.Error("the selector picks the wrong workloads")
	}
}

func TestResourcesNameWhatEachObjectIsPartOf(t *testing.T) {
	t.Parallel()
	got := resolved(t, rabbit, orders, audit, billing,
		`EventRoute r: {parentRefs: [{name: orders}], rules: [{backendRefs: [{name: audit}]}]}`).Resources
	topic := func(typeURL, name string) ResourceKey { return ResourceKey{typeURL, "topic/shop/" + name} }
	sub := ResourceKey{xds.TypeListener, "subscription/shop/billing"}
	want := map[v1alpha1.ObjectName][]ResourceKey{
		objectName("EventBroker", n("main")):          {{xds.TypeCluster, "broker/shop/main"}, {xds.TypeEndpoint, "broker/shop/main"}},
		objectName("EventTopic", n("orders")):         {topic(xds.TypeListener, "orders"), topic(xds.TypeRoute, "orders"), sub},
		objectName("EventTopic", n("audit")):          {topic(xds.TypeListener, "audit"), topic(xds.TypeRoute, "audit"), topic(xds.TypeRoute, "orders")},
		objectName("EventRoute", n("r")):              {topic(xds.TypeRoute, "orders")},
		objectName("EventSubscription", n("billing")): {sub},
	}
	for name := range want {
		slices.SortFunc(got[name], func(a, b ResourceKey) int { return strings.Compare(a.Name+a.TypeURL, b.Name+b.TypeURL) })
		slices.SortFunc(want[name], func(a, b ResourceKey) int { return strings.Compare(a.Name+a.TypeURL, b.Name+b.TypeURL) })
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func FuzzResolve(f *testing.F) {
	f.Add(yamlOf(rabbit, orders, audit, billing, `EventRoute r: {parentRefs: [{name: orders}], rules: [{backendRefs: [{name: audit}]}]}`))
	f.Add(yamlOf(rabbit, sharded, `EventSubscription s: {topicRef: {name: orders}, selector: {matchLabels: {a: b}}, ordering: PerKey, dedupe: {}, deadLetter: {keyPolicy: Hold}}`))
	f.Add(yamlOf(rabbit, `EventTopic orders: {brokerRef: {name: main}, partitions: {count: 2000000000, key: a}}`, strings.Replace(billing, "{topic", "{ordering: PerKey, topic", 1)))
	f.Add(yamlOf(memory, `EventTopic orders: {brokerRef: {name: main}, publish: {ttl: 5s}}`, billing))
	f.Add(yamlOf(`EventRoute r: {rules: [{filters: [{}], retry: {on: [x]}}]}`, `EventSubscription s: {}`, `EventTopic t: {}`, `EventBroker b: {}`))
	f.Fuzz(func(t *testing.T, text string) {
		set, problems := file.Decode(file.File{Name: "f.yaml", Data: []byte(text)})
		result, more := Resolve(set)
		if len(problems)+len(more) > 0 {
			return
		}
		// What is accepted here must not be refused by a sidecar.
		for _, topic := range result.Config.Topics {
			if _, err := wire.EncodeTopic(topic); err != nil {
				t.Errorf("topic %s: %v", topic.Name, err)
			}
		}
		for _, b := range result.Config.Brokers {
			if _, err := wire.EncodeBroker(b); err != nil {
				t.Errorf("broker %s: %v", b.Name, err)
			}
		}
		for _, s := range result.Config.Subscriptions {
			if _, err := wire.EncodeSubscription(s); err != nil {
				t.Errorf("subscription %s: %v", s.Name, err)
			}
		}
	})
}

package v1alpha1

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What is just within a bound. The schema test does the same for the bounds that a field
// declares by itself; these depend on text, on another field or on a list.
func TestValidateAcceptsWhatIsJustWithin(t *testing.T) {
	t.Parallel()
	bottom := Filter{Exact: map[string]string{"type": "a"}}
	for range maxFilterDepth - 1 {
		inner := bottom
		bottom = Filter{Not: &inner}
	}
	node := func(address string, priority int32) BrokerNode {
		return BrokerNode{Address: address, Priority: priority}
	}
	for name, v := range map[string]verdict{
		"a name of 253 characters":     check(validBroker(), func(o *EventBroker) { o.Name = strings.Repeat("a", 253) }),
		"a name of one digit":          check(validBroker(), func(o *EventBroker) { o.Name = "0" }),
		"a name of several parts":      check(validBroker(), func(o *EventBroker) { o.Name = "a.b-c.9" }),
		"a namespace of 63 characters": check(validBroker(), func(o *EventBroker) { o.Namespace = strings.Repeat("a", 63) }),
		"annotations of 256 KiB": check(validBroker(), func(o *EventBroker) {
			o.Annotations = map[string]string{"a": strings.Repeat("x", 256<<10-1)}
		}),

		"nodes by IPv4, IPv6 and name": broker(func(s *EventBrokerSpec) {
			s.Nodes = []BrokerNode{node("10.0.0.1:1", 0), node("[::1]:65535", 0), node("[fe80::1%eth0]:5672", 0), node("rabbit-0.rabbit.svc.cluster.local:5672", 0)}
		}),
		"priorities in any order": broker(func(s *EventBrokerSpec) {
			s.Nodes = []BrokerNode{node("a:1", 2), node("b:1", 0), node("c:1", 1), node("d:1", 2)}
		}),
		"one host with two ports":     broker(func(s *EventBrokerSpec) { s.Nodes = []BrokerNode{node("a:1", 0), node("a:2", 0)} }),
		"the shortest heartbeat":      broker(func(s *EventBrokerSpec) { s.Heartbeat = duration(time.Second) }),
		"the longest heartbeat":       broker(func(s *EventBrokerSpec) { s.Heartbeat = duration(10 * time.Minute) }),
		"a vhost of 255 bytes":        broker(func(s *EventBrokerSpec) { s.VHost = strings.Repeat("v", 255) }),
		"a vhost of another alphabet": broker(func(s *EventBrokerSpec) { s.VHost = "größe/ńü" }),

		"an exchange of 255 bytes":                      topic(func(s *EventTopicSpec) { s.Exchange.Name = strings.Repeat("x", 255) }),
		"an exchange that only looks like the broker's": topic(func(s *EventTopicSpec) { s.Exchange.Name = "amqp.orders" }),
		"a routing key of 255 bytes beside attributes":  topic(func(s *EventTopicSpec) { s.RoutingKey = "{type}" + strings.Repeat("x", 255) + "{subject}" }),
		"a routing key that is always the same":         topic(func(s *EventTopicSpec) { s.RoutingKey = "orders" }),
		"the shortest ttl":                              topic(func(s *EventTopicSpec) { s.Publish.TTL = duration(time.Millisecond) }),
		"the longest ttl":                               topic(func(s *EventTopicSpec) { s.Publish.TTL = duration(49 * 24 * time.Hour) }),
		"a confirm timeout of a nanosecond":             topic(func(s *EventTopicSpec) { s.Publish.ConfirmTimeout = duration(1) }),
		"100 headers":                                   topic(func(s *EventTopicSpec) { s.Publish.Headers = slices.Repeat([]string{"h"}, MaxHeaders) }),
		"no partitions at all":                          topic(func(s *EventTopicSpec) { s.Partitions = nil }),

		"two topics for one route":                check(validRoute(), func(r *EventRoute) { r.Spec.ParentRefs = []LocalRef{{Name: "a"}, {Name: "b"}} }),
		"a rule that keeps events on their topic": rule(func(r *RouteRule) { r.BackendRefs = nil }),
		"a rule without filters":                  rule(func(r *RouteRule) { r.Filters = nil }),
		"a backend that gets nothing, for now":    rule(func(r *RouteRule) { r.BackendRefs[1].Weight = new(int32(0)) }),
		"the largest weights": rule(func(r *RouteRule) {
			r.BackendRefs[0].Weight, r.BackendRefs[1].Weight = new(int32(MaxWeight)), new(int32(MaxWeight))
		}),
		"topics of one name in two namespaces": rule(func(r *RouteRule) { r.BackendRefs[1] = BackendRef{Name: "orders", Namespace: "billing"} }),
		"a try that may last as long as all":   rule(func(r *RouteRule) { r.Timeout, r.Retry.PerTryTimeout = duration(time.Second), duration(time.Second) }),
		"a backoff of a millisecond":           rule(func(r *RouteRule) { r.Retry.Backoff = &Backoff{duration(time.Millisecond), duration(time.Millisecond)} }),
		"one attempt, no matter after what":    rule(func(r *RouteRule) { r.Retry.Attempts = new(int32(1)) }),
		"rules that take a default's name":     check(validRoute(), func(r *EventRoute) { r.Spec.Rules = []RouteRule{{Name: "rule-1"}, {Name: "rule-0"}} }),
		"filters nested as deep as they may":   filter(bottom),
		"a filter on several attributes":       filter(Filter{Exact: map[string]string{"type": "a", "source": "/s", "0": " "}}),

		"a selector by expressions alone": subscription(func(s *EventSubscriptionSpec) {
			s.Selector = LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "app", Operator: "Exists"}}}
		}),
		"a queue whose dead letters just fit": subscription(func(s *EventSubscriptionSpec) {
			s.Queue.Name, s.Retry.Attempts = strings.Repeat("q", 250), new(int32(1))
		}),
		"a queue whose retries just fit": subscription(func(s *EventSubscriptionSpec) {
			s.Queue.Name, s.Retry.Backoff = strings.Repeat("q", 242), &Backoff{duration(time.Second), duration(time.Second)}
		}),
		"a long queue whose retries wait in it": subscription(func(s *EventSubscriptionSpec) {
			s.Queue.Name, s.Retry.Strategy = strings.Repeat("q", 250), RetryBrokerDelay
		}),
		"dead letters beside the queue": subscription(func(s *EventSubscriptionSpec) { s.Queue.Name, s.DeadLetter.Queue = "q", "q.dead.letters" }),
		"a delivery without push":       subscription(func(s *EventSubscriptionSpec) { s.Delivery = &Delivery{} }),
		"order with all it may have": ordered(func(s *EventSubscriptionSpec) {
			s.Retry.MaxElapsed, s.DeadLetter.KeyPolicy = duration(10*time.Minute), KeyHold
		}),
		"a long backoff in order, which needs no queue": ordered(func(s *EventSubscriptionSpec) {
			s.Retry.Attempts, s.Retry.Backoff = new(int32(MaxAttempts)), &Backoff{MaxInterval: duration(10000 * time.Hour)}
		}),
	} {
		if len(v.errs) > 0 {
			t.Errorf("%s: %v", name, v.errs)
		}
	}
}

// What people write who have not read the field's description.
func TestValidateRefusesWhatPeopleMistype(t *testing.T) {
	t.Parallel()
	address := func(text string) verdict { return broker(func(s *EventBrokerSpec) { s.Nodes[0].Address = text }) }
	memory := func(change func(*EventBrokerSpec)) verdict {
		return broker(func(s *EventBrokerSpec) { s.Type, s.Nodes = BrokerMemory, nil; change(s) })
	}
	requirement := func(r metav1.LabelSelectorRequirement) verdict {
		return subscription(func(s *EventSubscriptionSpec) { s.Selector.MatchExpressions = []metav1.LabelSelectorRequirement{r} })
	}
	for _, c := range []refusal{
		{"a URL for an address", "spec.nodes[0].address", `is "amqp://rabbit:5672": want host:port`, address("amqp://rabbit:5672")},
		{"an IPv6 address without brackets", "spec.nodes[0].address", `is "::1:5672": want host:port`, address("::1:5672")},
		{"a port without a host", "spec.nodes[0].address", `is ":5672": want host:port`, address(":5672")},
		{"brackets around nothing", "spec.nodes[0].address", `is "[]:5672": want host:port`, address("[]:5672")},
		{"no address", "spec.nodes[0].address", `is "": want host:port`, address("")},
		{"a port by name", "spec.nodes[0].address", "not a number from 1 to 65535", address("rabbit:amqp")},
		{"a port out of range", "spec.nodes[0].address", "not a number from 1 to 65535", address("rabbit:65536")},
		{"a negative port", "spec.nodes[0].address", "not a number from 1 to 65535", address("rabbit:-1")},
		{"an empty port", "spec.nodes[0].address", "not a number from 1 to 65535", address("rabbit:")},
		{"a blank in a host", "spec.nodes[0].address", `is "rabbit 0:5672"`, address("rabbit 0:5672")},
		{"a line break in a host", "spec.nodes[0].address", `is "rabbit\n:5672"`, address("rabbit\n:5672")},
		{"a zone that is no name", "spec.nodes[0].zone", `is "eu_west": want an RFC 1123 name`, broker(func(s *EventBrokerSpec) { s.Nodes[0].Zone = "eu_west" })},
		{"a heartbeat of a second and a half", "spec.heartbeat", "is 1.5s: want whole seconds", broker(func(s *EventBrokerSpec) { s.Heartbeat = duration(1500 * time.Millisecond) })},
		{"no heartbeat", "spec.heartbeat", "is 0s: want whole seconds", broker(func(s *EventBrokerSpec) { s.Heartbeat = duration(0) })},
		{"a negative heartbeat", "spec.heartbeat", "is -1s: want whole seconds", broker(func(s *EventBrokerSpec) { s.Heartbeat = duration(-time.Second) })},
		{"a heartbeat that is too long", "spec.heartbeat", "is 10m1s: want whole seconds from 1s to 10m", broker(func(s *EventBrokerSpec) { s.Heartbeat = duration(10*time.Minute + time.Second) })},
		{"a vhost with a tab", "spec.vhost", `is "/\tprod": it must not contain control characters`, broker(func(s *EventBrokerSpec) { s.VHost = "/\tprod" })},
		{"a vhost that is too long", "spec.vhost", "has 256 bytes: AMQP allows 255", broker(func(s *EventBrokerSpec) { s.VHost = strings.Repeat("ö", 128) })},
		{"a vhost of a memory broker", "spec.vhost", "inside one process", memory(func(s *EventBrokerSpec) { s.VHost = "/" })},
		{"credentials of a memory broker", "spec.credentials", "inside one process", memory(func(s *EventBrokerSpec) { s.Credentials = &CredentialsRef{Name: "c"} })},
		{"a heartbeat of a memory broker", "spec.heartbeat", "inside one process", memory(func(s *EventBrokerSpec) { s.Heartbeat = duration(time.Second) })},

		{"a ttl of a fraction of a millisecond", "spec.publish.ttl", "is 1.5ms: want whole milliseconds", topic(func(s *EventTopicSpec) { s.Publish.TTL = duration(1500 * time.Microsecond) })},
		{"a ttl beyond 32 bits of milliseconds", "spec.publish.ttl", "from 1ms to 1176h", topic(func(s *EventTopicSpec) { s.Publish.TTL = duration(49*24*time.Hour + time.Millisecond) })},
		{"a ttl of 0 for none", "spec.publish.ttl", "leave it out for no expiration", topic(func(s *EventTopicSpec) { s.Publish.TTL = duration(0) })},
		{"a negative confirm timeout", "spec.publish.confirmTimeout", "is -2s: want a duration longer than 0", topic(func(s *EventTopicSpec) { s.Publish.ConfirmTimeout = duration(-2 * time.Second) })},
		{"a misspelt exchange type", "spec.exchange.type", `is "Topic": want one of topic, direct, fanout, headers (did you mean "topic"?)`, topic(func(s *EventTopicSpec) { s.Exchange.Type = "Topic" })},
		{"two topics in one reference", "spec.brokerRef.name", `is "shop/main": want an RFC 1123 name`, topic(func(s *EventTopicSpec) { s.BrokerRef.Name = "shop/main" })},
		{"a kind in lower case", "spec.brokerRef.kind", `is "eventbroker": want EventBroker (did you mean "EventBroker"?)`, topic(func(s *EventTopicSpec) { s.BrokerRef.Kind = "eventbroker" })},
		{"a negative number of partitions", "spec.partitions.count", "is -1: want 1 to 1024", topic(func(s *EventTopicSpec) { s.Partitions.Count = -1 })},

		{"a weight that is too large", "spec.rules[0].backendRefs[0].weight", "is 1000001: want 0 to 1000000", rule(func(r *RouteRule) { r.BackendRefs[0].Weight = new(int32(MaxWeight + 1)) })},
		{"a backend without a name", "spec.rules[0].backendRefs[0].name", "is missing: name the EventTopic", rule(func(r *RouteRule) { r.BackendRefs[0].Name = "" })},
		{"a backend of another kind", "spec.rules[0].backendRefs[0].kind", `is "Service": want EventTopic`, rule(func(r *RouteRule) { r.BackendRefs[0].Kind = "Service" })},
		{"a rule named like a sentence", "spec.rules[0].name", `is "EU orders": want an RFC 1123 name`, rule(func(r *RouteRule) { r.Name = "EU orders" })},
		{"a negative timeout", "spec.rules[0].timeout", "is -1s: want a duration longer than 0", rule(func(r *RouteRule) { r.Timeout = duration(-time.Second) })},
		{"a try of no time", "spec.rules[0].retry.perTryTimeout", "is 0s: want a duration longer than 0", rule(func(r *RouteRule) { r.Retry.PerTryTimeout = duration(0) })},
		{"a filter on an attribute in capitals", "spec.rules[0].filters[0].exact[Type]", `"Type" is not the name of a CloudEvents attribute`, filter(Filter{Exact: map[string]string{"Type": "a"}})},
		{"a filter on an attribute without a name", "spec.rules[0].filters[0].prefix[]", `"" is not the name of a CloudEvents attribute`, filter(Filter{Prefix: map[string]string{"": "a"}})},
		{"three dialects at once", "spec.rules[0].filters[0]", "but exact and any and not are set", filter(Filter{
			Exact: map[string]string{"type": "a"}, Any: []Filter{{Exact: map[string]string{"type": "a"}}}, Not: &Filter{Exact: map[string]string{"type": "a"}},
		})},

		{"an operator in lower case", "spec.selector.matchExpressions[0].operator", "not a valid selector operator", requirement(metav1.LabelSelectorRequirement{Key: "app", Operator: "in", Values: []string{"a"}})},
		{"an operator without values", "spec.selector.matchExpressions[0].values", "must be specified when `operator` is 'In' or 'NotIn'", requirement(metav1.LabelSelectorRequirement{Key: "app", Operator: "In"})},
		{"values of a label that need only exist", "spec.selector.matchExpressions[0].values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'", requirement(metav1.LabelSelectorRequirement{Key: "app", Operator: "Exists", Values: []string{"a"}})},
		{"a label with a blank", "spec.selector.matchExpressions[0].key", "name part must consist of", requirement(metav1.LabelSelectorRequirement{Key: "my app", Operator: "Exists"})},
		{"a label's value with a blank", "spec.selector.matchLabels", "a valid label must be", subscription(func(s *EventSubscriptionSpec) { s.Selector.MatchLabels = map[string]string{"app": "my app"} })},
		{"a queue without printable name", "spec.queue.name", "it must not contain control characters", subscription(func(s *EventSubscriptionSpec) { s.Queue.Name, s.DeadLetter.Queue = "q\x00", "d" })},
		{"dead letters with the broker's name", "spec.deadLetter.queue", `start with "amq."`, subscription(func(s *EventSubscriptionSpec) { s.DeadLetter.Queue = "amq.dead" })},
		{"a push to a port out of range", "spec.delivery.push.port", "is 65536: want 1 to 65535", subscription(func(s *EventSubscriptionSpec) { s.Delivery = &Delivery{Push: &Push{Port: 65536}} })},
		{"a dedupe memory that is too large", "spec.dedupe.maxEntries", "is 10000001: want 1 to 10000000", subscription(func(s *EventSubscriptionSpec) { s.Dedupe.MaxEntries = new(int32(MaxDedupeEntries + 1)) })},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			expectOne(t, c.errs, c.path, c.message)
			if len(c.errs) == 1 && c.errs[0].Kind != Invalid {
				t.Errorf("kind is %v", c.errs[0].Kind)
			}
		})
	}
}

// Errors come in the order of the fields, and those of a map in the order of its keys:
// two runs over the same files say the same.
func TestValidateReportsInAFixedOrder(t *testing.T) {
	t.Parallel()
	bad := map[string]string{"Z": "", "a-b": "x", "A": "x", "type": ""}
	want := []string{
		"spec.rules[0].filters[0].all[0].exact[A]", "spec.rules[0].filters[0].all[0].exact[Z]", "spec.rules[0].filters[0].all[0].exact[Z]",
		"spec.rules[0].filters[0].all[0].exact[a-b]", "spec.rules[0].filters[0].all[0].exact[type]", "spec.rules[0].filters[0].all[1]",
		"spec.rules[0].backendRefs[1].weight", "spec.rules[0].timeout", "spec.rules[0].retry.attempts",
	}
	for range 20 {
		errs := rule(func(r *RouteRule) {
			r.Filters = []Filter{{All: []Filter{{Exact: bad}, {}}}}
			r.BackendRefs[1].Weight, r.Timeout, r.Retry.Attempts = new(int32(-1)), duration(0), new(int32(0))
		}).errs
		var paths []string
		for _, e := range errs {
			paths = append(paths, e.Path)
		}
		if !slices.Equal(paths, want) {
			t.Fatalf("got %q, want %q", paths, want)
		}
	}
}

func TestValidateChangesNothingAndSaysTheSameTwice(t *testing.T) {
	t.Parallel()
	for _, c := range slices.Concat(refusals(), later()) {
		before := copyOf(t, c.obj)
		again := Validate(c.obj)
		if !reflect.DeepEqual(again, c.errs) {
			t.Errorf("%s: first %v, then %v", c.name, c.errs, again)
		}
		if !reflect.DeepEqual(copyOf(t, c.obj), before) {
			t.Errorf("%s: the object is another one now", c.name)
		}
	}
}

// An object that lacks what Default fills in is refused where it lacks it. It never
// makes the control plane fail.
func TestValidateCopesWithAnObjectThatIsEmpty(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string][]string{
		KindEventBroker:       {"metadata.name", "metadata.namespace", "spec.type", "spec.topology", "spec.nodes"},
		KindEventTopic:        {"metadata.name", "metadata.namespace", "spec.brokerRef.kind", "spec.brokerRef.name", "spec.brokerRef.namespace"},
		KindEventRoute:        {"metadata.name", "metadata.namespace", "spec.parentRefs", "spec.rules"},
		KindEventSubscription: {"metadata.name", "metadata.namespace", "spec.topicRef.kind", "spec.topicRef.name", "spec.topicRef.namespace", "spec.selector", "spec.ordering", "spec.contentEncoding"},
		KindEventPolicy:       {"metadata.name", "metadata.namespace", "kind"},
	} {
		obj, _ := New(kind)
		var paths []string
		for _, e := range Validate(obj) {
			paths = append(paths, e.Path)
		}
		if !slices.Equal(paths, want) {
			t.Errorf("%s: %q, want %q", kind, paths, want)
		}
	}
}

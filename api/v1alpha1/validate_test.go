package v1alpha1

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func duration(d time.Duration) *Duration { return &Duration{Duration: d} }

func validBroker() *EventBroker {
	return &EventBroker{
		ObjectMeta: ObjectMeta{Name: "main", Namespace: "shop"},
		Spec:       EventBrokerSpec{Nodes: []BrokerNode{{Address: "127.0.0.1:5672"}}},
	}
}

func validTopic() *EventTopic {
	return &EventTopic{
		ObjectMeta: ObjectMeta{Name: "orders", Namespace: "shop"},
		Spec:       EventTopicSpec{BrokerRef: LocalRef{Name: "main"}, Publish: &PublishSettings{}, Exchange: &Exchange{}, Partitions: &Partitions{Count: 8}},
	}
}

func validRoute() *EventRoute {
	return &EventRoute{
		ObjectMeta: ObjectMeta{Name: "canary", Namespace: "shop"},
		Spec: EventRouteSpec{
			ParentRefs: []LocalRef{{Name: "orders"}},
			Rules: []RouteRule{{
				Filters:     []Filter{{Prefix: map[string]string{"type": "com.shop."}}},
				BackendRefs: []BackendRef{{Name: "orders"}, {Name: "orders-next"}},
				Retry:       &RouteRetry{},
			}},
		},
	}
}

func validSubscription() *EventSubscription {
	return &EventSubscription{
		ObjectMeta: ObjectMeta{Name: "billing", Namespace: "shop"},
		Spec: EventSubscriptionSpec{
			TopicRef: LocalRef{Name: "orders"},
			Selector: LabelSelector{MatchLabels: map[string]string{"app": "billing"}},
			Queue:    &Queue{}, Retry: &SubscriptionRetry{}, DeadLetter: &DeadLetter{}, Dedupe: &Dedupe{},
		},
	}
}

// verdict is an object with the errors that Validate returns for it.
type verdict struct {
	obj  Object
	errs []FieldError
}

// check applies change and the defaults to obj, then validates it.
func check[T Object](obj T, change func(T)) verdict {
	change(obj)
	Default(obj)
	return verdict{obj, Validate(obj)}
}

func TestValidateAcceptsWhatIsComplete(t *testing.T) {
	t.Parallel()
	for _, obj := range []Object{validBroker(), validTopic(), validRoute(), validSubscription(),
		&EventBroker{ObjectMeta: ObjectMeta{Name: "m"}, Spec: EventBrokerSpec{Type: BrokerMemory}}} {
		if errs := check(obj, func(Object) {}).errs; len(errs) > 0 {
			t.Errorf("%s: unexpected errors %v", NameOf(obj), errs)
		}
	}
}

func broker(change func(*EventBrokerSpec)) verdict {
	return check(validBroker(), func(b *EventBroker) { change(&b.Spec) })
}

func topic(change func(*EventTopicSpec)) verdict {
	return check(validTopic(), func(t *EventTopic) { change(&t.Spec) })
}

func rule(change func(*RouteRule)) verdict {
	return check(validRoute(), func(r *EventRoute) { change(&r.Spec.Rules[0]) })
}

func filter(f Filter) verdict {
	return rule(func(r *RouteRule) { r.Filters = []Filter{f} })
}

func subscription(change func(*EventSubscriptionSpec)) verdict {
	return check(validSubscription(), func(s *EventSubscription) { change(&s.Spec) })
}

func ordered(change func(*EventSubscriptionSpec)) verdict {
	return subscription(func(s *EventSubscriptionSpec) { s.Ordering = OrderingPerKey; change(s) })
}

// refusal is an object that Validate refuses, for one reason.
type refusal struct {
	name, path, message string
	verdict
}

func refusals() []refusal {
	deep := Filter{Exact: map[string]string{"type": "a"}}
	for range maxFilterDepth {
		deep = Filter{Not: &Filter{All: []Filter{deep}}}
	}
	return []refusal{
		{"an object without a name", "metadata.name", "is missing", check(validTopic(), func(o *EventTopic) { o.Name = ""; o.Spec.Exchange.Name = "x" })},
		{"a name that is not RFC 1123", "metadata.name", "want an RFC 1123 name", check(validTopic(), func(o *EventTopic) { o.Name = "Orders" })},
		{"a namespace with a dot", "metadata.namespace", "want an RFC 1123 label", check(validBroker(), func(o *EventBroker) { o.Namespace = "a.b" })},
		{"annotations of more than Kubernetes takes", "metadata.annotations", "more than 256 KiB together", check(validBroker(), func(o *EventBroker) {
			o.Annotations = map[string]string{"a": strings.Repeat("x", 200<<10), "b": strings.Repeat("y", 60<<10)}
		})},

		{"an unknown broker type", "spec.type", `is "rabbitmq": want RabbitMQ or Memory (did you mean "RabbitMQ"?)`, broker(func(s *EventBrokerSpec) { s.Type = "rabbitmq" })},
		{"a RabbitMQ without nodes", "spec.nodes", "needs at least one node", broker(func(s *EventBrokerSpec) { s.Nodes = nil })},
		{"a node without a port", "spec.nodes[0].address", "want host:port", broker(func(s *EventBrokerSpec) { s.Nodes[0].Address = "rabbit" })},
		{"a node with port 0", "spec.nodes[0].address", "not a number from 1 to 65535", broker(func(s *EventBrokerSpec) { s.Nodes[0].Address = "rabbit:0" })},
		{"a node named twice", "spec.nodes[1].address", "as that of nodes[0] is", broker(func(s *EventBrokerSpec) { s.Nodes = append(s.Nodes, s.Nodes[0]) })},
		{"a gap in priorities", "spec.nodes[0].priority", "leave no gap", broker(func(s *EventBrokerSpec) { s.Nodes[0].Priority = 1 })},
		{"a negative priority", "spec.nodes[0].priority", "want 0 to 128", broker(func(s *EventBrokerSpec) { s.Nodes[0].Priority = -1 })},
		{"a heartbeat below a second", "spec.heartbeat", "want whole seconds from 1s to 10m", broker(func(s *EventBrokerSpec) { s.Heartbeat = duration(time.Millisecond) })},
		{"an unknown topology", "spec.topology", "want one of Manage, Verify, Ignore", broker(func(s *EventBrokerSpec) { s.Topology = "Own" })},
		{"credentials without a name", "spec.credentials.name", "RFC 1123", broker(func(s *EventBrokerSpec) { s.Credentials = &CredentialsRef{} })},
		{"a memory broker that others manage", "spec.topology", "nobody else can declare anything", broker(func(s *EventBrokerSpec) { s.Type, s.Nodes, s.Topology = BrokerMemory, nil, TopologyVerify })},
		{"a memory broker that nobody manages", "spec.topology", "nobody else can declare anything", broker(func(s *EventBrokerSpec) { s.Type, s.Nodes, s.Topology = BrokerMemory, nil, TopologyIgnore })},
		{"nodes of a memory broker", "spec.nodes", "inside one process", broker(func(s *EventBrokerSpec) { s.Type = BrokerMemory })},

		{"a reference without a name", "spec.brokerRef.name", "name the EventBroker", topic(func(s *EventTopicSpec) { s.BrokerRef.Name = "" })},
		{"a reference to another kind", "spec.brokerRef.kind", "want EventBroker", topic(func(s *EventTopicSpec) { s.BrokerRef.Kind = KindEventTopic })},
		{"an exchange of the broker's", "spec.exchange.name", `start with "amq."`, topic(func(s *EventTopicSpec) { s.Exchange.Name = "amq.topic" })},
		{"an exchange name that is too long", "spec.exchange.name", "AMQP allows 255", topic(func(s *EventTopicSpec) { s.Exchange.Name = strings.Repeat("x", 256) })},
		{"an unknown exchange type", "spec.exchange.type", "want one of topic, direct, fanout, headers", topic(func(s *EventTopicSpec) { s.Exchange.Type = "x-consistent-hash" })},
		{"an open template", "spec.routingKey", "'{' without '}'", topic(func(s *EventTopicSpec) { s.RoutingKey = "{type" })},
		{"a template of no attribute", "spec.routingKey", "not an attribute name", topic(func(s *EventTopicSpec) { s.RoutingKey = "{Type}" })},
		{"a template that is too long", "spec.routingKey", "at most 255", topic(func(s *EventTopicSpec) { s.RoutingKey = strings.Repeat("x", 256) })},
		{"a confirm timeout of 0", "spec.publish.confirmTimeout", "longer than 0", topic(func(s *EventTopicSpec) { s.Publish.ConfirmTimeout = duration(0) })},
		{"a message priority of 10", "spec.publish.priority", "want 0 to 9", topic(func(s *EventTopicSpec) { s.Publish.Priority = 10 })},
		{"an event limit of 0", "spec.publish.maxEventBytes", "want 1 to 16777216", topic(func(s *EventTopicSpec) { s.Publish.MaxEventBytes = new(int32(0)) })},
		{"an event limit above 16 MiB", "spec.publish.maxEventBytes", "want 1 to 16777216", topic(func(s *EventTopicSpec) { s.Publish.MaxEventBytes = new(int32(16<<20 + 1)) })},
		{"a ttl below a millisecond", "spec.publish.ttl", "whole milliseconds", topic(func(s *EventTopicSpec) { s.Publish.TTL = duration(time.Microsecond) })},

		{"a header that is an attribute", "spec.publish.headers[1]", `"ce-id" is reserved`, topic(func(s *EventTopicSpec) { s.Publish.Headers = []string{"tenant", "ce-id"} })},
		{"all headers of the broker", "spec.publish.headers[0]", `"x-*" is reserved`, topic(func(s *EventTopicSpec) { s.Publish.Headers = []string{"x-*"} })},
		{"a header without a name", "spec.publish.headers[0]", "is empty", topic(func(s *EventTopicSpec) { s.Publish.Headers = []string{""} })},
		{"a header with * in it", "spec.publish.headers[0]", "want * at the end only", topic(func(s *EventTopicSpec) { s.Publish.Headers = []string{"a*b"} })},
		{"101 headers", "spec.publish.headers", "want at most 100", topic(func(s *EventTopicSpec) { s.Publish.Headers = slices.Repeat([]string{"h"}, 101) })},

		{"no partitions", "spec.partitions.count", "want 1 to 1024", topic(func(s *EventTopicSpec) { s.Partitions.Count = 0 })},
		{"1025 partitions", "spec.partitions.count", "want 1 to 1024", topic(func(s *EventTopicSpec) { s.Partitions.Count = 1025 })},
		{"a key that is no attribute", "spec.partitions.key", "not the name of a CloudEvents attribute", topic(func(s *EventTopicSpec) { s.Partitions.Key = "order-id" })},
		{"the data as the key", "spec.partitions.key", "not the name of a CloudEvents attribute", topic(func(s *EventTopicSpec) { s.Partitions.Key = "data" })},

		{"a route without parents", "spec.parentRefs", "is empty", check(validRoute(), func(r *EventRoute) { r.Spec.ParentRefs = nil })},
		{"a parent of another namespace", "spec.parentRefs[0].namespace", `own namespace "shop"`, check(validRoute(), func(r *EventRoute) { r.Spec.ParentRefs[0].Namespace = "billing" })},
		{"a parent named twice", "spec.parentRefs[1]", "repeats parentRefs[0]", check(validRoute(), func(r *EventRoute) { r.Spec.ParentRefs = append(r.Spec.ParentRefs, r.Spec.ParentRefs[0]) })},
		{"a route without rules", "spec.rules", "needs at least one rule", check(validRoute(), func(r *EventRoute) { r.Spec.Rules = nil })},
		{"two rules of one name", "spec.rules[1].name", "unique within a route", check(validRoute(), func(r *EventRoute) { r.Spec.Rules = []RouteRule{{Name: "a"}, {Name: "a"}} })},
		{"a negative weight", "spec.rules[0].backendRefs[1].weight", "is -1: want 0 to 1000000", rule(func(r *RouteRule) { r.BackendRefs[1].Weight = new(int32(-1)) })},
		{"weights that sum to 0", "spec.rules[0].backendRefs", "sum to 0", rule(func(r *RouteRule) { r.BackendRefs = []BackendRef{{Name: "a", Weight: new(int32(0))}} })},
		{"a backend named twice", "spec.rules[0].backendRefs[1].name", "add the weights", rule(func(r *RouteRule) { r.BackendRefs[1].Name = "orders" })},
		{"an empty list of backends", "spec.rules[0].backendRefs", "is an empty list", rule(func(r *RouteRule) { r.BackendRefs = []BackendRef{} })},
		{"a timeout of 0", "spec.rules[0].timeout", "longer than 0", rule(func(r *RouteRule) { r.Timeout = duration(0) })},
		{"no attempts", "spec.rules[0].retry.attempts", "want 1 to 100", rule(func(r *RouteRule) { r.Retry.Attempts = new(int32(0)) })},
		{"an unknown retry condition", "spec.rules[0].retry.on[0]", `did you mean "nack"`, rule(func(r *RouteRule) { r.Retry.On = []string{"nak"} })},
		{"a retry condition named twice", "spec.rules[0].retry.on[1]", "repeats on[0]", rule(func(r *RouteRule) { r.Retry.On = []string{"nack", "nack"} })},
		{"an empty list of conditions", "spec.rules[0].retry.on", "is an empty list", rule(func(r *RouteRule) { r.Retry.On = []string{} })},
		{"a try that outlasts the timeout", "spec.rules[0].retry.perTryTimeout", "outlast", rule(func(r *RouteRule) { r.Timeout, r.Retry.PerTryTimeout = duration(1), duration(2) })},
		{"a backoff that shrinks", "spec.rules[0].retry.backoff.maxInterval", "shorter than baseInterval", rule(func(r *RouteRule) { r.Retry.Backoff = &Backoff{duration(2 * time.Second), duration(time.Second)} })},
		{"a backoff below a millisecond", "spec.rules[0].retry.backoff.baseInterval", "at least 1ms", rule(func(r *RouteRule) { r.Retry.Backoff = &Backoff{BaseInterval: duration(1)} })},

		{"a filter without a dialect", "spec.rules[0].filters[0]", "but none is set", filter(Filter{})},
		{"a filter of two dialects", "spec.rules[0].filters[0]", "but exact and prefix are set", filter(Filter{Exact: map[string]string{"type": "a"}, Prefix: map[string]string{"type": "a"}})},
		{"a filter without attributes", "spec.rules[0].filters[0].exact", "at least one attribute", filter(Filter{Exact: map[string]string{}})},
		{"a filter on no attribute", "spec.rules[0].filters[0].suffix[my-key]", "not the name of a CloudEvents attribute", filter(Filter{Suffix: map[string]string{"my-key": "a"}})},
		{"a filter on the data", "spec.rules[0].filters[0].exact[data]", "not the name of a CloudEvents attribute", filter(Filter{Exact: map[string]string{"data": "a"}})},
		{"a filter with an empty value", "spec.rules[0].filters[0].exact[type]", "is empty", filter(Filter{Exact: map[string]string{"type": ""}})},
		{"an empty list of filters", "spec.rules[0].filters[0].any", "is an empty list", filter(Filter{Any: []Filter{}})},
		{"a bad filter inside others", "spec.rules[0].filters[0].all[0].not.exact[type]", "is empty", filter(Filter{All: []Filter{{Not: &Filter{Exact: map[string]string{"type": ""}}}}})},
		{"filters without a bottom", "spec.rules[0].filters[0]" + strings.Repeat(".not.all[0]", 8), "nested deeper", filter(deep)},

		{"an empty selector", "spec.selector", "is empty", subscription(func(s *EventSubscriptionSpec) { s.Selector = LabelSelector{} })},
		{"a selector with a bad operator", "spec.selector.matchExpressions[0].operator", "not a valid selector operator", subscription(func(s *EventSubscriptionSpec) {
			s.Selector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Is"}}
		})},
		{"a push to port 0", "spec.delivery.push.port", "want 1 to 65535", subscription(func(s *EventSubscriptionSpec) { s.Delivery = &Delivery{Push: &Push{}} })},
		{"a prefetch of 0", "spec.queue.prefetch", "want 1 to 65535", subscription(func(s *EventSubscriptionSpec) { s.Queue.Prefetch = new(int32(0)) })},
		{"a prefetch of 65536", "spec.queue.prefetch", "want 1 to 65535", subscription(func(s *EventSubscriptionSpec) { s.Queue.Prefetch = new(int32(65536)) })},
		{"an unknown queue type", "spec.queue.type", "want quorum or classic", subscription(func(s *EventSubscriptionSpec) { s.Queue.Type = "stream" })},
		{"a queue of the broker's", "spec.queue.name", `start with "amq."`, subscription(func(s *EventSubscriptionSpec) { s.Queue.Name, s.DeadLetter.Queue = "amq.gen", "dead" })},
		{"an unknown ordering", "spec.ordering", "want None or PerKey", subscription(func(s *EventSubscriptionSpec) { s.Ordering = "Total" })},
		{"a push port of 0", "spec.delivery.push.port", "want 1 to 65535", subscription(func(s *EventSubscriptionSpec) { s.Delivery = &Delivery{Push: &Push{}} })},
		{"an ack deadline that is too short", "spec.ackDeadline", "want 1s to 15m", subscription(func(s *EventSubscriptionSpec) { s.AckDeadline = duration(time.Millisecond) })},
		{"a queue name that leaves no room for the dead letters", "spec.queue.name", `dead letters is named after it, with ".dead" at the end, and AMQP allows 255: want at most 250`, subscription(func(s *EventSubscriptionSpec) {
			s.Queue.Name, s.Retry.Attempts = strings.Repeat("x", 251), new(int32(1))
			s.DeadLetter.Queue = "d"
		})},
		{"a queue name that leaves no room for the retries", "spec.queue.name", `has 243 bytes, and the queue of its retries is named after it, with ".retry.1000ms" at the end, and AMQP allows 255: want at most 242`, subscription(func(s *EventSubscriptionSpec) {
			s.Queue.Name, s.DeadLetter.Queue = strings.Repeat("x", 243), strings.Repeat("x", 243)+".dead"
			s.Retry.Backoff = &Backoff{BaseInterval: duration(time.Second), MaxInterval: duration(time.Second)}
		})},
		{"a queue name whose dead letters are too long as well", "spec.queue.name", "want at most 250", subscription(func(s *EventSubscriptionSpec) {
			s.Queue.Name, s.DeadLetter.Queue, s.Retry.Attempts = strings.Repeat("x", 255), strings.Repeat("x", 255)+".dead", new(int32(1))
		})},
		{"an ack deadline that is too long", "spec.ackDeadline", "want 1s to 15m", subscription(func(s *EventSubscriptionSpec) { s.AckDeadline = duration(16 * time.Minute) })},
		{"101 attempts", "spec.retry.attempts", "want 1 to 100", subscription(func(s *EventSubscriptionSpec) { s.Retry.Attempts = new(int32(101)) })},
		{"a prefetch of 1023 bytes", "spec.queue.prefetchBytes", "want 1024 to", subscription(func(s *EventSubscriptionSpec) { s.Queue.PrefetchBytes = new(int64(1023)) })},
		{"an unknown retry strategy", "spec.retry.strategy", "want DelayQueues", subscription(func(s *EventSubscriptionSpec) { s.Retry.Strategy = "Sleep" })},
		{"a bound of retries without order", "spec.retry.maxElapsed", "remove it, or set ordering PerKey", subscription(func(s *EventSubscriptionSpec) { s.Retry.MaxElapsed = duration(time.Minute) })},
		{"a bound of retries that is too short", "spec.retry.maxElapsed", "want 1s to 10m", ordered(func(s *EventSubscriptionSpec) { s.Retry.MaxElapsed = duration(time.Millisecond) })},
		{"a bound of retries that is too long", "spec.retry.maxElapsed", "want 1s to 10m", ordered(func(s *EventSubscriptionSpec) { s.Retry.MaxElapsed = duration(11 * time.Minute) })},
		{"delays by the broker with order", "spec.retry.strategy", "with ordering PerKey an event waits in the sidecar", ordered(func(s *EventSubscriptionSpec) { s.Retry.Strategy = RetryBrokerDelay })},
		{"an unknown strategy", "spec.retry.strategy", "want DelayQueues or BrokerDelay", subscription(func(s *EventSubscriptionSpec) { s.Retry.Strategy = "x" })},
		{"a key policy without order", "spec.deadLetter.keyPolicy", "remove it, or set ordering PerKey", subscription(func(s *EventSubscriptionSpec) { s.DeadLetter.KeyPolicy = KeyContinue })},
		{"an unknown key policy", "spec.deadLetter.keyPolicy", "want Continue or Hold", ordered(func(s *EventSubscriptionSpec) { s.DeadLetter.KeyPolicy = "Stop" })},
		{"an unknown treatment of encodings", "spec.contentEncoding", `did you mean "Decode"`, subscription(func(s *EventSubscriptionSpec) { s.ContentEncoding = "decode" })},
		{"a retry that waits longer than a queue may", "spec.retry.backoff.maxInterval", "makes retries wait 1176h0m0.001s in a queue: want at most 1176h", subscription(func(s *EventSubscriptionSpec) {
			s.Retry.Attempts = new(int32(100))
			s.Retry.Backoff = &Backoff{MaxInterval: duration(maxTTL + time.Millisecond)}
		})},
		{"a first retry that waits longer than a queue may", "spec.retry.backoff.baseInterval", "makes retries wait 1177h in a queue: want at most 1176h", subscription(func(s *EventSubscriptionSpec) {
			s.Retry.Backoff = &Backoff{BaseInterval: duration(1177 * time.Hour)}
		})},
		{"a dedupe window that is too short", "spec.dedupe.window", "want 1s to 24h", subscription(func(s *EventSubscriptionSpec) { s.Dedupe.Window = duration(time.Millisecond) })},
		{"a dedupe window that is too long", "spec.dedupe.window", "want 1s to 24h", subscription(func(s *EventSubscriptionSpec) { s.Dedupe.Window = duration(25 * time.Hour) })},
		{"a dedupe memory of nothing", "spec.dedupe.maxEntries", "want 1 to 10000000", subscription(func(s *EventSubscriptionSpec) { s.Dedupe.MaxEntries = new(int32(0)) })},
		{"dead letters in the own queue", "spec.deadLetter.queue", "need another one", subscription(func(s *EventSubscriptionSpec) { s.DeadLetter.Queue = "shop.billing" })},
	}
}

func TestValidateRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range refusals() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			expectOne(t, c.errs, c.path, c.message)
		})
	}
}

// later lists objects that use features of a later version.
func later() []refusal {
	return []refusal{
		{"kind", "kind", "not supported yet", check(&EventPolicy{ObjectMeta: ObjectMeta{Name: "p"}}, func(*EventPolicy) {})},
		{"spec.tls", "spec.tls", "not supported yet", broker(func(s *EventBrokerSpec) { s.TLS = &BrokerTLS{} })},
		{"spec.serviceRef", "spec.serviceRef", "not supported yet", broker(func(s *EventBrokerSpec) { s.ServiceRef, s.Nodes = &LocalRef{}, nil })},
		{"spec.rules[0].mirror", "spec.rules[0].mirror", "not supported yet", rule(func(r *RouteRule) { r.Mirror = &Mirror{} })},
		{"spec.rules[0].transform", "spec.rules[0].transform", "not supported yet", rule(func(r *RouteRule) { r.Transform = &Transform{} })},
		{"spec.rules[0].fault", "spec.rules[0].fault", "not supported yet", rule(func(r *RouteRule) { r.Fault = &Fault{} })},
		{"spec.rules[0].rateLimit", "spec.rules[0].rateLimit", "not supported yet", rule(func(r *RouteRule) { r.RateLimit = &RateLimit{} })},
		{"spec.rules[0].filters[0].cesql", "spec.rules[0].filters[0].cesql", "not supported yet", filter(Filter{CESQL: "TRUE"})},
	}
}

func TestValidateSaysWhatIsNotSupportedYet(t *testing.T) {
	t.Parallel()
	for _, c := range later() {
		t.Run(c.path, func(t *testing.T) {
			t.Parallel()
			expectOne(t, c.errs, c.path, c.message)
			if c.errs[0].Kind != Unsupported {
				t.Errorf("kind is %v, want %v", c.errs[0].Kind, Unsupported)
			}
		})
	}
}

func expectOne(t *testing.T, errs []FieldError, path, message string) {
	t.Helper()
	if len(errs) != 1 {
		t.Fatalf("got %d errors %v, want exactly one at %s", len(errs), errs, path)
	}
	if errs[0].Path != path || !strings.Contains(errs[0].Message, message) {
		t.Errorf("got %q, want path %q and a message with %q", errs[0].Error(), path, message)
	}
}

func TestValidateReportsAllProblemsAtOnce(t *testing.T) {
	t.Parallel()
	errs := check(validSubscription(), func(s *EventSubscription) {
		s.Name, s.Spec.TopicRef.Name, s.Spec.Queue.Name = "A", "B", "q"
		s.Spec.Queue.Prefetch = new(int32(-1))
	}).errs
	var paths []string
	for _, e := range errs {
		paths = append(paths, e.Path)
	}
	if want := []string{"metadata.name", "spec.topicRef.name", "spec.queue.prefetch"}; !reflect.DeepEqual(paths, want) {
		t.Errorf("got %v, want %v", paths, want)
	}
}

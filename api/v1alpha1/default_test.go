package v1alpha1

import (
	"reflect"
	"testing"
	"time"
)

func TestDefaultFillsInWhatIsLeftOut(t *testing.T) {
	t.Parallel()
	b := &EventBroker{Spec: EventBrokerSpec{Nodes: []BrokerNode{{Address: "a:1"}}}}
	Default(b)
	want := EventBrokerSpec{
		Type: "RabbitMQ", VHost: "/", Topology: "Manage", Heartbeat: duration(10 * time.Second),
		Nodes: []BrokerNode{{Address: "a:1", Zone: "default"}},
	}
	if !reflect.DeepEqual(b.Spec, want) || b.Namespace != "default" {
		t.Errorf("broker: got %+v in %q, want %+v", b.Spec, b.Namespace, want)
	}

	topic := &EventTopic{ObjectMeta: ObjectMeta{Name: "orders", Namespace: "shop"}}
	Default(topic)
	wantTopic := EventTopicSpec{
		BrokerRef: LocalRef{Kind: "EventBroker", Namespace: "shop"}, Exchange: &Exchange{Name: "orders", Type: "topic"}, RoutingKey: "{type}",
		Publish: &PublishSettings{ConfirmTimeout: duration(2 * time.Second), Mandatory: new(true), MaxEventBytes: new(int32(1 << 20))},
	}
	if !reflect.DeepEqual(topic.Spec, wantTopic) {
		t.Errorf("topic: got %+v, want %+v", topic.Spec, wantTopic)
	}

	sub := &EventSubscription{ObjectMeta: ObjectMeta{Name: "billing", Namespace: "shop"}}
	Default(sub)
	wantSub := EventSubscriptionSpec{
		TopicRef: LocalRef{Kind: "EventTopic", Namespace: "shop"},
		Queue:    &Queue{Name: "shop.billing", Prefetch: new(int32(64))}, Ordering: "None", AckDeadline: duration(30 * time.Second),
		ContentEncoding: "Keep",
		Retry:           &SubscriptionRetry{Attempts: new(int32(5)), Backoff: &Backoff{duration(time.Second), duration(5 * time.Minute)}, Strategy: "DelayQueues"},
		DeadLetter:      &DeadLetter{Queue: "shop.billing.dead"},
	}
	if !reflect.DeepEqual(sub.Spec, wantSub) {
		t.Errorf("subscription: got %+v, want %+v", sub.Spec, wantSub)
	}

	route := &EventRoute{ObjectMeta: ObjectMeta{Name: "r", Namespace: "shop"}, Spec: EventRouteSpec{
		ParentRefs: []LocalRef{{Name: "orders"}}, Rules: []RouteRule{{BackendRefs: []BackendRef{{Name: "x"}}}},
	}}
	Default(route)
	wantRoute := EventRouteSpec{
		ParentRefs: []LocalRef{{Kind: "EventTopic", Namespace: "shop", Name: "orders"}},
		Rules: []RouteRule{{
			Name: "rule-0", BackendRefs: []BackendRef{{Kind: "EventTopic", Namespace: "shop", Name: "x", Weight: new(int32(1))}},
			Retry: &RouteRetry{
				Attempts: new(int32(3)), On: []string{"nack", "confirm-timeout", "connect-failure", "channel-closed"},
				Backoff: &Backoff{duration(50 * time.Millisecond), duration(2 * time.Second)},
			},
		}},
	}
	if !reflect.DeepEqual(route.Spec, wantRoute) {
		t.Errorf("route: got %+v, want %+v", route.Spec, wantRoute)
	}
}

func TestDefaultFillsInWhatDependsOnAnotherField(t *testing.T) {
	t.Parallel()
	sub := &EventSubscription{Spec: EventSubscriptionSpec{Ordering: "PerKey", Dedupe: &Dedupe{}}}
	Default(sub)
	if got, want := sub.Spec.Retry.MaxElapsed, duration(5*time.Minute); !reflect.DeepEqual(got, want) {
		t.Errorf("maxElapsed: got %v, want %v", got, want)
	}
	if got := sub.Spec.DeadLetter.KeyPolicy; got != "Continue" {
		t.Errorf("keyPolicy: got %q", got)
	}
	if got, want := sub.Spec.Dedupe, (&Dedupe{duration(10 * time.Minute), new(int32(100000))}); !reflect.DeepEqual(got, want) {
		t.Errorf("dedupe: got %+v, want %+v", got, want)
	}
	topic := &EventTopic{Spec: EventTopicSpec{Partitions: &Partitions{Count: 8}}}
	Default(topic)
	if got, want := *topic.Spec.Partitions, (Partitions{8, "partitionkey"}); got != want {
		t.Errorf("partitions: got %+v, want %+v", got, want)
	}
}

func TestDefaultIsIdempotent(t *testing.T) {
	t.Parallel()
	kinds := func() []Object { return []Object{validBroker(), validTopic(), validRoute(), validSubscription()} }
	once, twice := kinds(), kinds()
	for i := range once {
		Default(once[i])
		Default(twice[i])
		Default(twice[i])
		if !reflect.DeepEqual(once[i], twice[i]) {
			t.Errorf("%s: a second pass changed %+v to %+v", NameOf(once[i]), once[i], twice[i])
		}
	}
}

func TestDefaultKeepsABackoffInOrder(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name             string
		declared         Backoff
		wantBase, wantMx time.Duration
	}{
		{"a base beyond the default maximum raises the maximum", Backoff{BaseInterval: duration(time.Minute)}, time.Minute, time.Minute},
		{"a maximum below the default base lowers the base", Backoff{MaxInterval: duration(time.Millisecond)}, time.Millisecond, time.Millisecond},
		{"what is declared wrongly stays wrong", Backoff{duration(2), duration(1)}, 2, 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := &RouteRetry{Backoff: &c.declared}
			DefaultRetry(r)
			if got := r.Backoff; got.BaseInterval.Duration != c.wantBase || got.MaxInterval.Duration != c.wantMx {
				t.Errorf("got %v..%v, want %v..%v", got.BaseInterval.Duration, got.MaxInterval.Duration, c.wantBase, c.wantMx)
			}
		})
	}
}

func TestDefaultLeavesAMemoryBrokerBare(t *testing.T) {
	t.Parallel()
	b := &EventBroker{Spec: EventBrokerSpec{Type: BrokerMemory}}
	Default(b)
	if want := (EventBrokerSpec{Type: BrokerMemory, Topology: "Manage"}); !reflect.DeepEqual(b.Spec, want) {
		t.Errorf("got %+v, want %+v", b.Spec, want)
	}
}

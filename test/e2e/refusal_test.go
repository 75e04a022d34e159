package e2e

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
)

func TestRefusedPublishesSayWhyByCodeAndErrorInfo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start(r.topic("orders", "publish: {maxEventBytes: 1000}"))
	checkout := r.service("checkout")
	change := func(f func(*event)) *event {
		e := order("1")
		f(e)
		return e
	}
	for name, test := range map[string]struct {
		topic string
		event *event
		want  refusal
		text  string // part of the message
	}{
		"an event no queue takes is unroutable": {
			"orders", order("1"), refusal{codes.FailedPrecondition, "UNROUTABLE", "failed"}, r.name("orders"),
		},
		"an event over the topic's limit is too large": {
			"orders", change(func(e *event) { e.Data = &eventsv1.CloudEvent_BinaryData{BinaryData: make([]byte, 1001)} }),
			refusal{codes.InvalidArgument, "EVENT_TOO_LARGE", "not_sent"}, "has 1001 bytes; topic " + r.namespace + "/orders takes at most 1000",
		},
		"an event without an id is invalid": {
			"orders", change(func(e *event) { e.Id = "" }), refusal{codes.InvalidArgument, "INVALID_EVENT", "not_sent"}, "event.id",
		},
		"an event of another version is invalid": {
			"orders", change(func(e *event) { e.SpecVersion = "0.3" }), refusal{codes.InvalidArgument, "INVALID_EVENT", "not_sent"}, "event.specversion",
		},
		"an attribute with a bad name is invalid": {
			"orders", change(func(e *event) { e.Attributes["Not-Allowed"] = text("x") }), refusal{codes.InvalidArgument, "INVALID_EVENT", "not_sent"}, "Not-Allowed",
		},
		"an attribute with a line break is invalid": {
			"orders", change(func(e *event) { e.Attributes["subject"] = text("a\r\nb") }), refusal{codes.InvalidArgument, "INVALID_EVENT", "not_sent"}, "subject",
		},
		"no event at all is invalid": {"orders", nil, refusal{codes.InvalidArgument, "INVALID_EVENT", "not_sent"}, "event"},
		"an event past its expiry time is expired": {
			"orders", change(func(e *event) { e.Attributes["expirytime"] = text("2020-01-01T00:00:00Z") }),
			refusal{codes.InvalidArgument, "EVENT_EXPIRED", "not_sent"}, "event.expirytime",
		},
		"a topic that is not declared is not found": {
			"nowhere", order("1"), refusal{codes.NotFound, "TOPIC_NOT_FOUND", "not_sent"}, r.namespace + "/nowhere",
		},
		"a topic's name must be one": {"a/b/c", order("1"), refusal{codes.InvalidArgument, "INVALID_REQUEST", "not_sent"}, "topic"},
	} {
		_, err := checkout.publish(test.topic, test.event)
		if got := refusalOf(t, err); got != test.want {
			t.Errorf("%s: answered %+v, want %+v (%v)", name, got, test.want, err)
		}
		if message := status.Convert(err).Message(); !strings.Contains(message, test.text) {
			t.Errorf("%s: the message %q lacks %q", name, message, test.text)
		}
	}
	// After all refusals, the same connection still works.
	r.queue("late", "orders")
	checkout.mustPublish("orders", "good")
	if got := r.get(r.name("late")); got.MessageId != "good" {
		t.Errorf("after the refusals %q arrived", got.MessageId)
	}
}

func TestRefusedSubscriptionsSayWhyByCodeAndErrorInfo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start(r.topic("orders"), r.subscription(subscription{name: "billing", topic: "orders", app: "billing"}))
	checkout := r.service("checkout")
	for name, test := range map[string]struct {
		init *eventsv1.SubscribeInit
		want refusal
	}{
		"a subscription that is not declared": {&eventsv1.SubscribeInit{Subscription: "nothing"}, refusal{codes.NotFound, "SUBSCRIPTION_NOT_FOUND", "not_sent"}},
		"a subscription of another workload":  {&eventsv1.SubscribeInit{Subscription: "billing"}, refusal{codes.NotFound, "SUBSCRIPTION_NOT_FOUND", "not_sent"}},
		"a subscription's name that is none":  {&eventsv1.SubscribeInit{Subscription: "a/b/c"}, refusal{codes.InvalidArgument, "INVALID_REQUEST", "not_sent"}},
		"a stream that names no subscription": {&eventsv1.SubscribeInit{}, refusal{codes.InvalidArgument, "INVALID_REQUEST", "not_sent"}},
	} {
		_, err := checkout.open(test.init)
		if got := refusalOf(t, err); got != test.want {
			t.Errorf("%s: answered %+v, want %+v (%v)", name, got, test.want, err)
		}
	}
}

func TestAnObjectOfAnotherTypeOnTheBrokerIsAConflictThatNamesBoth(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	exchange, queue := r.name("orders"), r.name("billing")
	if err := r.plain.ExchangeDeclare(exchange, "direct", true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := r.plain.QueueDeclare(queue, true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	r.start(r.topic("orders"), r.topic("refunds"), r.subscription(subscription{name: "billing", topic: "refunds", app: "billing"}))
	checkout, billing := r.service("checkout"), r.service("billing")
	wantConflict := func(err error, text string) {
		t.Helper()
		if got, want := refusalOf(t, err), (refusal{codes.FailedPrecondition, "TOPOLOGY_CONFLICT", "not_sent"}); got != want {
			t.Errorf("answered %+v, want %+v", got, want)
		}
		if message := status.Convert(err).Message(); !strings.Contains(message, text) {
			t.Errorf("the message %q lacks %q", message, text)
		}
	}
	_, err := checkout.publish("orders", order("1"))
	wantConflict(err, `exchange "`+exchange+`" exists with type direct, wanted topic`)
	_, err = billing.open(&eventsv1.SubscribeInit{Subscription: "billing"})
	wantConflict(err, `queue "`+queue+`" exists with type classic, wanted quorum`)
}

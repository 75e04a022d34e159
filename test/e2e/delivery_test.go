package e2e

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/test/internal/product"
)

func TestAnEventIsRetriedAfterItsDelayAndThenDeadLettered(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start(r.topic("orders"), r.subscription(subscription{name: "billing", topic: "orders", app: "billing", attempts: 3, backoff: retryDelay}))
	r.retriedAndDeadLettered(r.service("billing"))
}

// On RabbitMQ 4.3 and later, a retry can wait in its own queue. An older server ignores
// arguments that it does not know, so Warren refuses the strategy there.
func TestRetriesByTheBrokerWaitAsLongOrAreSaidToNeedANewerOne(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	declared := r.subscription(subscription{name: "billing", topic: "orders", app: "billing", attempts: 3, backoff: retryDelay})
	r.start(r.topic("orders"), strings.Replace(declared, "retry: {", "retry: {strategy: BrokerDelay, ", 1))
	billing := r.service("billing")
	if version, _ := r.conn.Properties["version"].(string); version >= "4.3" { // the version is compared as text, which is right from 3.x to 4.9
		r.retriedAndDeadLettered(billing)
		return
	}
	_, err := billing.open(&eventsv1.SubscribeInit{Subscription: "billing"})
	if got, want := refusalOf(t, err), (refusal{codes.FailedPrecondition, "TOPOLOGY_CONFLICT", "not_sent"}); got != want {
		t.Errorf("answered %+v, want %+v", got, want)
	}
	if message := status.Convert(err).Message(); !strings.Contains(message, "RabbitMQ 4.3 and later do") {
		t.Errorf("the message is %q", message)
	}
}

const retryDelay = 300 * time.Millisecond

// retriedAndDeadLettered takes an event of topic orders through its three attempts.
func (r *rig) retriedAndDeadLettered(billing *service) {
	r.Helper()
	t, checkout := r.T, r.service("checkout")
	in := billing.subscribe("billing")
	checkout.mustPublish("orders", "1")
	began := time.Now()
	for attempt := uint32(1); attempt <= 3; attempt++ {
		d := in.next()
		if d.GetEvent().GetId() != "1" || d.GetAttempt() != attempt || d.GetRedelivered() != (attempt > 1) {
			t.Errorf("delivery %v, want attempt %d", d, attempt)
		}
		in.settle(d, eventsv1.Outcome_OUTCOME_RETRY, "the database is away")
	}
	// Only a lower bound: the delay must have passed twice.
	if took := time.Since(began); took < 2*retryDelay {
		t.Errorf("three attempts took %s, want at least twice %s", took, retryDelay)
	}
	letter := r.get(r.name("billing.dead"))
	r.checkLetter(letter, amqp.Table{
		"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/checkout", "ce-type": "com.shop.order.placed",
		"warren-attempt":                  int64(3),
		"warren-origin-exchange":          r.name("orders"),
		"warren-origin-key":               "com.shop.order.placed",
		"warren-dead-letter-reason":       "attempts-exhausted",
		"warren-dead-letter-detail":       "the database is away",
		"warren-dead-letter-subscription": r.namespace + "/billing",
		"warren-dead-letter-exchange":     r.name("orders"),
		"warren-dead-letter-routing-key":  "com.shop.order.placed",
		"warren-dead-letter-attempts":     int64(3),
	})
	if letter.MessageId != "1" || letter.AppId != "checkout" || string(letter.Body) != `{"id":"1"}` || letter.ContentType != "application/json" {
		t.Errorf("dead letter %+v", letter)
	}
	r.wantEmpty("billing")
}

func TestARejectedEventIsDeadLetteredAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start(r.topic("orders"), r.subscription(subscription{name: "billing", topic: "orders", app: "billing", attempts: 5, backoff: time.Hour}))
	checkout, billing := r.service("checkout"), r.service("billing")
	in := billing.subscribe("billing")
	checkout.mustPublish("orders", "1")
	in.settle(in.next(), eventsv1.Outcome_OUTCOME_DEAD_LETTER, "no such customer")
	r.checkLetter(r.get(r.name("billing.dead")), amqp.Table{
		"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/checkout", "ce-type": "com.shop.order.placed",
		"warren-origin-exchange":          r.name("orders"),
		"warren-origin-key":               "com.shop.order.placed",
		"warren-dead-letter-reason":       "rejected",
		"warren-dead-letter-detail":       "no such customer",
		"warren-dead-letter-subscription": r.namespace + "/billing",
		"warren-dead-letter-exchange":     r.name("orders"),
		"warren-dead-letter-routing-key":  "com.shop.order.placed",
		"warren-dead-letter-attempts":     int64(1),
	})
	r.wantEmpty("billing")
}

// checkLetter compares all headers, except those of the broker and the times, which
// must be recent.
func (r *rig) checkLetter(letter amqp.Delivery, want amqp.Table) {
	r.Helper()
	have := maps.Clone(letter.Headers)
	maps.DeleteFunc(have, func(name string, _ any) bool { return strings.HasPrefix(name, "x-") })
	var times [2]time.Time
	for i, name := range []string{"warren-dead-letter-first-failure", "warren-dead-letter-time"} {
		text, _ := have[name].(string)
		delete(have, name)
		at, err := time.Parse(time.RFC3339Nano, text)
		if err != nil || time.Since(at) > time.Hour || time.Until(at) > time.Minute {
			r.Errorf("%s is %q", name, text)
		}
		times[i] = at
	}
	if times[0].After(times[1]) {
		r.Errorf("the first attempt failed at %s, after the event was dead-lettered at %s", times[0], times[1])
	}
	if !maps.Equal(have, want) {
		r.Errorf("dead letter's headers are\n%v\nwant\n%v", have, want)
	}
}

// wantEmpty waits until a subscription's queue has no ready message.
func (r *rig) wantEmpty(subscription string) {
	r.Helper()
	product.Eventually(r, "the queue of "+subscription+" is empty", func() error {
		q, err := r.plain.QueueDeclarePassive(r.name(subscription), true, false, false, false, nil)
		if err != nil {
			r.Fatal(err)
		}
		if q.Messages > 0 {
			return fmt.Errorf("it has %d messages", q.Messages)
		}
		return nil
	})
}

func TestDeliveriesOfAKilledSidecarGoToAnother(t *testing.T) {
	t.Parallel()
	const events = 20
	r := newRig(t)
	r.start(r.topic("orders"), r.subscription(subscription{name: "billing", topic: "orders", app: "billing", attempts: 5, backoff: time.Second}))
	checkout, victim := r.service("checkout"), r.service("billing")
	held := victim.subscribe("billing")
	for i := range events {
		checkout.mustPublish("orders", id("order", i))
	}
	for i := range events {
		d := held.next()
		if i%2 == 0 {
			held.ack(d)
		}
	}
	settled := ids("order", events, func(i int) bool { return i%2 == 0 })
	heir := r.service("billing")
	victim.Kill()
	in := heir.subscribe("billing")
	got := map[string]bool{}
	for len(got) < events-len(settled) {
		d := in.next()
		if settled[d.GetEvent().GetId()] {
			continue // its ack may have been lost with the sidecar
		}
		if got[d.GetEvent().GetId()] = true; !d.GetRedelivered() {
			t.Errorf("%s came again and is not marked as redelivered", d.GetEvent().GetId())
		}
		in.ack(d)
	}
	if want := ids("order", events, func(i int) bool { return i%2 == 1 }); !maps.Equal(got, want) {
		t.Errorf("the other sidecar got %v, want %v", got, want)
	}
}

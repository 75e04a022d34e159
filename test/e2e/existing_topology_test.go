package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/test/internal/product"
)

// legacy declares a topology with a plain client, without Warren: a direct exchange,
// and classic queues with bindings of their own.
func (r *rig) legacy() {
	r.Helper()
	r.exchanges = append(r.exchanges, r.name("books"))
	r.queues = append(r.queues, r.name("invoices.in"), r.name("invoices.failed"))
	r.must(r.plain.ExchangeDeclare(r.name("books"), "direct", true, false, false, false, nil))
	for _, name := range []string{"invoices.in", "invoices.failed"} {
		_, err := r.plain.QueueDeclare(r.name(name), true, false, false, false, amqp.Table{"x-max-priority": int32(5)})
		r.must(err)
	}
	for _, key := range []string{"invoice", "credit-note"} {
		r.must(r.plain.QueueBind(r.name("invoices.in"), key, r.name("books"), false, nil))
	}
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// legacyConfig declares objects for that topology. Two topics share the exchange; each
// has its own routing keys.
func (r *rig) legacyConfig(policy string) string {
	broker := strings.Replace(r.mesh.Broker.YAML(r.namespace), "spec:\n", "spec:\n  topology: "+policy+"\n", 1)
	return broker + fmt.Sprintf(`apiVersion: warrenmesh.io/v1alpha1
kind: EventTopic
metadata: {name: invoices, namespace: %[1]s}
spec:
  brokerRef: {name: main}
  exchange: {name: %[2]s, type: direct}
  routingKey: "{category}"
---
apiVersion: warrenmesh.io/v1alpha1
kind: EventTopic
metadata: {name: receipts, namespace: %[1]s}
spec:
  brokerRef: {name: main}
  exchange: {name: %[2]s, type: direct}
  routingKey: receipt
---
apiVersion: warrenmesh.io/v1alpha1
kind: EventSubscription
metadata: {name: bookkeeping, namespace: %[1]s}
spec:
  topicRef: {name: invoices}
  selector: {matchLabels: {app: bookkeeping}}
  queue: {name: %[3]s, type: classic}
  deadLetter: {queue: %[4]s}
  retry: {attempts: 3, backoff: {baseInterval: 300ms, maxInterval: 300ms}}
`, r.namespace, r.name("books"), r.name("invoices.in"), r.name("invoices.failed"))
}

func (r *rig) startLegacy(policy string) {
	r.Helper()
	r.mesh.Write("shop.yaml", r.legacyConfig(policy))
	r.mesh.StartControlPlane()
}

func categorized(id, category string) *event {
	e := order(id)
	e.Attributes["category"] = text(category)
	return e
}

// TestExistingTopologies uses a topology that Warren did not declare, under both
// policies that leave it unchanged.
func TestExistingTopologies(t *testing.T) {
	t.Parallel()
	for _, policy := range []string{"Verify", "Ignore"} {
		t.Run("a topology made by hand carries events under "+policy, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.legacy()
			r.startLegacy(policy)
			checkout, bookkeeping := r.service("checkout"), r.service("bookkeeping")
			in := bookkeeping.subscribe("bookkeeping")

			if _, err := checkout.publish("invoices", categorized("1", "invoice")); err != nil {
				t.Fatalf("publish: %v", err)
			}
			d := in.next()
			if d.GetEvent().GetId() != "1" || d.GetAttempt() != 1 {
				t.Errorf("delivery %v", d)
			}
			r.retriedWithoutARoom(in, d)
			r.takesFromOthers(in)
			r.bindsNothing(checkout)
		})
	}
	t.Run("Verify says what to declare and goes on once it is there", func(t *testing.T) {
		t.Parallel()
		verifySaysWhatToDeclare(t)
	})
	t.Run("Ignore finds out when it is used", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		r.startLegacy("Ignore")
		_, err := r.service("checkout").publish("invoices", categorized("1", "invoice"))
		if got, want := refusalOf(t, err), (refusal{codes.NotFound, "EXCHANGE_NOT_FOUND", "not_sent"}); got != want {
			t.Errorf("publish to an exchange that is not there: %+v, want %+v (%v)", got, want, err)
		}
		in, err := r.service("bookkeeping").open(&eventsv1.SubscribeInit{Subscription: "bookkeeping", InitialCredit: 1})
		for err == nil {
			_, err = in.Recv() // the stream may become ready before the missing queue is noticed
		}
		if status.Code(err) != codes.NotFound || !strings.Contains(status.Convert(err).Message(), r.name("invoices.in")) {
			t.Errorf("subscribe to a queue that is not there: %v", err)
		}
	})
}

// retriedWithoutARoom lets the service fail a delivery twice. It waits in the sidecar,
// because there is no delay queue, and then becomes a dead letter.
func (r *rig) retriedWithoutARoom(in *stream, d *eventsv1.Delivery) {
	r.Helper()
	began := time.Now()
	in.settle(d, eventsv1.Outcome_OUTCOME_RETRY, "the ledger is locked")
	again := in.next()
	if took := time.Since(began); again.GetEvent().GetId() != "1" || again.GetAttempt() != 2 || took < 300*time.Millisecond {
		r.Errorf("after %v came %v", took, again)
	}
	in.settle(again, eventsv1.Outcome_OUTCOME_DEAD_LETTER, "no such account")
	if letter := r.get(r.name("invoices.failed")); letter.MessageId != "1" || letter.Headers["warren-dead-letter-attempts"] != int64(2) {
		r.Errorf("dead letter %+v", letter)
	}
}

// takesFromOthers receives the events of a program without Warren, through a binding
// that Warren does not know.
func (r *rig) takesFromOthers(in *stream) {
	r.Helper()
	r.must(r.plain.PublishWithContext(r.Context(), r.name("books"), "credit-note", true, false, amqp.Publishing{
		MessageId: "plain-1", Type: "com.shop.credit", AppId: "cobol", Body: []byte("12.50"),
	}))
	d := in.next()
	if d.GetEvent().GetId() != "plain-1" || d.GetEvent().GetType() != "com.shop.credit" || string(d.GetEvent().GetBinaryData()) != "12.50" {
		r.Errorf("a plain message came as %v", d)
	}
	in.ack(d)
}

// bindsNothing checks that Warren changed no binding and added none.
func (r *rig) bindsNothing(checkout *service) {
	r.Helper()
	for topic, e := range map[string]*event{"invoices": categorized("2", "reminder"), "receipts": order("3")} {
		_, err := checkout.publish(topic, e)
		if got := refusalOf(r.T, err); got.reason != "UNROUTABLE" {
			r.Errorf("an event of topic %s that no binding takes: %+v (%v)", topic, got, err)
		}
	}
	for _, name := range []string{"invoices.in.retry.300ms", "invoices.in.dead", "bookkeeping"} {
		ch, err := r.conn.Channel() // a passive declare of a missing queue closes the channel
		r.must(err)
		if _, err := ch.QueueDeclarePassive(r.name(name), true, false, false, false, nil); err == nil {
			r.Errorf("queue %s was declared", r.name(name))
		}
	}
}

func verifySaysWhatToDeclare(t *testing.T) {
	t.Helper()
	r := newRig(t)
	r.startLegacy("Verify")
	checkout, bookkeeping := r.service("checkout"), r.service("bookkeeping")
	_, err := checkout.publish("invoices", categorized("1", "invoice"))
	want := fmt.Sprintf("verify exchange %q: not-found: declare a durable exchange of type direct with this name, or let Warren do it with topology Manage", r.name("books"))
	if status.Code(err) != codes.NotFound || !strings.Contains(status.Convert(err).Message(), want) {
		t.Errorf("publish: %v\nwant %q", err, want)
	}
	_, err = bookkeeping.open(&eventsv1.SubscribeInit{Subscription: "bookkeeping", InitialCredit: 1})
	if status.Code(err) != codes.NotFound || !strings.Contains(status.Convert(err).Message(), "declare a durable") {
		t.Errorf("subscribe: %v", err)
	}

	r.legacy()
	product.Eventually(t, "the declared topology is found", func() error {
		_, err := checkout.publish("invoices", categorized("2", "invoice"))
		return err
	})
	product.Eventually(t, "the queue is found", func() error {
		in, err := bookkeeping.open(&eventsv1.SubscribeInit{Subscription: "bookkeeping", InitialCredit: 10})
		if err == nil {
			in.ack(in.next())
		}
		return err
	})
}

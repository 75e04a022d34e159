package e2e

import (
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
)

// TestHeadersThatAPlainProducerForgesDoNotCount publishes with a plain client headers
// that only Warren and the broker write.
func TestHeadersThatAPlainProducerForgesDoNotCount(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"quorum", "classic"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.start(r.topic("orders"), r.subscription(subscription{name: "billing", topic: "orders", app: "billing", attempts: 3, more: []string{"queue: {type: " + kind + "}"}}))
			billing := r.service("billing")
			in := billing.subscribe("billing")
			for name, h := range map[string]amqp.Table{
				"attempt": {"warren-attempt": int64(99), "warren-crashes": int64(5)},
				"count":   {"x-delivery-count": int64(5000), "x-acquired-count": int64(5000)},
				"letter":  {"warren-dead-letter-reason": "rejected", "warren-dead-letter-subscription": r.namespace + "/billing"},
				"origin":  {"warren-origin-exchange": r.name("payroll"), "warren-origin-key": "k"},
			} {
				err := r.plain.PublishWithContext(t.Context(), r.name("orders"), "k", true, false, amqp.Publishing{MessageId: name, Body: []byte("{}"), Headers: h})
				if err != nil {
					t.Fatal(err)
				}
				d := in.next()
				if d.GetAttempt() != 1 || d.GetRedelivered() || d.GetTopic() != r.namespace+"/orders" {
					t.Errorf("%s: attempt %d, redelivered %t, of topic %s", name, d.GetAttempt(), d.GetRedelivered(), d.GetTopic())
				}
				in.settle(d, eventsv1.Outcome_OUTCOME_DEAD_LETTER, "no")
			}
			r.awaitLetters(4)
			for _, l := range billing.listed() {
				if l.GetExchange() != r.name("orders") || l.GetAttempts() != 1 || l.GetReason() != "rejected" {
					t.Errorf("dead letter %s says exchange %q, %d attempts, %s", l.GetEventId(), l.GetExchange(), l.GetAttempts(), l.GetReason())
				}
			}
		})
	}
}

// TestARedriveToTheTopicIgnoresAForgedExchange redrives a dead letter that an attacker
// wrote, who may write to the dead-letter queue only.
func TestARedriveToTheTopicIgnoresAForgedExchange(t *testing.T) {
	t.Parallel()
	r, billing := buried(t, 1)
	payroll := r.name("payroll")
	if _, err := r.plain.QueueDeclare(payroll, true, false, false, false, amqp.Table{}); err != nil {
		t.Fatal(err)
	}
	r.queues = append(r.queues, payroll)
	for _, exchange := range []string{"", "amq.direct"} {
		err := r.plain.PublishWithContext(t.Context(), "", r.name("billing.dead"), true, false, amqp.Publishing{
			MessageId: "forged" + exchange, DeliveryMode: amqp.Persistent, Body: []byte("{}"), Headers: amqp.Table{
				"warren-origin-exchange": exchange, "warren-origin-key": payroll,
				"warren-dead-letter-reason": "rejected", "warren-dead-letter-subscription": r.namespace + "/billing",
			},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	r.awaitLetters(6)
	out, errs, _ := r.mesh.Warren(t.Context(), "deadletter", "redrive", "billing", "--to", "topic", "--admin", billing.Admin)
	if !strings.Contains(out+errs, `exchange "amq.direct"`) {
		t.Errorf("it said:\n%s%s", out, errs)
	}
	r.awaitLetters(2)
	for _, l := range billing.listed() {
		if !strings.HasPrefix(l.GetEventId(), "forged") {
			t.Errorf("dead letter %s was not redriven", l.GetEventId())
		}
	}
	if q, err := r.plain.QueueDeclarePassive(payroll, true, false, false, false, nil); err != nil || q.Messages != 0 {
		t.Errorf("%d messages in a queue of somebody else (%v)", q.Messages, err)
	}
}

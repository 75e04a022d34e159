package rabbit

import (
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
)

// handMade declares objects as somebody else would, with a plain client, and deletes
// them at the end.
func (f *fixture) handMade(exchange, kind, queue string, bind func(ch *amqp.Channel) error) {
	f.Helper()
	f.Cleanup(func() {
		deleteTopology(f.T, queueing.Topology{Exchanges: []mesh.Exchange{{Name: exchange}}, Queues: []queueing.Queue{{Name: queue}}})
	})
	if err := f.plain.ExchangeDeclare(exchange, kind, false, false, false, false, nil); err != nil {
		f.Fatal(err)
	}
	if _, err := f.plain.QueueDeclare(queue, true, false, false, false, amqp.Table{"x-queue-type": "classic", "x-max-length": int64(1000)}); err != nil {
		f.Fatal(err)
	}
	if err := bind(f.plain); err != nil {
		f.Fatal(err)
	}
}

// TestExistingTopologiesOfEveryExchangeType meets what Warren would never declare:
// exchanges that are not durable, bindings of others, a queue with arguments of its
// own.
func TestExistingTopologiesOfEveryExchangeType(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind, key string
		bind      func(ch *amqp.Channel, exchange, queue string) error
		misses    string // a key that leads nowhere; "" when there is none
	}{
		{"direct", "invoice", func(ch *amqp.Channel, x, q string) error { return ch.QueueBind(q, "invoice", x, false, nil) }, "receipt"},
		{"fanout", "anything", func(ch *amqp.Channel, x, q string) error { return ch.QueueBind(q, "", x, false, nil) }, ""},
		{"topic", "eu.invoice", func(ch *amqp.Channel, x, q string) error { return ch.QueueBind(q, "eu.*", x, false, nil) }, "us.invoice"},
		{"headers", "any", func(ch *amqp.Channel, x, q string) error {
			return ch.QueueBind(q, "", x, false, amqp.Table{"x-match": "all", "ce-type": "io.warrenmesh.test"})
		}, ""},
	} {
		for _, policy := range []mesh.TopologyPolicy{mesh.Verify, mesh.Ignore} {
			t.Run(c.kind+" under "+policy.String(), func(t *testing.T) {
				t.Parallel()
				f := newFixture(t)
				exchange, queue := f.name(c.kind), f.name("q")
				f.handMade(exchange, c.kind, queue, func(ch *amqp.Channel) error { return c.bind(ch, exchange, queue) })
				err := f.node.EnsureTopology(f.context(), queueing.Topology{
					Policy: policy, Exchanges: []mesh.Exchange{{Name: exchange, Type: c.kind}}, Queues: []queueing.Queue{{Name: queue, Type: "quorum"}},
				})
				if err != nil {
					t.Fatal(err)
				}
				if err := f.publish(&queueing.Message{Exchange: exchange, RoutingKey: c.key, Event: newEvent("1"), Mandatory: true}); err != nil {
					t.Fatalf("publish: %v", err)
				}
				d := f.consume(queue, 1).next()
				if d.Event.ID != "1" || d.Origin.Name != exchange || d.Origin.Key != c.key {
					t.Errorf("received %+v", d)
				}
				if err := d.Ack(); err != nil {
					t.Errorf("ack: %v", err)
				}
				if c.misses != "" {
					err := f.publish(&queueing.Message{Exchange: exchange, RoutingKey: c.misses, Event: newEvent("2"), Mandatory: true})
					if broker.KindOf(err) != broker.Unroutable {
						t.Errorf("a key that nothing binds: %v", err)
					}
				}
			})
		}
	}
}

// TestExistingTopologiesWhatVerifyCannotTell writes down what RabbitMQ does not
// compare in a passive declare; docs/existing-topologies.md says so.
func TestExistingTopologiesWhatVerifyCannotTell(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	exchange, queue := f.name("x"), f.name("q")
	f.handMade(exchange, "direct", queue, func(*amqp.Channel) error { return nil })
	if err := f.node.EnsureTopology(f.context(), queueing.Topology{
		Policy: mesh.Verify, Exchanges: []mesh.Exchange{{Name: exchange, Type: "headers"}}, Queues: []queueing.Queue{{Name: queue, Type: "quorum"}},
	}); err != nil {
		t.Errorf("RabbitMQ compares in a passive declare, and the documentation says it does not: %v", err)
	}
}

func TestExistingTopologiesAnExclusiveQueueIsAConflict(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	queue := f.name("mine")
	if _, err := f.plain.QueueDeclare(queue, false, true, true, false, nil); err != nil {
		t.Fatal(err)
	}
	err := f.node.EnsureTopology(f.context(), queueing.Topology{Policy: mesh.Verify, Queues: []queueing.Queue{{Name: queue}}})
	if broker.KindOf(err) != broker.Conflict || !strings.Contains(err.Error(), queue) {
		t.Errorf("a queue of another connection: %v", err)
	}
}

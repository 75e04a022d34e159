package rabbit

import (
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
)

// A queue of an earlier version has no such argument; on RabbitMQ 4.3 another argument is
// a conflict, before nobody compares it.
func TestAQueueThatWaitsLongerForItsConsumersStaysAsItIs(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	q := queueing.Queue{Name: f.name("q"), Type: "quorum", SingleActive: true, DeadLetter: f.name("dead")}
	args := amqp.Table{
		"x-queue-type": "quorum", "x-delivery-limit": int64(1 << 30), "x-single-active-consumer": true, "x-overflow": "reject-publish",
		"x-dead-letter-strategy": "at-least-once", "x-dead-letter-exchange": "warren.dead-letters", "x-dead-letter-routing-key": q.DeadLetter,
	}
	topology := queueing.Topology{Policy: mesh.Manage, Queues: []queueing.Queue{q, {Name: q.DeadLetter, Type: "quorum"}}}
	t.Cleanup(func() { deleteTopology(t, topology) })
	if _, err := f.plain.QueueDeclare(q.Name, true, false, false, false, args); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := f.node.EnsureTopology(f.context(), topology); err != nil {
			t.Fatal(err)
		}
	}
	if !f.node.Backed(q.Name) {
		t.Error("its dead-letter queue is taken for missing")
	}
	f.mustPublish(toQueue(q.Name, "1"))
	if err := f.consume(q.Name, 1).next().Ack(); err != nil {
		t.Error(err)
	}
}

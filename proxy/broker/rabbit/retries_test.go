package rabbit

import (
	"reflect"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
)

// The arguments are RabbitMQ 4.3's. queueingtest proves what they do, on such a server.
func TestDelayedRetriesAreArgumentsOfTheQueue(t *testing.T) {
	t.Parallel()
	got, err := queueArguments(queueing.Queue{Name: "q", Type: "quorum", RetryDelay: time.Second})
	want := amqp.Table{
		"x-queue-type": "quorum", "x-delivery-limit": deliveryLimit, disconnectedArgument: disconnectedTimeout,
		"x-delayed-retry-type": "returned", "x-delayed-retry-min": int64(1000), "x-delayed-retry-max": int64(1000),
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("arguments are %v, %v; want %v", got, err, want)
	}
}

func TestDelayedRetriesAreDeclaredOnlyWhereTheyHappen(t *testing.T) {
	t.Parallel()
	delaying := queueing.Queue{Name: "q", Type: "quorum", RetryDelay: time.Second}
	classic := delaying
	classic.Type = "classic"
	if err := checkRetries(delaying, "RabbitMQ 4.3.1"); err != nil {
		t.Errorf("on 4.3.1: %v", err)
	}
	if checkRetries(delaying, "RabbitMQ 4.2.0") == nil || checkRetries(classic, "RabbitMQ 4.3.1") == nil {
		t.Error("a queue that would not delay is declared")
	}
	if err := checkRetries(queueing.Queue{Name: "q"}, "RabbitMQ 3.10.8"); err != nil {
		t.Errorf("a queue without delayed retries: %v", err)
	}
}

// A queue of an earlier version has no such argument; on RabbitMQ 4.3 another argument is
// a conflict, before nobody compares it.
func TestAQueueThatWaitsLongerForItsConsumersStaysAsItIs(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	q := queueing.Queue{Name: f.name("q"), Type: "quorum", SingleActive: true, DeadLetter: f.name("dead")}
	args, err := queueArguments(q)
	if err != nil {
		t.Fatal(err)
	}
	delete(args, disconnectedArgument)
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

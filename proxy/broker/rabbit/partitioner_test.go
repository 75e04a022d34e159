package rabbit

import (
	"fmt"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/envelope"
)

// partitioned declares a topic exchange and a partitioner of n queues.
func (f *fixture) partitioned(n int) (exchange string, queues []string) {
	f.Helper()
	exchange = f.name("x")
	t := queueing.Topology{Exchanges: []mesh.Exchange{{Name: exchange, Type: "topic"}}}
	for i := range n {
		queues = append(queues, f.name(fmt.Sprint("p", i)))
		t.Queues = append(t.Queues, queueing.Queue{Name: queues[i], Type: "quorum", SingleActive: true})
	}
	t.Partitioners = []queueing.Partitioner{{Name: f.name("p"), Exchange: exchange, Queues: queues}}
	f.ensure(t)
	return exchange, queues
}

func TestPlainProducersChooseAPartitionByAnyInteger(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	exchange, queues := f.partitioned(3)
	for id, c := range map[string]struct {
		header any
		queue  int
	}{
		"without the header": {nil, 0}, "text": {"2", 0}, "negative": {int32(-1), 0}, "beyond": {int32(3), 0},
		"int8": {int8(2), 2}, "byte": {byte(2), 2}, "int16": {int16(2), 2}, "int32": {int32(2), 2}, "int64": {int64(2), 2},
	} {
		m := toPlain(id)
		if c.header != nil {
			m.Headers = amqp.Table{envelope.PartitionHeader: c.header}
		}
		if err := f.plain.PublishWithContext(f.context(), exchange, "any.key", true, false, m); err != nil {
			t.Fatal(err)
		}
		d := f.consumeOnce(queues[c.queue])
		if d.Event.ID != id || d.Origin.Name != exchange || c.queue == 2 && !d.Partitioned {
			t.Errorf("%s: queue %d received %+v", id, c.queue, d)
		}
	}
}

// consumeOnce returns the queue's next delivery, acked, with its consumer gone.
func (f *fixture) consumeOnce(queue string) *queueing.Delivery {
	f.Helper()
	c := f.consume(queue, 1)
	d := c.next()
	if err := d.Ack(); err != nil {
		f.Fatalf("ack: %v", err)
	}
	c.stop()
	<-c.ended
	c.drain()
	return d
}

func TestAPartitionsQueueThatIsDeletedIsDeclaredAgainWithItsBinding(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	exchange, queues := f.partitioned(2)
	in := f.consume(queues[1], 1)
	m := &queueing.Message{Exchange: exchange, RoutingKey: "k", Event: newEvent("before"), Mandatory: true, Partition: 1, Partitioned: true}
	f.mustPublish(m)
	if err := in.next().Ack(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.plain.QueueDelete(queues[1], false, false, false); err != nil {
		t.Fatal(err)
	}
	// Until it is declared again its events go where those without a partition go.
	f.poll("events reach the new queue", func() bool {
		m := *m
		m.Event = newEvent("after")
		f.mustPublish(&m)
		return len(in.out) > 0
	})
	if d := in.next(); d.Event.ID != "after" || d.Partition != 1 {
		t.Errorf("received %+v", d)
	}
}

func TestAPartitionerThatExistsOtherwiseIsAConflictThatSaysHow(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	queue := f.queue("q")
	name := f.name("p")
	f.Cleanup(func() { deleteTopology(t, queueing.Topology{Partitioners: []queueing.Partitioner{{Name: name}}}) })
	if err := f.plain.ExchangeDeclare(name, "headers", true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	err := f.node.EnsureTopology(f.context(), queueing.Topology{
		Policy: mesh.Manage, Partitioners: []queueing.Partitioner{{Name: name, Exchange: "amq.topic", Queues: []string{queue}}},
	})
	want := fmt.Sprintf("exchange %q exists with alternate-exchange none, wanted %s", name, name+".unpartitioned")
	if broker.KindOf(err) != broker.Conflict || !strings.Contains(err.Error(), want) {
		t.Errorf("error is %v, want %s", err, want)
	}
}

func TestAnExchangeThatSomebodyDeletesIsBoundAgainByWhoReceives(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(o *Options) { o.TopologyCheck = 50 * time.Millisecond })
	exchange, queues := f.partitioned(2)
	m := &queueing.Message{Exchange: exchange, RoutingKey: "k", Event: newEvent("before"), Mandatory: true, Partition: 1, Partitioned: true}
	f.mustPublish(m)
	if err := f.plain.ExchangeDelete(exchange, false, false); err != nil {
		t.Fatal(err)
	}
	f.poll("an event reaches its queue again", func() bool {
		m := *m
		m.Event = newEvent("after")
		return f.publish(&m) == nil
	})
	if first := f.consumeOnce(queues[1]).Event.ID; first != "before" {
		t.Errorf("received %s first", first)
	}
	if second := f.consumeOnce(queues[1]).Event.ID; second != "after" {
		t.Errorf("then received %s", second)
	}
}

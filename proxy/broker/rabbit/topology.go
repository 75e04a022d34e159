package rabbit

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/xds/mesh"
)

// memory is what was declared under Manage, by name; a later declaration of the
// same object replaces the earlier. The zero value is empty.
type memory struct {
	mu        sync.Mutex
	exchanges map[string]mesh.Exchange
	queues    map[string]broker.Queue
	bindings  map[broker.Binding]struct{}
}

func (m *memory) add(t broker.Topology) {
	if t.Policy != mesh.Manage {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.exchanges == nil {
		m.exchanges, m.queues = map[string]mesh.Exchange{}, map[string]broker.Queue{}
		m.bindings = map[broker.Binding]struct{}{}
	}
	for _, x := range t.Exchanges {
		m.exchanges[x.Name] = x
	}
	for _, q := range t.Queues {
		m.queues[q.Name] = q
	}
	for _, b := range t.Bindings {
		m.bindings[b] = struct{}{}
	}
}

// all returns everything remembered, in no particular order.
func (m *memory) all() broker.Topology {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := broker.Topology{Policy: mesh.Manage}
	for _, x := range m.exchanges {
		t.Exchanges = append(t.Exchanges, x)
	}
	for _, q := range m.queues {
		t.Queues = append(t.Queues, q)
	}
	for b := range m.bindings {
		t.Bindings = append(t.Bindings, b)
	}
	return t
}

func (m *memory) hasQueue(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.queues[name]
	return ok
}

func (m *memory) hasExchange(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.exchanges[name]
	return ok
}

// declare makes t exist, or checks that it does, by its policy. It goes on after
// an object that is refused, and returns all refusals; a lost connection ends it.
func (s *session) declare(t broker.Topology) error {
	d := &declarer{session: s, verify: t.Policy == mesh.Verify}
	if t.Policy == mesh.Ignore {
		return nil
	}
	defer d.close()
	for _, x := range t.Exchanges {
		d.do(fmt.Sprintf("declare exchange %q", x.Name), func(ch *amqp.Channel) error { return d.exchange(ch, x) })
	}
	for _, q := range t.Queues {
		d.do(fmt.Sprintf("declare queue %q", q.Name), func(ch *amqp.Channel) error { return d.queue(ch, q) })
	}
	for _, b := range t.Bindings {
		d.do(fmt.Sprintf("bind queue %q to exchange %q", b.Queue, b.Exchange), func(ch *amqp.Channel) error {
			if d.verify {
				return nil // AMQP cannot ask for a binding
			}
			return ch.QueueBind(b.Queue, b.Key, b.Exchange, false, nil)
		})
	}
	return errors.Join(d.problems...)
}

// declarer declares on a channel nobody else uses, with a new one after each
// refusal, for a refusal closes the channel.
type declarer struct {
	session  *session
	verify   bool
	ch       *amqp.Channel
	lost     bool
	problems []error
}

func (d *declarer) do(op string, declare func(*amqp.Channel) error) {
	if d.lost {
		return
	}
	err := d.session.call(func() error {
		if d.ch == nil || d.ch.IsClosed() {
			ch, err := d.session.conn.Channel()
			if err != nil {
				return err
			}
			d.ch = ch
		}
		return declare(d.ch)
	})
	if err != nil {
		d.lost = d.session.lost()
		d.problems = append(d.problems, declareError(op, err))
	}
}

func (d *declarer) close() {
	if d.ch != nil {
		_ = d.session.call(d.ch.Close)
	}
}

func (d *declarer) exchange(ch *amqp.Channel, x mesh.Exchange) error {
	if d.verify || predeclared(x.Name) {
		return ch.ExchangeDeclarePassive(x.Name, x.Type, true, false, false, false, nil)
	}
	return ch.ExchangeDeclare(x.Name, x.Type, true, false, false, false, nil)
}

// predeclared tells the exchanges every vhost has, which must not be declared.
func predeclared(name string) bool { return strings.HasPrefix(name, "amq.") }

func (d *declarer) queue(ch *amqp.Channel, q broker.Queue) error {
	if d.verify {
		_, err := ch.QueueDeclarePassive(q.Name, true, false, false, false, nil)
		return err
	}
	args, err := queueArguments(q)
	if err != nil {
		return err
	}
	_, err = ch.QueueDeclare(q.Name, true, false, false, false, args)
	return err
}

// deliveryLimit is as good as none: attempts are counted by deliver, which
// dead-letters by the subscription's own limit. It is set all the same, because
// 4.0 drops a message after 20 deliveries by default, and because only quorum
// queues with a limit put a requeued message back to its place. It does not
// depend on the server's version: another argument after an upgrade would make
// every queue a conflict.
const deliveryLimit = int64(1 << 30)

// queueArguments are the x-arguments of a queue. Waiting rooms dead-letter at
// least once, which RabbitMQ does only for quorum queues that refuse publishes
// when full (3.10 and later).
func queueArguments(q broker.Queue) (amqp.Table, error) {
	args := amqp.Table{"x-queue-type": cmp.Or(q.Type, "quorum")}
	switch q.Type {
	case "classic":
	case "", "quorum":
		args["x-delivery-limit"] = deliveryLimit
	default:
		return nil, notSent(broker.Invalid, fmt.Sprintf("declare queue %q", q.Name), fmt.Errorf("queue type %q: want quorum or classic", q.Type))
	}
	if q.Delay > 0 {
		args["x-message-ttl"] = max(q.Delay.Milliseconds(), 1)
		args["x-dead-letter-exchange"] = ""
		args["x-dead-letter-routing-key"] = q.Forward
		if q.Type != "classic" {
			args["x-overflow"] = "reject-publish"
			args["x-dead-letter-strategy"] = "at-least-once"
		}
	}
	return args, nil
}

package layout

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/conn"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/fault"
)

// Objects are what a node declares: what of it is remembered, and what declaring it
// came to. It is safe for concurrent use.
type Objects struct {
	memory

	backs   backstops
	patient sync.Map // queues without disconnectedTimeout, by name
	losses  losses
}

// New returns one that remembers nothing. It logs to log what declaring finds out.
func New(log *slog.Logger) *Objects {
	o := &Objects{}
	o.backs.log, o.losses.log, o.losses.memory = log, log, &o.memory
	return o
}

// Restore declares what is remembered.
func (o *Objects) Restore(s *conn.Session) error { return o.Declare(s, o.All()) }

// Declare makes t exist, or checks that it does, by its policy. It goes on after
// an object that is refused, and returns all refusals; a lost connection ends it.
func (o *Objects) Declare(s *conn.Session, t queueing.Topology) error {
	d := &declarer{objects: o, session: s}
	defer d.close()
	switch t.Policy {
	case mesh.Ignore:
	case mesh.Verify:
		d.verify(t)
	default:
		d.manage(t)
	}
	return errors.Join(d.problems...)
}

func (d *declarer) manage(t queueing.Topology) {
	for _, x := range t.Exchanges {
		d.do(fmt.Sprintf("declare exchange %q", x.Name), func(ch *amqp.Channel) error { return declareExchange(ch, x) })
	}
	noBackstop := d.prepareBackstop(t.Queues)
	for _, q := range t.Queues {
		if err := checkRetries(q, d.session.Server); err != nil {
			d.problems = append(d.problems, fault.NotSent(broker.Conflict, declareOp(q), err))
			continue
		}
		d.declareQueue(q, noBackstop)
	}
	d.bindBackstop(t.Queues)
	for _, b := range t.Bindings {
		d.do(fmt.Sprintf("bind queue %q to exchange %q", b.Queue, b.Exchange), func(ch *amqp.Channel) error {
			return ch.QueueBind(b.Queue, b.Key, b.Exchange, false, nil)
		})
	}
	for _, p := range t.Partitioners {
		d.do(fmt.Sprintf("declare partitioner %q", p.Name), func(ch *amqp.Channel) error { return declarePartitioner(ch, p) })
	}
	d.unbind(t)
}

// unbind removes what is gone. What it asks for is not there any more if the exchange or
// the queue is missing, which some versions answer with NOT_FOUND.
func (d *declarer) unbind(t queueing.Topology) {
	for _, b := range t.Gone {
		d.do(fmt.Sprintf("unbind queue %q from exchange %q", b.Queue, b.Exchange), func(ch *amqp.Channel) error {
			return unlessMissing(ch.QueueUnbind(b.Queue, b.Key, b.Exchange, nil))
		})
	}
	for _, p := range t.GonePartitioners {
		d.do(fmt.Sprintf("unbind partitioner %q from exchange %q", p.Name, p.Exchange), func(ch *amqp.Channel) error {
			return unlessMissing(ch.ExchangeUnbind(p.Name, "#", p.Exchange, false, nil))
		})
	}
}

func unlessMissing(err error) error {
	if fault.KindOf(err) == broker.NotFound {
		return nil
	}
	return err
}

// verify asks for each exchange and queue by a passive declare. RabbitMQ answers
// whether there is one of that name that this connection may use; it compares
// neither type nor arguments then, and AMQP cannot ask for a binding.
func (d *declarer) verify(t queueing.Topology) {
	for _, x := range t.Exchanges {
		d.do(fmt.Sprintf("verify exchange %q", x.Name), func(ch *amqp.Channel) error {
			return missing(passiveExchange(ch, x.Name, x.Type), fmt.Sprintf("a durable exchange of type %s", x.Type))
		})
	}
	for _, q := range t.Queues {
		d.objects.backs.set(q.Name, false)
		d.do(fmt.Sprintf("verify queue %q", q.Name), func(ch *amqp.Channel) error {
			_, err := ch.QueueDeclarePassive(q.Name, true, false, false, false, nil)
			return missing(err, queueText(q))
		})
	}
	for _, p := range t.Partitioners {
		d.do(fmt.Sprintf("verify partitioner %q", p.Name), func(ch *amqp.Channel) error {
			return missing(passiveExchange(ch, p.Name, amqp.ExchangeHeaders), "a durable exchange of type headers")
		})
	}
}

func queueText(q queueing.Queue) string {
	text := "a durable queue of type " + cmp.Or(q.Type, "quorum")
	if q.SingleActive {
		text += " with a single active consumer"
	}
	return text
}

// Inspect asks for a queue by a passive declare.
func Inspect(s *conn.Session, queue string) (found amqp.Queue, err error) {
	err = s.Throwaway(func(ch *amqp.Channel) (err error) {
		found, err = ch.QueueDeclarePassive(queue, true, false, false, false, nil)
		return err
	})
	return found, err
}

// missing says what to do about an object that is not there.
func missing(err error, what string) error {
	if fault.KindOf(err) != broker.NotFound {
		return err
	}
	return fmt.Errorf("declare %s with this name, or let Warren do it with topology Manage: %w", what, err)
}

// declarer declares on a channel nobody else uses, with a new one after each
// refusal, for a refusal closes the channel.
type declarer struct {
	objects  *Objects
	session  *conn.Session
	ch       *amqp.Channel
	lost     bool
	problems []error
}

// do does what op says, and takes down why not.
func (d *declarer) do(op string, declare func(*amqp.Channel) error) {
	d.note(op, d.try(declare))
}

// note takes a refusal down.
func (d *declarer) note(op string, err error) {
	if err != nil && !errors.Is(err, errGivenUp) {
		d.problems = append(d.problems, fault.OfDeclare(op, err))
	}
}

// errGivenUp says that nothing was tried: the connection is lost, which is noted already.
var errGivenUp = errors.New("the connection is lost")

// try returns the broker's own answer.
func (d *declarer) try(declare func(*amqp.Channel) error) error {
	if d.lost {
		return errGivenUp
	}
	err := d.session.Call(func() error {
		if d.ch == nil || d.ch.IsClosed() {
			ch, err := d.session.Channel()
			if err != nil {
				return err
			}
			d.ch = ch
		}
		return declare(d.ch)
	})
	if err != nil {
		d.lost = d.session.Lost()
	}
	return err
}

func (d *declarer) close() {
	if d.ch != nil {
		_ = d.session.Call(d.ch.Close)
	}
}

func declareExchange(ch *amqp.Channel, x mesh.Exchange) error {
	if predeclared(x.Name) {
		return passiveExchange(ch, x.Name, x.Type)
	}
	return ch.ExchangeDeclare(x.Name, x.Type, true, false, false, false, nil)
}

func passiveExchange(ch *amqp.Channel, name, kind string) error {
	return ch.ExchangeDeclarePassive(name, kind, true, false, false, false, nil)
}

// predeclared tells the exchanges every vhost has, which must not be declared.
func predeclared(name string) bool { return strings.HasPrefix(name, "amq.") }

func declareOp(q queueing.Queue) string { return fmt.Sprintf("declare queue %q", q.Name) }

// declare makes q exist. One that an earlier version declared on RabbitMQ 4.3 has no
// disconnectedTimeout, and stays as it is.
func (d *declarer) declare(q queueing.Queue) error {
	args, err := queueArguments(q)
	if err != nil {
		return err
	}
	try := func() error {
		return d.try(func(ch *amqp.Channel) error {
			_, err := ch.QueueDeclare(q.Name, true, false, false, false, args)
			return err
		})
	}
	if _, patient := d.objects.patient.Load(q.Name); patient {
		delete(args, disconnectedArgument) // each try would be an error in the broker's log
		return try()
	}
	if err = try(); fault.Inequivalent(err) != disconnectedArgument {
		return err
	}
	d.objects.patient.Store(q.Name, true)
	delete(args, disconnectedArgument)
	return try()
}

const (
	disconnectedArgument = "x-consumer-disconnected-timeout"
	// disconnectedTimeout is how long, in milliseconds, RabbitMQ 4.3 waits for a consumer
	// whose node cannot be reached before it hands what that holds to others, and a queue
	// with one active consumer to the next. By default it waits 10 s: so long a key stood
	// still when the node that its consumer came through was killed. Before 4.3 nobody
	// waited at all.
	disconnectedTimeout = int64(1000)
)

// deliveryLimit is as good as none: attempts are counted by deliver, which
// dead-letters by the subscription's own limit. It is set all the same, because
// 4.0 drops a message after 20 deliveries by default, and because only quorum
// queues with a limit put a requeued message back to its place. It does not
// depend on the server's version: another argument after an upgrade would make
// every queue a conflict.
const deliveryLimit = int64(1 << 30)

// checkRetries refuses delayed retries where they would not happen: older servers
// keep arguments they do not know, and ignore them.
func checkRetries(q queueing.Queue, server string) error {
	switch {
	case q.RetryDelay <= 0:
		return nil
	case q.Type == "classic":
		return errors.New("a classic queue does not delay retries: want quorum")
	case !DelaysRetries(server):
		return fmt.Errorf("%s does not delay retries: RabbitMQ 4.3 and later do", server)
	default:
		return nil
	}
}

// queueArguments are the x-arguments of a queue. Queues dead-letter at
// least once, which RabbitMQ does only for quorum queues that refuse publishes
// when full (3.10 and later).
func queueArguments(q queueing.Queue) (amqp.Table, error) {
	args := amqp.Table{"x-queue-type": cmp.Or(q.Type, "quorum")}
	switch q.Type {
	case "classic":
	case "", "quorum":
		args["x-delivery-limit"] = deliveryLimit
		args[disconnectedArgument] = disconnectedTimeout
	default:
		return nil, fault.NotSent(broker.Invalid, fmt.Sprintf("declare queue %q", q.Name), fmt.Errorf("queue type %q: want quorum or classic", q.Type))
	}
	if q.SingleActive {
		args["x-single-active-consumer"] = true // a policy cannot set it
	}
	if q.RetryDelay > 0 {
		// What is nacked. Of "failed", what is rejected, the delay would grow from attempt
		// to attempt; but what a closed channel had prefetched is failed too, would wait,
		// and could not be told from what a service refused (measured on 4.3.6).
		delay := max(q.RetryDelay.Milliseconds(), 1)
		args["x-delayed-retry-type"] = "returned"
		args["x-delayed-retry-min"], args["x-delayed-retry-max"] = delay, delay
	}
	exchange, next := DeadLetters, q.DeadLetter
	if q.Kept && q.Type != "classic" { // which would drop what has no way to go
		next = q.Name + aside
	}
	if q.Delay > 0 {
		args["x-message-ttl"] = max(q.Delay.Milliseconds(), 1)
		exchange, next = "", q.Forward
	}
	if next != "" {
		args["x-dead-letter-exchange"] = exchange
		args["x-dead-letter-routing-key"] = next
		if q.Type != "classic" {
			args["x-overflow"] = "reject-publish"
			args["x-dead-letter-strategy"] = "at-least-once"
		}
	}
	return args, nil
}

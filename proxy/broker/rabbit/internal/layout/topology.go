package layout

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/conn"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/fault"
)

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

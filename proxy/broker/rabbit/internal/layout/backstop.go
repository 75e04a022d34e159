package layout

import (
	"fmt"
	"log/slog"
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/envelope"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/fault"
)

// DeadLetters is the exchange to which queues give up what is rejected, what expires, and
// what a limit or a policy takes out of them, with the name of their dead-letter queue as
// the key:
//
//	queue ──x-dead-letter-exchange──▶ warren.dead-letters ──┬─▶ its dead-letter queue
//	                                                        └─▶ whoever watches, see Watch
//
// It is one for all of a vhost. The default exchange would do for the queue alone; but
// then nobody could be told, and AMQP cannot ask which policies there are.
const DeadLetters = envelope.DeadLetters

// aside ends the key by which a dead-letter queue gives up what a policy takes out of it.
// Nothing is bound to it, and so RabbitMQ keeps it, in the queue's own memory of what is to
// be moved: at least once means until it is routed (measured on 3.10.8: a queue that was
// bound minutes later got all). It does not if the policy says drop-head, by which it
// falls back to at most once.
const aside = ".aside"

// backstops are the queues whose dead-letter queue the broker knows, by what declaring
// them came to. It is safe for concurrent use.
type backstops struct {
	log *slog.Logger // set at construction

	mu    sync.Mutex
	known map[string]bool // guarded by mu
}

// set tells whether queue has one, and reports whether that is news.
func (b *backstops) set(queue string, has bool) (news bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.known == nil {
		b.known = map[string]bool{}
	}
	had, known := b.known[queue]
	b.known[queue] = has
	return !known || had != has
}

// lacks reports whether queue is known to have none.
func (b *backstops) lacks(queue string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	has, known := b.known[queue]
	return known && !has
}

func (b *backstops) has(queue string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.known[queue]
}

// Backed reports whether the broker leads what queue gives up to a dead-letter queue.
func (o *Objects) Backed(queue string) bool { return o.backs.has(queue) }

// prepareBackstop declares what queues dead-letter to. The error says why none of them
// can; nil if they can, or none does.
func (d *declarer) prepareBackstop(queues []queueing.Queue) error {
	for _, q := range queues {
		if q.DeadLetter != "" || q.Kept {
			return d.try(func(ch *amqp.Channel) error {
				return ch.ExchangeDeclare(DeadLetters, amqp.ExchangeDirect, true, false, false, false, nil)
			})
		}
	}
	return nil
}

// declareQueue declares q with its dead-letter queue. One that exists without, because
// somebody else or an earlier version declared it, stays as it is: a queue's arguments
// never change, and its messages are worth more than they.
func (d *declarer) declareQueue(q queueing.Queue, noBackstop error) {
	d.objects.losses.look(d, q)
	if q.DeadLetter == "" && !q.Kept {
		d.objects.backs.set(q.Name, false)
		d.note(declareOp(q), d.declare(q))
		return
	}
	known := q.Name
	if q.Kept {
		known += aside
	}
	err := noBackstop
	if err == nil && d.objects.backs.lacks(known) && d.exists(q.Name) {
		return // each try would be an error in the broker's log
	}
	if err == nil {
		err = d.declare(q)
	}
	if err == nil {
		d.objects.backs.set(known, true)
		return
	}
	if noBackstop == nil && !aboutBackstop(err) {
		d.note(declareOp(q), err)
		return
	}
	without := q
	without.DeadLetter, without.Kept = "", false
	if again := d.declare(without); again != nil {
		d.note(declareOp(q), again)
		return
	}
	if d.objects.backs.set(known, false) && q.DeadLetter != "" {
		d.objects.backs.log.Warn("queue has no dead-letter queue of its own: what a policy of the broker takes out of it is gone",
			"queue", q.Name, "wanted", q.DeadLetter, "error", fault.OfDeclare(declareOp(q), err))
	}
}

func (d *declarer) exists(queue string) bool { return d.find(queue) == nil }

// find returns the broker's own answer to whether queue exists.
func (d *declarer) find(queue string) error {
	return d.try(func(ch *amqp.Channel) error {
		_, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
		return err
	})
}

// aboutBackstop reports whether err says that a queue exists with another dead-letter
// queue, or none, or that it may not have this one.
func aboutBackstop(err error) bool {
	switch fault.Inequivalent(err) {
	case "x-dead-letter-exchange", "x-dead-letter-routing-key", "x-dead-letter-strategy", "x-overflow":
		return true
	default:
		return fault.KindOf(err) == broker.Refused
	}
}

// bindBackstop leads what queues give up to their dead-letter queues.
func (d *declarer) bindBackstop(queues []queueing.Queue) {
	bound := map[string]bool{}
	for _, q := range queues {
		if q.DeadLetter == "" || bound[q.DeadLetter] || !d.objects.backs.has(q.Name) {
			continue
		}
		bound[q.DeadLetter] = true
		d.do(fmt.Sprintf("bind dead-letter queue %q", q.DeadLetter), func(ch *amqp.Channel) error {
			return ch.QueueBind(q.DeadLetter, q.DeadLetter, DeadLetters, false, nil)
		})
	}
}

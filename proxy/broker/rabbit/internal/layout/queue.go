package layout

import (
	"cmp"
	"errors"
	"fmt"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/fault"
)

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

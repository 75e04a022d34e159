package layout

import (
	"errors"
	"fmt"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/envelope"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/fault"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
)

// unpartitioned is what the name of a partitioner's alternate exchange ends in.
const unpartitioned = ".unpartitioned"

// declarePartitioner makes the exchanges and bindings of p:
//
//	topic's exchange ──#──▶ headers exchange ──warren-partition=i──▶ Queues[i]
//	                             └─alternate─▶ fanout exchange ────▶ Queues[0]
//
// The binding that lets events in comes last. RabbitMQ compares integers of all
// sizes by value, and never an integer with a string of its digits.
func declarePartitioner(ch *amqp.Channel, p queueing.Partitioner) error {
	rest := p.Name + unpartitioned
	if err := checkPartitioner(p); err != nil {
		return err
	}
	if err := ch.ExchangeDeclare(rest, amqp.ExchangeFanout, true, false, false, false, nil); err != nil {
		return err
	}
	if err := ch.QueueBind(p.Queues[0], "", rest, false, nil); err != nil {
		return err
	}
	args := amqp.Table{"alternate-exchange": rest}
	if err := ch.ExchangeDeclare(p.Name, amqp.ExchangeHeaders, true, false, false, false, args); err != nil {
		return err
	}
	for i, queue := range p.Queues {
		if err := ch.QueueBind(queue, "", p.Name, false, amqp.Table{"x-match": "all", envelope.PartitionHeader: int64(i)}); err != nil {
			return err
		}
	}
	// What a fanout exchange ignores, and a headers exchange too, where no headers
	// are asked for.
	return ch.ExchangeBind(p.Name, "#", p.Exchange, false, nil)
}

func checkPartitioner(p queueing.Partitioner) error {
	op := fmt.Sprintf("declare partitioner %q", p.Name)
	switch {
	case len(p.Queues) == 0:
		return fault.NotSent(broker.Invalid, op, errors.New("a partitioner needs a queue"))
	case p.Name == "" || len(p.Name)+len(unpartitioned) > message.MaxShort:
		return fault.NotSent(broker.Invalid, op, fmt.Errorf("name of %d bytes: want 1 to %d", len(p.Name), message.MaxShort-len(unpartitioned)))
	default:
		return nil
	}
}

package membroker

import (
	"errors"
	"fmt"
	"strings"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
)

// partitioner is the kind of the exchange a partitioner is, as on RabbitMQ.
const partitioner = "headers"

// checkPartitioner compares what is wanted with have, the exchange of that name.
// exchange says whether the topic's exists, and there whether a queue does.
func checkPartitioner(have *exchange, want queueing.Partitioner, exchange bool, there func(string) bool, mustExist bool) error {
	op := fmt.Sprintf("%s partitioner %q", verb(mustExist), want.Name)
	switch {
	case want.Name == "" || len(want.Queues) == 0:
		return &broker.Error{Kind: broker.Invalid, Op: op, Err: errors.New("a partitioner needs a name and a queue")}
	case have == nil && mustExist:
		return notFound(op, "let Warren declare it with topology Manage")
	case have != nil && have.kind != partitioner:
		return conflict(op, "type", have.kind, partitioner)
	case have != nil && have.partitionNames() != strings.Join(want.Queues, ", "):
		return conflict(op, "queues", have.partitionNames(), strings.Join(want.Queues, ", "))
	case !exchange:
		return notFound(op, fmt.Sprintf("exchange %q does not exist", want.Exchange))
	}
	for _, q := range want.Queues {
		if !there(q) {
			return notFound(op, fmt.Sprintf("queue %q does not exist", q))
		}
	}
	return nil
}

// newPartitioner makes p of queues that exist. The caller holds b.mu.
func (b *Broker) newPartitioner(p queueing.Partitioner) *exchange {
	x := &exchange{name: p.Name, kind: partitioner}
	for _, q := range p.Queues {
		x.partitions = append(x.partitions, b.queues[q])
	}
	return x
}

// partitionNames lists the queues in the order of their partitions.
func (x *exchange) partitionNames() string {
	names := make([]string, len(x.partitions))
	for i, q := range x.partitions {
		names[i] = q.Name
	}
	return strings.Join(names, ", ")
}

package membroker

import (
	"slices"
	"strings"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/membroker/store"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
)

// exchange routes by its bindings. It is guarded by Broker.mu.
type exchange struct {
	name     string
	kind     string // topic, direct, fanout; headers for a partitioner
	bindings []binding
	// partitions are a partitioner's queues; it has no bindings.
	partitions []*store.Queue
}

// binding leads to a queue or to a partitioner.
type binding struct {
	queue *store.Queue
	next  *exchange
	key   string
	words []string // key split at dots, for topic exchanges
}

// bind adds b, whose words it fills in, unless it exists.
func (x *exchange) bind(b binding) {
	for i := range x.bindings {
		if have := &x.bindings[i]; have.queue == b.queue && have.next == b.next && have.key == b.key {
			return
		}
	}
	if b.key != "" { // an empty key has no words, as in RabbitMQ
		b.words = strings.Split(b.key, ".")
	}
	x.bindings = append(x.bindings, b)
}

// unbind removes the bindings that gone chooses.
func (x *exchange) unbind(gone func(*binding) bool) {
	kept := x.bindings[:0:0]
	for i := range x.bindings {
		if !gone(&x.bindings[i]) {
			kept = append(kept, x.bindings[i])
		}
	}
	x.bindings = kept
}

// appendQueues appends the queues m is led to, each once.
func (x *exchange) appendQueues(to []*store.Queue, m *queueing.Message) []*store.Queue {
	if len(x.partitions) > 0 {
		return appendOnce(to, x.partition(m))
	}
	for i := range x.bindings {
		bound := &x.bindings[i]
		switch {
		case !x.matches(bound, m.RoutingKey):
		case bound.next != nil:
			to = bound.next.appendQueues(to, m)
		default:
			to = appendOnce(to, bound.queue)
		}
	}
	return to
}

// partition returns the queue of m's partition, the first where there is none.
func (x *exchange) partition(m *queueing.Message) *store.Queue {
	if m.Partitioned && int64(m.Partition) < int64(len(x.partitions)) {
		return x.partitions[m.Partition]
	}
	return x.partitions[0]
}

func appendOnce(to []*store.Queue, q *store.Queue) []*store.Queue {
	if slices.Contains(to, q) {
		return to
	}
	return append(to, q)
}

func (x *exchange) matches(bound *binding, key string) bool {
	switch x.kind {
	case "fanout":
		return true
	case "direct":
		return bound.key == key
	default:
		return matchTopic(bound.words, key, key != "")
	}
}

// matchTopic reports whether a pattern of a topic exchange matches a routing key:
// "*" stands for one word, "#" for any number of words (AMQP 0-9-1, section
// 3.1.3.3). more says that key still has a word, which may be empty.
func matchTopic(pattern []string, key string, more bool) bool {
	for i, word := range pattern {
		if word == "#" {
			return matchRest(pattern[i+1:], key, more)
		}
		if !more {
			return false
		}
		var first string
		first, key, more = strings.Cut(key, ".")
		if word != "*" && word != first {
			return false
		}
	}
	return !more
}

// matchRest tries rest, what follows a "#", at every word of key.
func matchRest(rest []string, key string, more bool) bool {
	if len(rest) == 0 {
		return true
	}
	for {
		if matchTopic(rest, key, more) {
			return true
		}
		if !more {
			return false
		}
		_, key, more = strings.Cut(key, ".")
	}
}

// route appends the queues a message goes to. The caller holds Broker.mu.
func (b *Broker) route(to []*store.Queue, m *queueing.Message) ([]*store.Queue, error) {
	if m.Exchange == "" {
		if q := b.queues[m.RoutingKey]; q != nil {
			to = append(to, q)
		}
		return to, nil
	}
	x := b.exchanges[m.Exchange]
	if x == nil {
		return nil, &broker.Error{Kind: broker.NotFound, Outcome: broker.NotSent, Op: publishOp(m)}
	}
	return x.appendQueues(to, m), nil
}

package membroker

import (
	"slices"
	"strings"

	"github.com/warrenmesh/warren/proxy/broker"
)

// exchange routes by its bindings. It is guarded by Broker.mu.
type exchange struct {
	name     string
	kind     string // topic, direct, fanout
	bindings []binding
}

type binding struct {
	queue *queue
	key   string
	words []string // key split at dots, for topic exchanges
}

// bind adds a binding unless it exists.
func (x *exchange) bind(q *queue, key string) {
	for i := range x.bindings {
		if x.bindings[i].queue == q && x.bindings[i].key == key {
			return
		}
	}
	var words []string // an empty key has none, as in RabbitMQ
	if key != "" {
		words = strings.Split(key, ".")
	}
	x.bindings = append(x.bindings, binding{queue: q, key: key, words: words})
}

// appendQueues appends the queues key leads to, each once.
func (x *exchange) appendQueues(to []*queue, key string) []*queue {
	for i := range x.bindings {
		bound := &x.bindings[i]
		if x.matches(bound, key) && !slices.Contains(to, bound.queue) {
			to = append(to, bound.queue)
		}
	}
	return to
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
func (b *Broker) route(to []*queue, m *broker.Message) ([]*queue, error) {
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
	return x.appendQueues(to, m.RoutingKey), nil
}

package membroker

import (
	"time"

	"github.com/warrenmesh/warren/proxy/broker"
)

// bury puts what q gave up into its dead-letter queue. What does not fit there, or has
// none, is gone.
func (b *Broker) bury(q *queue, reason string, given []*entry) {
	if q.deadLetter == "" || len(given) == 0 {
		return
	}
	dead := b.queue(q.deadLetter)
	if dead == nil {
		return
	}
	for _, e := range given {
		dead.put(&entry{message: e.letter(reason), attempt: e.attempt})
	}
}

// letter is the entry's message as a dead letter that the broker made.
func (e *entry) letter(reason string) *stored {
	m := *e.message
	m.TTL = 0
	exchange, key := m.origin()
	m.OriginExchange, m.OriginKey = exchange, key
	m.DeadLetter = &broker.DeadLetter{
		Reason: reason, Exchange: exchange, RoutingKey: key,
		Attempts: e.attempt, FirstFailure: m.FirstFailure, Time: time.Now(),
	}
	return &m
}

// origin is where the message was first published.
func (m *stored) origin() (exchange, key string) {
	if m.OriginExchange != "" || m.OriginKey != "" {
		return m.OriginExchange, m.OriginKey
	}
	return m.Exchange, m.RoutingKey
}

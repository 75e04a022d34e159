package membroker

import (
	"cmp"
	"sync"

	"github.com/warrenmesh/warren/proxy/broker/membroker/store"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
)

// Options bounds what a Broker keeps.
type Options struct {
	// MaxQueueLength is the number of messages a queue holds, delivered and
	// unsettled ones included; a publish to a full queue is nacked. 0 means 100,000.
	MaxQueueLength int
	// MaxQueueBytes is the sum of the data bytes a queue holds, counted and
	// enforced likewise. 0 means 256 MiB.
	MaxQueueBytes int
	// Faults is for tests; nil means that nothing happens to the broker.
	Faults Faults
}

// Broker is an in-process message broker. Make one with New; Close it when its
// nodes have ended.
type Broker struct {
	// Set at construction.
	options Options

	watchers watchers

	// timers counts the timers of delay queues that are pending or running.
	timers sync.WaitGroup

	// Guarded by mu. The maps' values guard themselves.
	mu        sync.RWMutex
	exchanges map[string]*exchange
	queues    map[string]*store.Queue
}

// New makes an empty broker with the predeclared exchanges of AMQP. It starts
// nothing.
func New(options Options) *Broker {
	options.MaxQueueLength = cmp.Or(options.MaxQueueLength, 100_000)
	options.MaxQueueBytes = cmp.Or(options.MaxQueueBytes, 256<<20)
	if options.Faults == nil {
		options.Faults = none{}
	}
	b := &Broker{
		options:   options,
		exchanges: map[string]*exchange{},
		queues:    map[string]*store.Queue{},
	}
	for _, kind := range exchangeKinds {
		b.exchanges["amq."+kind] = &exchange{name: "amq." + kind, kind: kind}
	}
	return b
}

// Close stops the timers of delay queues and drops everything that is queued. The
// nodes must have ended. It is idempotent.
func (b *Broker) Close() {
	b.mu.Lock()
	for _, q := range b.queues {
		q.Close()
	}
	clear(b.queues)
	clear(b.exchanges)
	b.mu.Unlock()
	b.timers.Wait()
}

// Peek returns copies of the first messages that are ready in a queue, at most
// limit, in order, without taking them. Their events are read-only. It returns nil
// when there is no such queue.
func (b *Broker) Peek(queue string, limit int) []*queueing.Message {
	if q := b.queue(queue); q != nil {
		return q.Peek(limit)
	}
	return nil
}

// Len returns how many messages of a queue are ready and how many are delivered
// and unsettled; both are 0 when there is no such queue.
func (b *Broker) Len(queue string) (ready, unsettled int) {
	if q := b.queue(queue); q != nil {
		return q.Len()
	}
	return 0, 0
}

func (b *Broker) queue(name string) *store.Queue {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.queues[name]
}

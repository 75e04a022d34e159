package queueing

import (
	"fmt"
	"time"

	"github.com/warrenmesh/warren/mesh"
)

// Queues returns the queues s receives from: one, or one for each partition when
// it is ordered by key.
func Queues(s *mesh.Subscription) []string {
	if s.Ordering != mesh.PerKey {
		return []string{s.Queue.Name}
	}
	queues := make([]string, max(s.Partitions.Count, 1))
	for i := range queues {
		queues[i] = s.Queue.Partition(uint32(i))
	}
	return queues
}

// Layout returns what a subscription needs on its broker: the topic's exchange,
// the subscription's queue bound to all of the exchange's events, the dead-letter
// queue, and one waiting room for each delay of its backoff, unless its queue makes
// retries wait itself. Filters are applied by the sidecar: a change of filters must
// not leave old bindings behind.
//
// Ordered by key it is one queue a partition, behind a partitioner, and no waiting
// rooms: an event that waits for its next attempt waits in the sidecar, unsettled,
// and its key with it. A last queue is for counting who shares the partitions.
//
// With topology Verify or Ignore, Warren creates no bindings. Delay queues are used if they
// exist: settler.repeat and partitions.share work without them.
func Layout(s *mesh.Subscription, policy mesh.TopologyPolicy) Topology {
	if s.Ordering == mesh.PerKey {
		return layoutPerKey(s, policy)
	}
	t := Topology{
		Policy:    policy,
		Exchanges: []mesh.Exchange{s.Exchange},
		Queues: []Queue{
			{Name: s.Queue.Name, Type: s.Queue.Type, DeadLetter: backstop(s, policy)},
			{Name: s.DeadLetterQueue, Type: s.Queue.Type, Kept: policy == mesh.Manage},
		},
	}
	if s.Strategy == mesh.BrokerDelay {
		t.Queues[0].RetryDelay = s.Backoff.Base
	}
	if policy != mesh.Manage {
		return t
	}
	t.Bindings = []Binding{{Exchange: s.Exchange.Name, Queue: s.Queue.Name, Key: "#"}}
	if s.Strategy == mesh.BrokerDelay {
		return t
	}
	for _, delay := range delays(s) {
		t.Queues = append(t.Queues, Queue{
			Name: waitingRoom(s, delay), Type: s.Queue.Type, Delay: delay, Forward: s.Queue.Name,
		})
	}
	return t
}

// backstop is the dead-letter queue as the subscription's queues name it themselves. What
// a policy of the broker takes out of them goes there; nobody else would know of it.
func backstop(s *mesh.Subscription, policy mesh.TopologyPolicy) string {
	if policy != mesh.Manage {
		return ""
	}
	return s.DeadLetterQueue
}

func layoutPerKey(s *mesh.Subscription, policy mesh.TopologyPolicy) Topology {
	t := Topology{Policy: policy, Exchanges: []mesh.Exchange{s.Exchange}}
	queues := Queues(s)
	for _, q := range queues {
		t.Queues = append(t.Queues, Queue{Name: q, Type: s.Queue.Type, SingleActive: true, DeadLetter: backstop(s, policy)})
	}
	t.Queues = append(t.Queues, Queue{Name: s.DeadLetterQueue, Type: s.Queue.Type, Kept: policy == mesh.Manage})
	if policy == mesh.Manage {
		// RabbitMQ does not count those that stand by at a queue with one active consumer.
		t.Queues = append(t.Queues, Queue{Name: s.Queue.Members(), Type: s.Queue.Type})
	}
	t.Partitioners = []Partitioner{{Name: s.Queue.Name + ".partitions", Exchange: s.Exchange.Name, Queues: queues}}
	return t
}

// delays lists the distinct delays of the subscription's backoff, ascending. One
// queue a delay: a TTL takes effect only at the head of a queue, so messages with
// different delays must not stand in one line.
func delays(s *mesh.Subscription) []time.Duration {
	var out []time.Duration
	for n := uint32(1); n < s.Attempts; n++ {
		d := s.Backoff.Delay(n)
		if d <= 0 {
			continue
		}
		if len(out) > 0 && out[len(out)-1] == d {
			break // the backoff has reached its maximum
		}
		out = append(out, d)
	}
	return out
}

func waitingRoom(s *mesh.Subscription, d time.Duration) string {
	return fmt.Sprintf("%s.retry.%dms", s.Queue.Name, d.Milliseconds())
}

// retryQueue names the queue a delivery waits in after its attempt-th attempt
// failed, and how long. A service's own wish takes the shortest delay that is long
// enough, else the longest there is. Without any delay it is the subscription's
// queue itself.
func retryQueue(s *mesh.Subscription, attempt uint32, wish time.Duration) (queue string, delay time.Duration) {
	tiers := delays(s)
	if len(tiers) == 0 {
		return s.Queue.Name, 0
	}
	if wish <= 0 {
		wish = s.Backoff.Delay(attempt)
	}
	for _, d := range tiers {
		if d >= wish {
			return waitingRoom(s, d), d
		}
	}
	longest := tiers[len(tiers)-1]
	return waitingRoom(s, longest), longest
}

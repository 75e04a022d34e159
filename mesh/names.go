package mesh

import (
	"strconv"
	"time"
)

// MaxAMQPName is the most bytes of the name of a queue or an exchange (shortstr).
const MaxAMQPName = 255

// DeadLetters returns the name of the queue for messages that the broker itself drops
// from a queue. It takes the subscription's dead letters too, unless the subscription
// names another.
func (q *Queue) DeadLetters() string { return q.Name + ".dead" }

// Delay returns the name of the queue in which retries wait for this delay.
func (q *Queue) Delay(d time.Duration) string {
	return q.Name + ".retry." + strconv.FormatInt(d.Milliseconds(), 10) + "ms"
}

// Partitioner returns the name of the exchange that spreads events over the queues of
// the partitions, and Unpartitioned that of the exchange beside it for events without
// a partition.
func (q *Queue) Partitioner() string { return q.Name + ".partitions" }

// Unpartitioned is explained at Partitioner.
func (q *Queue) Unpartitioned() string { return q.Partitioner() + ".unpartitioned" }

// Delays lists the delays that retries wait for in queues, ascending: none when they wait
// elsewhere. Of delays within one millisecond, which share a queue, it has the first.
func (s *Subscription) Delays() []time.Duration {
	if s.Ordering == PerKey || s.Strategy == BrokerDelay {
		return nil
	}
	var out []time.Duration
	for n := uint32(1); n < s.Attempts; n++ {
		d := s.Backoff.Delay(n)
		if d <= 0 {
			break
		}
		if len(out) == 0 || out[len(out)-1].Milliseconds() != d.Milliseconds() {
			out = append(out, d)
		}
		if d == s.Backoff.Max {
			break
		}
	}
	return out
}

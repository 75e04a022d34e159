package send

import (
	"context"
	"hash/maphash"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/internal/grow"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/conn"
)

// shards is how many lanes the partitions of one exchange share.
const shards = 4

// laneKey says which publishes stay in order behind each other. A lane of their own
// keeps the trouble of one exchange (it is missing, its queue nacks or is frozen)
// from the publishes to others, and that of one partition from most others.
type laneKey struct {
	exchange string
	shard    uint32 // of a partitioned message
}

// lanes are the publish channels of one session. There is none at first: each is
// opened by the first publish that needs it.
type lanes struct {
	// Set at construction.
	session *conn.Session
	learn   func(*amqp.Error) // why the broker closed a channel

	byKey grow.Map[laneKey, *lane]

	// Guarded by mu.
	mu     sync.Mutex
	all    []*lane
	closed bool
}

func newLanes(s *conn.Session, learn func(*amqp.Error)) *lanes {
	return &lanes{session: s, learn: learn}
}

// of returns the lane of p.
func (l *lanes) of(p *pending) *lane {
	key := laneKey{p.exchange, p.shard}
	if found, ok := l.byKey.Get(key); ok {
		return found
	}
	return l.byKey.Add(key, func() *lane { return l.pick(key) })
}

// pick makes the lane of a new key, or shares one when there are enough.
func (l *lanes) pick(key laneKey) *lane {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.all); n >= l.session.Options.Channels {
		return l.all[maphash.Comparable(laneSeed, key)%uint64(n)]
	}
	made := newLane(l.session, l.learn)
	made.closed = l.closed
	l.session.Spawn(made.run) // of a session that ends, publishes find out by themselves
	l.all = append(l.all, made)
	return made
}

var laneSeed = maphash.MakeSeed()

func (l *lanes) list() []*lane {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all[:len(l.all):len(l.all)]
}

// waited is how long the oldest publish has waited for its confirm, 0 when none does.
func (l *lanes) waited() (longest time.Duration) {
	for _, lane := range l.list() {
		if c := lane.current(); c != nil {
			longest = max(longest, c.waited())
		}
	}
	return longest
}

// drain retires every channel and waits until what was published is settled, or
// ctx ends.
func (l *lanes) drain(ctx context.Context) {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	for _, lane := range l.list() {
		lane.shut(ctx)
	}
}

// shardOf tells apart the partitions of an exchange that need not wait for each
// other. What is copied straight to a queue needs no order.
func shardOf(m *queueing.Message) uint32 {
	if !m.Partitioned || m.Exchange == "" {
		return 0
	}
	return m.Partition % shards
}

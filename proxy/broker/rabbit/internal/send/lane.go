package send

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/internal/grow"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/conn"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/fault"
)

// lane is a place for one publish channel. It has at most one that takes new
// publishes, and replaces it when it is retired: after a nack, or when the broker
// closed it. A replacement opens only when the old channel has written everything
// it took, which keeps the order on the wire, and, unless that takes long, when all
// of it is decided: RabbitMQ does not keep the order between channels.
type lane struct {
	// Set at construction.
	session *conn.Session
	learn   func(*amqp.Error) // why the broker closed a channel

	// Guarded by mu.
	mu      sync.Mutex
	channel *channel      // nil between two channels
	last    *channel      // the one opened last
	changed chan struct{} // closed and replaced when channel is set
	closed  bool
}

func newLane(s *conn.Session, learn func(*amqp.Error)) *lane {
	return &lane{session: s, learn: learn, changed: make(chan struct{})}
}

// open makes the lane's next channel.
func (l *lane) open() error {
	r := newRing(l.session.Options.Window)
	w, err := openWire(l.session, r)
	if err != nil {
		return err
	}
	c := newChannel(w, r, l.session.Options.Window, &l.session.Alarm)
	if !c.start(l.session, w, l.learn) {
		return fault.ErrStopped
	}
	l.set(c)
	return nil
}

// run opens the lane's channels, one after the other, until the session ends.
func (l *lane) run() {
	for !l.isClosed() && !l.session.Lost() {
		if err := l.open(); err != nil {
			l.session.Kill() // a lane that cannot open a channel needs a new connection
			return
		}
		c := l.last
		<-c.retired
		l.set(nil)
		<-c.flushed
		c.decided(retireAge)
	}
}

// publish gives the messages of r to the lane's channels, in their order, and returns how many
// were taken before the error.
func (l *lane) publish(ctx context.Context, r run) (n int, err error) {
	for all := r; ; {
		c, err := l.wait(ctx)
		if err != nil {
			return r.from - all.from, fault.NotSent(fault.KindOf(err), r.first().op(), err)
		}
		n, err := c.accept(ctx, r)
		if r.from += n; err != nil || r.from == r.to {
			return r.from - all.from, err
		}
	}
}

func (l *lane) current() *channel {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.channel
}

func (l *lane) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

func (l *lane) set(c *channel) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.channel = c
	if c != nil {
		l.last = c
	}
	close(l.changed)
	l.changed = make(chan struct{})
	if c != nil && l.closed {
		c.retire()
	}
}

// errLost is the cause of publishes that find no connection any more.
var errLost = errors.New("connection lost")

// wait returns the channel that takes publishes.
func (l *lane) wait(ctx context.Context) (*channel, error) {
	for {
		l.mu.Lock()
		c, changed, closed := l.channel, l.changed, l.closed
		l.mu.Unlock()
		switch {
		case closed:
			return nil, fault.ErrStopped
		case c != nil && !c.isRetired():
			return c, nil
		}
		select {
		case <-changed:
		case <-l.session.Alarm.Signal():
			return nil, fault.ErrBlocked // no channel is opened meanwhile
		case <-l.session.Done():
			return nil, errLost
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// shut stops taking publishes and waits until those taken are decided, or ctx
// ends.
func (l *lane) shut(ctx context.Context) {
	l.mu.Lock()
	l.closed = true
	c := l.last
	l.mu.Unlock()
	if c == nil {
		return // none was opened yet, and none will be
	}
	c.retire()
	select {
	case <-c.drained:
	case <-ctx.Done():
	}
}

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

// drain retires every channel and waits until what was published is decided, or
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

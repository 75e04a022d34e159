package pool

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/xds/mesh"
)

// identity is everything about a node that needs a new connection when it changes.
type identity struct {
	brokerType  mesh.BrokerType
	address     string
	vhost       string
	credentials string
	heartbeat   time.Duration
}

func identify(b *mesh.Broker, n mesh.Node) identity {
	return identity{b.Type, n.Address, b.VHost, b.Credentials, b.Heartbeat}
}

// node is a running driver as one configuration sees it.
type node struct {
	*shared
	priority uint32
}

// shared is the part of a node that outlives configurations.
type shared struct {
	driver   broker.Driver
	identity identity
	log      *slog.Logger
	cancel   context.CancelFunc

	mu     sync.Mutex
	queue  []*declaration // guarded by mu; declared in order
	signal chan struct{}  // cap 1: queue grew
}

func newNode(d broker.Driver, id identity, n mesh.Node, log *slog.Logger) *node {
	s := &shared{driver: d, identity: id, log: log.With("broker_node", n.Address), signal: make(chan struct{}, 1)}
	return &node{shared: s, priority: n.Priority}
}

// at returns the same running node as another configuration sees it.
func (n *node) at(spec mesh.Node) *node { return &node{shared: n.shared, priority: spec.Priority} }

func (s *shared) start(ctx context.Context, wg *sync.WaitGroup) {
	ctx, s.cancel = context.WithCancel(ctx)
	wg.Go(func() {
		if err := s.driver.Run(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("broker driver ended", "error", err)
		}
	})
	wg.Go(func() { s.declareAll(ctx) })
}

func (s *shared) stop() { s.cancel() }

// declare queues what this node has not been asked to declare yet.
func (s *shared) declare(wanted map[string]*declaration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range wanted {
		if d.claim(s) {
			s.queue = append(s.queue, d)
		}
	}
	select {
	case s.signal <- struct{}{}:
	default: // already told
	}
}

func (s *shared) next() *declaration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return nil
	}
	d := s.queue[0]
	s.queue = s.queue[1:]
	return d
}

// redeclareDelay is how long a refused or conflicting declaration rests before
// it is tried again; somebody has to change something on the broker first.
const redeclareDelay = 5 * time.Second

func (s *shared) declareAll(ctx context.Context) {
	var failed []*declaration
	retry := time.NewTimer(redeclareDelay)
	defer retry.Stop()
	for {
		for d := s.next(); d != nil; d = s.next() {
			if !s.declareOne(ctx, d) {
				failed = append(failed, d)
				retry.Reset(redeclareDelay)
			}
		}
		select {
		case <-s.signal:
		case <-retry.C:
			s.mu.Lock()
			s.queue = append(s.queue, failed...)
			s.mu.Unlock()
			failed = nil
		case <-ctx.Done():
			return
		}
	}
}

func (s *shared) declareOne(ctx context.Context, d *declaration) bool {
	err := s.driver.EnsureTopology(ctx, d.topology)
	if ctx.Err() != nil {
		return true // stopping; nobody waits any more
	}
	if d.settle(err) && err != nil {
		s.log.Error("topology cannot be declared", "object", d.key, "error", err)
	}
	return err == nil
}

// declaration is topology on its way to the broker, shared by a broker's nodes:
// it exists when one of them declared it.
type declaration struct {
	key      string
	topology broker.Topology
	ready    atomic.Bool // mirrors exists, so that an event takes no lock

	mu      sync.Mutex
	claimed map[*shared]bool // guarded by mu
	exists  bool             // guarded by mu
	err     error            // guarded by mu; why it could not be declared
	changed chan struct{}    // guarded by mu; closed at the next change
}

// takeDeclaration keeps the old declaration of the same key and content, so that
// an unrelated change of configuration makes nobody wait.
func takeDeclaration(old *entry, w Declaration) *declaration {
	if old != nil {
		if d, ok := old.declarations[w.Key]; ok && equalTopology(d.topology, w.Topology) {
			return d
		}
	}
	return &declaration{key: w.Key, topology: w.Topology, claimed: map[*shared]bool{}, changed: make(chan struct{})}
}

func (d *declaration) claim(s *shared) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.claimed[s] {
		return false
	}
	d.claimed[s] = true
	return true
}

// settle records a result and reports whether it is news.
func (d *declaration) settle(err error) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.exists {
		return false
	}
	news := err == nil || d.err == nil || d.err.Error() != err.Error()
	d.exists, d.err = err == nil, err
	d.ready.Store(d.exists)
	close(d.changed)
	d.changed = make(chan struct{})
	return news
}

func (d *declaration) wait(ctx context.Context) error {
	for {
		d.mu.Lock()
		exists, err, changed := d.exists, d.err, d.changed
		d.mu.Unlock()
		if exists {
			return nil
		}
		if err != nil && broker.KindOf(err) != broker.Unavailable {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return &broker.Error{Kind: broker.Unavailable, Op: "declare " + d.key, Err: errors.Join(err, ctx.Err())}
		}
	}
}

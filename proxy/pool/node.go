package pool

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/warrenmesh/warren/internal/join"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/balance"
	"github.com/warrenmesh/warren/proxy/broker"
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
	local    bool      // in the zone of the sidecar
	alone    bool      // it is the broker's only one
	began    time.Time // what times of its outlier count from
}

// shared is the part of a node that outlives configurations.
type shared struct {
	// set at construction
	driver   broker.Driver
	identity identity
	log      *slog.Logger
	declared func()
	signal   chan struct{} // cap 1: wanted was replaced

	cancel context.CancelFunc // set by start

	outlier balance.Outlier // what became of publishes

	// wanted is what the configuration in force asks for; replaced as a whole.
	wanted atomic.Pointer[[]*declaration]
}

func newNode(d broker.Driver, id identity, o Options) *shared {
	s := &shared{driver: d, identity: id, log: o.Logger.With("broker_node", id.address), declared: o.OnDeclared, signal: make(chan struct{}, 1)}
	s.wanted.Store(new([]*declaration))
	return s
}

// as returns the running node as a configuration sees it, from a sidecar in zone.
func (s *shared) as(spec mesh.Node, zone string) *node {
	return &node{shared: s, priority: spec.Priority, local: zone != "" && spec.Zone == zone}
}

func (s *shared) start(ctx context.Context, wg *join.Group) {
	ctx, s.cancel = context.WithCancel(ctx)
	wg.Go(func() {
		if err := s.driver.Run(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("broker driver ended", "error", err)
		}
	})
	wg.Go(func() { s.declareAll(ctx) })
}

func (s *shared) stop() { s.cancel() }

// want makes ds what this node has to declare.
func (s *shared) want(ds []*declaration) {
	s.wanted.Store(&ds)
	select {
	case s.signal <- struct{}{}:
	default: // already told
	}
}

// redeclareDelay is how long a refused or conflicting declaration rests before
// it is tried again; somebody has to change something on the broker first.
const redeclareDelay = 5 * time.Second

// declareAll declares what is wanted, once each, and tries again what failed.
func (s *shared) declareAll(ctx context.Context) {
	declared := map[*declaration]bool{}
	retry := time.NewTimer(redeclareDelay)
	defer retry.Stop()
	for {
		var failed bool
		declared, failed = s.declareRound(ctx, declared)
		if failed {
			retry.Reset(redeclareDelay)
		}
		select {
		case <-s.signal:
		case <-retry.C:
		case <-ctx.Done():
			return
		}
	}
}

// declareRound goes through what is wanted now, and returns which of that this
// node has declared. What no configuration wants any more is forgotten.
func (s *shared) declareRound(ctx context.Context, before map[*declaration]bool) (declared map[*declaration]bool, failed bool) {
	wanted := *s.wanted.Load()
	declared = make(map[*declaration]bool, len(wanted))
	for _, d := range wanted {
		if before[d] || s.declareOne(ctx, d) {
			declared[d] = true
		} else {
			failed = true
		}
	}
	return declared, !s.keep(ctx, wanted) || failed
}

// keep has the driver forget what no configuration wants any more, and reports whether that
// needs no further try.
func (s *shared) keep(ctx context.Context, wanted []*declaration) (done bool) {
	objects := make([]broker.Object, 0, len(wanted))
	for _, d := range wanted {
		objects = append(objects, d.object)
	}
	err := s.driver.Keep(ctx, objects)
	if err == nil || ctx.Err() != nil {
		return true
	}
	s.log.Warn("what the configuration names no more cannot be given up: what is published there still comes", "error", err)
	return false
}

// declareOne reports whether d needs no further try. It gives up as soon as d is
// dropped: what nobody wants any more must not appear on the broker.
func (s *shared) declareOne(ctx context.Context, d *declaration) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(d.life, cancel)()
	if d.life.Err() != nil {
		return true
	}
	err := s.driver.Ensure(ctx, d.object)
	if ctx.Err() != nil {
		return true // dropped, or the node stops
	}
	verdict := d.conclude(err)
	s.declared()
	switch verdict {
	case refused:
		s.log.Error("topology cannot be declared", "object", d.key, "error", err)
	case healed:
		s.log.Info("topology is declared now", "object", d.key)
	case nothingNew:
	}
	return err == nil
}

package snapshot

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/pool"
	"github.com/warrenmesh/warren/proxy/refusal"
	"github.com/warrenmesh/warren/proxy/route"
)

// Brokers run the drivers that a configuration needs; pool.Pool is one.
type Brokers interface {
	// Apply makes brokers and declarations those given, or returns why it cannot and
	// changes nothing. It does not wait for a broker.
	Apply(brokers map[mesh.Name]*mesh.Broker, declarations map[mesh.Name][]pool.Declaration) error
}

// Options configure a Store.
type Options struct {
	// Brokers are required.
	Brokers Brokers
	// Fetch asks for a topic and returns when it is in force, at the latest when ctx ends.
	// The error is a refusal. Required.
	Fetch func(context.Context, mesh.Name) error
}

// Store holds the snapshot in force. Build it with New.
type Store struct {
	opts    Options
	current atomic.Pointer[Snapshot] // nil until the first Apply
}

// New builds a Store in which nothing is in force.
func New(opts Options) *Store { return &Store{opts: opts} }

// Apply puts cfg, which was put together at the given time, in force. When Brokers refuse
// it, it returns their error and the snapshot before stays.
func (s *Store) Apply(cfg *mesh.Config, at time.Time) error {
	// Brokers first: whoever sees the new snapshot finds its brokers running.
	if err := s.opts.Brokers.Apply(cfg.Brokers, declarations(cfg)); err != nil {
		return err // the reason for the control plane, in the brokers' words
	}
	old := s.current.Load()
	s.current.Store(compile(cfg, at))
	if old != nil {
		close(old.superseded)
	}
	return nil
}

// Current returns the snapshot in force, nil when there is none yet.
func (s *Store) Current() *Snapshot { return s.current.Load() }

// Lookup returns a topic that is in force. It never blocks.
func (s *Store) Lookup(name mesh.Name) (*route.Topic, bool) {
	cur := s.current.Load()
	if cur == nil {
		return nil, false
	}
	return cur.Topics.Topic(name)
}

// Await is Lookup for a topic that may never have been used: it is fetched, and waited for
// within ctx. The error is a refusal.
func (s *Store) Await(ctx context.Context, name mesh.Name) (*route.Topic, error) {
	if t, ok := s.Lookup(name); ok {
		return t, nil
	}
	if err := s.opts.Fetch(ctx, name); err != nil {
		return nil, err
	}
	if t, ok := s.Lookup(name); ok {
		return t, nil
	}
	return nil, refusal.Later(refusal.ConfigNotReady, fmt.Sprintf("configuration of topic %s is changing", name))
}

// Subscription returns a subscription of this workload and a channel that is closed when
// another snapshot is in force. It never blocks. The error is a refusal.
func (s *Store) Subscription(name mesh.Name) (*Subscription, <-chan struct{}, error) {
	cur := s.current.Load()
	if cur == nil {
		return nil, nil, refusal.Later(refusal.ConfigNotReady, "no configuration has arrived from the control plane yet")
	}
	sub, ok := cur.Subscriptions[name]
	if !ok {
		return nil, nil, refusal.Missing(refusal.SubscriptionUnknown, "EventSubscription", name.String(),
			fmt.Sprintf("subscription %s does not exist or its selector does not match this workload's labels", name))
	}
	return sub, cur.superseded, nil
}

// Declared returns a subscription as it was declared. It never blocks. The error is a
// refusal.
func (s *Store) Declared(name mesh.Name) (*mesh.Subscription, error) {
	sub, _, err := s.Subscription(name)
	if err != nil {
		return nil, err
	}
	return sub.Subscription, nil
}

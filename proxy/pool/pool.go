// Package pool runs the drivers of all brokers a sidecar knows.
//
// It owns starting, stopping and choosing nodes, and seeing to it that topology is
// declared. It does not publish, consume or retry: publish and deliver do, with the
// drivers picked here. Apply is called by one goroutine at a time; everything else
// is safe for concurrent use, and lookups take no lock.
package pool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/warrenmesh/warren/proxy/balance"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/xds/mesh"
)

// Options configure a Pool.
type Options struct {
	// NewDriver builds the driver of one node. Memory brokers have one node with an
	// empty address. Required.
	NewDriver func(*mesh.Broker, mesh.Node) (broker.Driver, error)
	// Logger is required.
	Logger *slog.Logger
}

// Pool holds running drivers. Build it with New, then Start.
type Pool struct {
	opts Options

	// set by Start
	ctx    context.Context //nolint:containedctx // the life of the drivers, ended by Stop
	cancel context.CancelFunc

	running sync.WaitGroup // one for each goroutine of a node
	turn    atomic.Uint32  // round robin among equal nodes

	// view is replaced as a whole by Apply.
	view atomic.Pointer[map[mesh.Name]*entry]
}

// entry is one broker.
type entry struct {
	spec         *mesh.Broker
	nodes        []*node
	declarations map[string]*declaration
}

// New builds a pool without brokers.
func New(opts Options) *Pool {
	p := &Pool{opts: opts}
	p.view.Store(&map[mesh.Name]*entry{})
	return p
}

// Start makes the pool ready for Apply. Drivers live until Stop.
func (p *Pool) Start(ctx context.Context) {
	p.ctx, p.cancel = context.WithCancel(context.WithoutCancel(ctx))
}

// Stop closes all drivers and returns when they are closed, or when ctx ends. It
// is idempotent.
func (p *Pool) Stop(ctx context.Context) error {
	if p.cancel == nil {
		return nil
	}
	p.cancel()
	done := make(chan struct{})
	go func() { p.running.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close broker connections: %w", ctx.Err())
	}
}

// Declaration is topology that must exist before a key is used.
type Declaration struct {
	Key      string // e.g. the resource name of the topic or subscription
	Topology broker.Topology
}

// Apply makes brokers and declarations those given: it starts drivers of new
// nodes, keeps the ones that did not change, stops the others, and declares what
// is not declared yet in the background.
func (p *Pool) Apply(brokers map[mesh.Name]*mesh.Broker, declarations map[mesh.Name][]Declaration) error {
	old := *p.view.Load()
	next := make(map[mesh.Name]*entry, len(brokers))
	var errs []error
	for _, name := range slices.SortedFunc(maps.Keys(brokers), compareNames) {
		e, err := p.reconcile(old[name], brokers[name], declarations[name])
		if err != nil {
			errs = append(errs, fmt.Errorf("broker %s: %w", name, err))
		}
		next[name] = e
	}
	p.view.Store(&next)
	for name, e := range old {
		stopUnused(e, next[name])
	}
	return errors.Join(errs...)
}

func compareNames(a, b mesh.Name) int {
	return slices.Compare([]string{a.Namespace, a.Name}, []string{b.Namespace, b.Name})
}

// reconcile builds the entry of a broker, taking over what is unchanged in old.
func (p *Pool) reconcile(old *entry, spec *mesh.Broker, wanted []Declaration) (*entry, error) {
	e := &entry{spec: spec, declarations: make(map[string]*declaration, len(wanted))}
	for _, w := range wanted {
		e.declarations[w.Key] = takeDeclaration(old, w)
	}
	nodes := spec.Nodes
	if spec.Type == mesh.Memory {
		nodes = []mesh.Node{{}}
	}
	var errs []error
	for _, n := range nodes {
		running, err := p.takeNode(old, spec, n)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		running.declare(e.declarations)
		e.nodes = append(e.nodes, running)
	}
	return e, errors.Join(errs...)
}

func (p *Pool) takeNode(old *entry, spec *mesh.Broker, n mesh.Node) (*node, error) {
	identity := identify(spec, n)
	if old != nil {
		for _, running := range old.nodes {
			if running.identity == identity {
				return running.at(n), nil
			}
		}
	}
	driver, err := p.opts.NewDriver(spec, n)
	if err != nil {
		return nil, fmt.Errorf("node %q: %w", n.Address, err)
	}
	running := newNode(driver, identity, n, p.opts.Logger)
	running.start(p.ctx, &p.running)
	return running, nil
}

func stopUnused(old, next *entry) {
	for _, n := range old.nodes {
		used := next != nil && slices.ContainsFunc(next.nodes, func(m *node) bool { return m.shared == n.shared })
		if !used {
			n.stop()
		}
	}
}

// Ready waits until the declaration of key exists on the broker. A conflict or a
// refusal is returned at once; while the broker cannot be reached Ready waits, and
// when ctx ends it returns Unavailable, not sent.
func (p *Pool) Ready(ctx context.Context, name mesh.Name, key string) error {
	e, ok := (*p.view.Load())[name]
	if !ok {
		return unknownBroker(name)
	}
	d, ok := e.declarations[key]
	if !ok {
		return nil // nothing to declare for it
	}
	if d.ready.Load() {
		return nil
	}
	err := d.wait(ctx)
	if broker.KindOf(err) == broker.Unavailable {
		err = &broker.Error{Kind: broker.Unavailable, Op: "wait for " + key + " to be declared on broker " + name.String(), Err: errors.Join(e.unready(), ctx.Err())}
	}
	return err
}

// Pick chooses a node to publish to; tried are drivers an earlier try of the same
// event went to.
func (p *Pool) Pick(name mesh.Name, tried []broker.Driver) (broker.Driver, error) {
	return p.pick(name, func(n *node) balance.Candidate {
		return balance.Candidate{Priority: n.priority, Up: n.driver.State().Publishing, Tried: slices.Contains(tried, n.driver)}
	})
}

// PickConsumer chooses a node to consume from.
func (p *Pool) PickConsumer(name mesh.Name) (broker.Driver, error) {
	return p.pick(name, func(n *node) balance.Candidate {
		return balance.Candidate{Priority: n.priority, Up: n.driver.State().Consuming}
	})
}

func (p *Pool) pick(name mesh.Name, candidate func(*node) balance.Candidate) (broker.Driver, error) {
	e, ok := (*p.view.Load())[name]
	if !ok || len(e.nodes) == 0 {
		return nil, unknownBroker(name)
	}
	if len(e.nodes) == 1 {
		return e.nodes[0].driver, nil
	}
	candidates := make([]balance.Candidate, len(e.nodes))
	for i, n := range e.nodes {
		candidates[i] = candidate(n)
	}
	return e.nodes[balance.PickNode(candidates, p.turn.Add(1))].driver, nil
}

func unknownBroker(name mesh.Name) error {
	return &broker.Error{Kind: broker.Unavailable, Op: fmt.Sprintf("use broker %q", name), Err: errors.New("it has no node this sidecar can use")}
}

// Condition is the state of one node of one broker.
type Condition struct {
	Broker mesh.Name
	Type   mesh.BrokerType
	broker.State
}

// Conditions returns the state of every node, by broker name.
func (p *Pool) Conditions() []Condition {
	view := *p.view.Load()
	var out []Condition
	for _, name := range slices.SortedFunc(maps.Keys(view), compareNames) {
		for _, n := range view[name].nodes {
			out = append(out, Condition{Broker: name, Type: view[name].spec.Type, State: n.driver.State()})
		}
	}
	return out
}

// Unready says why the pool cannot serve everything it should, nil when it can:
// each broker needs one node that publishes and consumes.
func (p *Pool) Unready() error {
	var errs []error
	for name, e := range *p.view.Load() {
		if err := e.unready(); err != nil {
			errs = append(errs, fmt.Errorf("broker %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

func (e *entry) unready() error {
	err := errors.New("no nodes")
	for _, n := range e.nodes {
		s := n.driver.State()
		if s.Publishing && s.Consuming {
			return nil
		}
		err = fmt.Errorf("node %s: %s", s.Address, s.Reason)
	}
	return err
}

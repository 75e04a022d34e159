// Package pool runs the drivers of all brokers a sidecar knows.
//
// It owns starting, stopping and choosing nodes, and seeing to it that topology is
// declared. It does not publish, consume or retry: publish and deliver do, with the
// drivers picked here. Apply is called by one goroutine at a time; everything else
// is safe for concurrent use, and lookups take no lock.
//
//	p := pool.New(pool.Options{NewDriver: newDriver, Logger: log})
//	p.Start(ctx)
//	err := p.Apply(cfg.Brokers, declarations) // at each configuration
//	node, err := p.Claim(ctx, broker, key, nil) // waits until key can be used
//	node.Publish(ctx, batch, told)
//	node.Answered(err)                           // for each event that told is told of
//	err = p.Stop(ctx)
package pool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/warrenmesh/warren/internal/bell"
	"github.com/warrenmesh/warren/internal/join"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
)

// Options configure a Pool.
type Options struct {
	// NewDriver builds the driver of one node. Memory brokers have one node with an
	// empty address. Required.
	NewDriver func(*mesh.Broker, mesh.Node) (broker.Driver, error)
	// Zone is the sidecar's: nodes of the same zone are preferred among those of one
	// priority. Empty means no preference.
	Zone string
	// OnDeclared is called when a declaration was made or refused, by any goroutine. It must
	// return at once. nil means that nobody needs to know.
	OnDeclared func()
	// Logger is required.
	Logger *slog.Logger
}

// Pool holds running drivers. Build it with New, then Start.
type Pool struct {
	opts  Options
	began time.Time // what times of outliers count from

	// set by Start
	ctx    context.Context //nolint:containedctx // the life of the drivers, ended by Stop
	cancel context.CancelFunc

	running join.Group // one for each goroutine of a node
	states  bell.Bell  // rung when a node's state may have changed

	mu      sync.Mutex // held by Apply, and by Stop for a moment
	stopped bool       // guarded by mu

	// view is replaced as a whole by Apply.
	view atomic.Pointer[map[mesh.Name]*entry]
}

// entry is one broker in one configuration.
type entry struct {
	spec         *mesh.Broker
	nodes        []*node
	declarations map[string]*declaration
	// tried becomes true when every declaration has been tried, and stays so over
	// later configurations: a topic's first use must not make the sidecar unready.
	tried *atomic.Bool

	// Round robin among equal nodes; a counter for each purpose and broker, for two
	// that take turns would each get every second node only. They begin at random:
	// else the first consumers of all sidecars meet on one node.
	publishTurn atomic.Uint32
	consumeTurn atomic.Uint32
}

// New builds a pool without brokers.
func New(opts Options) *Pool {
	if opts.OnDeclared == nil {
		opts.OnDeclared = func() {}
	}
	p := &Pool{opts: opts, began: time.Now()}
	p.view.Store(&map[mesh.Name]*entry{})
	return p
}

// Start makes the pool ready for Apply. Drivers live until Stop.
func (p *Pool) Start(ctx context.Context) {
	p.ctx, p.cancel = context.WithCancel(context.WithoutCancel(ctx))
}

// Stop closes all drivers and returns when they are closed, or when ctx ends. It
// is idempotent; an Apply after it does nothing.
func (p *Pool) Stop(ctx context.Context) error {
	p.mu.Lock()
	p.stopped = true
	p.mu.Unlock()
	if p.cancel == nil {
		return nil
	}
	p.cancel()
	if err := p.running.Wait(ctx); err != nil {
		return fmt.Errorf("close broker connections: %w", err)
	}
	return nil
}

// StateChanged is to be called when the state of a driver may have changed. It does not
// block.
func (p *Pool) StateChanged() { p.states.Ring() }

// Changed returns a channel that is closed when the state of a node may have changed.
func (p *Pool) Changed() <-chan struct{} { return p.states.Rung() }

// Declaration is an object that must exist before a key is used.
type Declaration struct {
	Key    string // e.g. the resource name of the topic or subscription
	Object broker.Object
}

// Unbuildable says why brokers of a configuration cannot have drivers.
type Unbuildable map[mesh.Name]error

// Error is one line of text for each broker.
func (u Unbuildable) Error() string {
	lines := make([]string, 0, len(u))
	for _, name := range mesh.Sorted(u) {
		lines = append(lines, fmt.Sprintf("broker %s: %v", name, u[name]))
	}
	return strings.Join(lines, "\n")
}

// Apply makes brokers and declarations those given: it starts drivers of new
// nodes, keeps the ones that did not change, stops the others, and declares what
// is not declared yet in the background. When the driver of a node cannot be built the
// error is an Unbuildable, and everything stays as it is.
func (p *Pool) Apply(brokers map[mesh.Name]*mesh.Broker, declarations map[mesh.Name][]Declaration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return nil
	}
	old := *p.view.Load()
	nodes, err := p.build(old, brokers)
	if err != nil {
		return err
	}
	next := make(map[mesh.Name]*entry, len(brokers))
	for name, spec := range brokers {
		next[name] = p.reconcile(old[name], spec, nodes[name], declarations[name])
	}
	p.view.Store(&next)
	for name, e := range old {
		retire(e, next[name])
	}
	return nil
}

// build returns the nodes of each broker, those of old where they run already. The
// others are built and not started: building can fail, and nothing after it.
func (p *Pool) build(old map[mesh.Name]*entry, brokers map[mesh.Name]*mesh.Broker) (map[mesh.Name][]*node, error) {
	all, bad := make(map[mesh.Name][]*node, len(brokers)), Unbuildable{}
	for name, spec := range brokers {
		specs := spec.Nodes
		if spec.Type == mesh.Memory {
			specs = []mesh.Node{{}}
		}
		for _, n := range specs {
			built, err := p.takeNode(old[name], spec, n)
			if err != nil {
				bad[name] = errors.Join(bad[name], err)
				continue
			}
			built.began, built.alone = p.began, len(specs) == 1
			all[name] = append(all[name], built)
		}
	}
	if len(bad) > 0 {
		return nil, bad
	}
	return all, nil
}

// reconcile builds the entry of a broker, taking over what is unchanged in old,
// which may be nil, and starts those of its nodes that do not run.
func (p *Pool) reconcile(old *entry, spec *mesh.Broker, nodes []*node, wanted []Declaration) *entry {
	e := &entry{spec: spec, nodes: nodes, declarations: make(map[string]*declaration, len(wanted)), tried: new(atomic.Bool)}
	if old != nil {
		e.tried = old.tried
	}
	e.publishTurn.Store(rand.Uint32())
	e.consumeTurn.Store(rand.Uint32())
	for _, w := range wanted {
		e.declarations[w.Key] = p.takeDeclaration(old, e, w)
	}
	for _, n := range e.nodes {
		if !old.has(n) {
			n.start(p.ctx, &p.running)
		}
		n.want(slices.Collect(maps.Values(e.declarations)))
	}
	return e
}

// takeDeclaration keeps the old declaration of the same key and content, so that
// an unrelated change of configuration makes nobody wait. Where no node stays it
// may be another broker altogether, of which nothing is known.
func (p *Pool) takeDeclaration(old, next *entry, w Declaration) *declaration {
	if old != nil && slices.ContainsFunc(old.nodes, next.has) {
		if d, ok := old.declarations[w.Key]; ok && next.nodes[0].driver.Same(d.object, w.Object) {
			return d
		}
	}
	return newDeclaration(p.ctx, w)
}

// has reports whether n runs in e, which may be nil.
func (e *entry) has(n *node) bool {
	return e != nil && slices.ContainsFunc(e.nodes, func(m *node) bool { return m.shared == n.shared })
}

func (p *Pool) takeNode(old *entry, spec *mesh.Broker, n mesh.Node) (*node, error) {
	identity := identify(spec, n)
	if old != nil {
		for _, running := range old.nodes {
			if running.identity == identity {
				return running.as(n, p.opts.Zone), nil
			}
		}
	}
	driver, err := p.opts.NewDriver(spec, n)
	if err != nil {
		return nil, fmt.Errorf("node %q: %w", n.Address, err)
	}
	return newNode(driver, identity, p.opts).as(n, p.opts.Zone), nil
}

// retire ends what old has and next, which may be nil, has not.
func retire(old, next *entry) {
	for _, n := range old.nodes {
		if !next.has(n) {
			n.stop()
		}
	}
	for key, d := range old.declarations {
		if next == nil || next.declarations[key] != d {
			d.drop()
		}
	}
}

// Ready waits until the declaration of key exists on the broker. A conflict or a
// refusal is returned at once; while the broker cannot be reached Ready waits, and
// when ctx ends it returns Unavailable, not sent, with the reason. A key that has
// no declaration is ready.
func (p *Pool) Ready(ctx context.Context, name mesh.Name, key string) error {
	_, err := p.ready(ctx, name, key)
	return err
}

// ready returns the broker on which key is declared.
func (p *Pool) ready(ctx context.Context, name mesh.Name, key string) (*entry, error) {
	for {
		e, ok := (*p.view.Load())[name]
		if !ok {
			return nil, unknownBroker(name)
		}
		d, ok := e.declarations[key]
		if !ok || d.ready.Load() {
			return e, nil
		}
		err := d.wait(ctx)
		switch {
		case err == nil:
			continue // another configuration may be in force by now
		case errors.Is(err, errDropped) && p.ctx.Err() == nil:
			continue // look again: the newer configuration is in force
		case errors.Is(err, errDropped), broker.KindOf(err) == broker.Unavailable:
			op := fmt.Sprintf("wait for %s to be declared on broker %s", key, name)
			return nil, &broker.Error{Kind: broker.Unavailable, Op: op, Err: because(e.unready(), ctx.Err())}
		default:
			return nil, err
		}
	}
}

// Declared reports whether the declaration of key exists on the broker. It does not block.
func (p *Pool) Declared(name mesh.Name, key string) bool {
	e, ok := (*p.view.Load())[name]
	if !ok {
		return false
	}
	d, ok := e.declarations[key]
	return ok && d.ready.Load()
}

// Undeclared is a declaration that the broker does not take.
type Undeclared struct {
	Broker mesh.Name
	Key    string
	Err    error // its kind is not Unavailable
}

// Undeclared returns the declarations that were refused or conflict, by broker and key.
// One that waits for a connection is not among them: the state of the nodes says so.
func (p *Pool) Undeclared() (out []Undeclared) {
	view := *p.view.Load()
	for _, name := range mesh.Sorted(view) {
		for _, key := range slices.Sorted(maps.Keys(view[name].declarations)) {
			if err := view[name].declarations[key].refused(); err != nil {
				out = append(out, Undeclared{name, key, err})
			}
		}
	}
	return out
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
	for _, name := range mesh.Sorted(view) {
		for _, n := range view[name].nodes {
			s := n.driver.State()
			if s.Reason == "" && n.avoided() {
				s.Reason = "avoided for a while: one publish after the other failed"
			}
			out = append(out, Condition{Broker: name, Type: view[name].spec.Type, State: s})
		}
	}
	return out
}

// Unready says why the pool cannot serve everything it should, nil when it can:
// each broker needs one node it is connected to, for publishing and for consuming,
// and what was first to be declared there must have been tried: events published
// after that reach the queues of this sidecar's subscriptions. A broker's alarm is no reason: it passes by itself, meanwhile each publish says
// so, and consumers go on.
func (p *Pool) Unready() error {
	view := *p.view.Load()
	var reasons []string
	for _, name := range mesh.Sorted(view) {
		err := view[name].unready()
		if err == nil {
			err = view[name].untried()
		}
		if err != nil {
			reasons = append(reasons, fmt.Sprintf("broker %s: %v", name, err))
		}
	}
	if len(reasons) == 0 {
		return nil
	}
	return errors.New(strings.Join(reasons, "; "))
}

// Outage says why what key names cannot be used now: no node of its broker is up for it,
// or it is not declared there. nil when it can. It does not block.
func (p *Pool) Outage(name mesh.Name, key string, up func(broker.State) bool) error {
	e, ok := (*p.view.Load())[name]
	if !ok {
		return unknownBroker(name)
	}
	if err := e.down(up); err != nil {
		return fmt.Errorf("broker %s: %w", name, err)
	}
	if d, ok := e.declarations[key]; ok && !d.ready.Load() {
		return fmt.Errorf("broker %s: %s is not declared", name, key)
	}
	return nil
}

// because is one line of text: what is wrong, if anything is, and what ended the
// wait for it.
func because(trouble, ended error) error {
	if trouble == nil {
		return ended
	}
	return fmt.Errorf("%w (%w)", trouble, ended)
}

func (e *entry) unready() error {
	return e.down(func(s broker.State) bool { return (s.Publishing || s.Blocked) && s.Consuming })
}

// down says why no node is up.
func (e *entry) down(up func(broker.State) bool) error {
	reasons := make([]string, 0, len(e.nodes))
	for _, n := range e.nodes {
		s := n.driver.State()
		if up(s) {
			return nil
		}
		reasons = append(reasons, strings.TrimSpace("node "+s.Address)+": "+s.Reason)
	}
	if len(reasons) == 0 {
		return errors.New("it has no node this sidecar can use")
	}
	return errors.New(strings.Join(reasons, "; "))
}

// untried names a declaration that no node has tried yet, of those a broker has
// at first. One that was refused counts as tried: readiness cannot heal it.
func (e *entry) untried() error {
	if e.tried.Load() {
		return nil
	}
	for _, key := range slices.Sorted(maps.Keys(e.declarations)) {
		if !e.declarations[key].tried() {
			return fmt.Errorf("%s is not declared yet", key)
		}
	}
	e.tried.Store(true)
	return nil
}

// Package proxy is the data plane: one sidecar as a value.
//
// It composes the rooms below it and owns their lives. Configuration comes from
// the control plane through xds/client, is compiled, and is swapped as a whole:
//
//	xds/client ──Config──▶ snapshot.Apply ──▶ pool (brokers, topology) ──▶ swap table and subscriptions
//	gRPC Publish   ──▶ publish ──▶ route ──▶ balance ──▶ pool ──▶ broker driver
//	gRPC Subscribe ◀── deliver ◀── pool ◀── broker driver
//
//	p, err := proxy.New(proxy.Options{...})
//	err = p.Run(ctx) // until ctx ends; then drains
//
// proxy.go is its life and options.go what it is given. config.go applies configurations
// and drivers.go makes drivers; server.go is the event API, status.go the listeners for
// probes, metrics and operators, and readiness.go, dump.go and operate.go what operators see
// and do; state_dir.go guards the directory of the last good configuration. The package
// imports every room below it, drivers included, and nothing of a room imports it.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/warrenmesh/warren/internal/listen"
	"github.com/warrenmesh/warren/internal/memory"
	"github.com/warrenmesh/warren/proxy/admin"
	"github.com/warrenmesh/warren/proxy/deadletter"
	"github.com/warrenmesh/warren/proxy/deliver"
	"github.com/warrenmesh/warren/proxy/deliver/push"
	door "github.com/warrenmesh/warren/proxy/door/grpc"
	"github.com/warrenmesh/warren/proxy/limit"
	"github.com/warrenmesh/warren/proxy/metrics"
	"github.com/warrenmesh/warren/proxy/pool"
	"github.com/warrenmesh/warren/proxy/publish"
	"github.com/warrenmesh/warren/proxy/snapshot"
	"github.com/warrenmesh/warren/proxy/tap"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/client"
)

// Proxy is one sidecar. Build it with New, run it once with Run.
type Proxy struct {
	// set at construction
	opts      Options
	ownMemory bool // opts.Memory ends with the proxy
	config    *snapshot.Store
	pool      *pool.Pool
	publish   *publish.Service
	deliver   *deliver.Service
	pusher    *push.Pusher
	watcher   *deliver.Watcher
	// deadLetters is for operators; it works beside deliver, on queues of its own.
	deadLetters *deadletter.Service
	xds         *client.Client
	health      *health.Server
	// objects is what health was last told of topics and subscriptions; watchHealth's alone.
	objects   map[string]healthv1.HealthCheckResponse_ServingStatus
	readiness signal // Ready may say something else
	tap       *tap.Bus
	metrics   *metrics.Events
	started   chan struct{} // closed when the listeners are open
	stopping  chan struct{} // closed when calls that do not end by themselves must
	quit      chan struct{} // closed by Quit

	draining atomic.Bool
	failed   atomic.Bool  // by FailHealthCheck
	drained  atomic.Int32 // the furthest adminv1.DrainPhase
	quitOnce sync.Once

	// set by Run before started is closed
	events    []net.Listener
	status    *admin.Server
	admin     *admin.Server
	startedAt time.Time
}

// New builds a proxy. It opens nothing.
func New(opts Options) (*Proxy, error) {
	ownMemory := opts.Memory == nil
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("sidecar options: %w", err)
	}
	p := &Proxy{
		opts: opts, ownMemory: ownMemory, health: newHealth(), readiness: newSignal(), tap: &tap.Bus{},
		started: make(chan struct{}), stopping: make(chan struct{}), quit: make(chan struct{}),
	}
	p.pool = pool.New(pool.Options{NewDriver: p.newDriver, Zone: opts.Zone, OnDeclared: p.readiness.changed, Logger: opts.Logger})
	events, err := metrics.New(opts.Tracing.MeterProvider(), !opts.NoReports)
	if err != nil {
		return nil, fmt.Errorf("make metrics: %w", err)
	}
	p.xds, err = client.New(client.Options{
		Beside:    p.reporting(events),
		Server:    opts.ControlPlane,
		Node:      opts.Node,
		Introduce: func(n *xds.Node) { n.Listen, n.Admin = p.EventAddresses(), p.AdminAddress() }, // Run has opened them
		StateFile: stateFile(opts.StateDir),
		Topics:    opts.Topics,
		Apply:     p.apply,
		OnStatus:  p.readiness.changed,
		Tracing:   opts.Tracing.Configuration(),
		Logger:    opts.Logger,
	})
	if err != nil {
		return nil, err
	}
	p.metrics = events
	p.config = snapshot.New(snapshot.Options{Brokers: p.pool, Fetch: p.fetch})
	p.publish = publish.New(publish.Options{
		Namespace: opts.Node.Namespace,
		Workload:  opts.Node.Workload,
		Topics:    p.config,
		Brokers:   p.pool,
		Tracing:   opts.Tracing.Messaging(),
		Tap:       p.tap,
		Metrics:   events,
		InFlight:  limit.NewBudget(opts.MaxInFlight, opts.MaxInFlightBytes),
		Held:      limit.NewBudget(0, memory.Share(opts.MemoryLimit, heldShare, leastHeldBytes, maxHeldBytes)),
		Unread:    limit.NewBudget(0, memory.Share(opts.MemoryLimit, unreadShare, leastUnreadBytes, maxUnreadBytes)),
	})
	p.deliver = deliver.New(deliver.Options{
		Namespace:     opts.Node.Namespace,
		Workload:      opts.Node.Workload,
		Subscriptions: p.config,
		Brokers:       p.pool,
		Tracing:       opts.Tracing.Messaging(),
		Tap:           p.tap,
		Metrics:       events,
		Logger:        opts.Logger,
	})
	p.deadLetters = deadletter.New(deadletter.Options{Subscriptions: p.config, Brokers: p.pool})
	p.pusher = deliver.NewPusher(p.deliver, push.Options{Dial: door.Push(door.PushOptions{
		DialOptions: []grpc.DialOption{grpc.WithStatsHandler(opts.Tracing.ClientHandler())},
		Metrics:     events,
	})})
	p.watcher = deliver.NewWatcher(p.deliver)
	return p, nil
}

func stateFile(dir string) string {
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, "last-good.json")
}

// Started is closed when the listeners are open; addresses are known from then on.
func (p *Proxy) Started() <-chan struct{} { return p.started }

// EventAddresses returns the gRPC targets of the event API, in the order of
// Options.Listen. Only valid once Started is closed.
func (p *Proxy) EventAddresses() []string {
	out := make([]string, len(p.events))
	for i, l := range p.events {
		out[i] = listen.Target(l)
	}
	return out
}

// StatusAddress returns the address of the probes, "" when there are none. Only
// valid once Started is closed.
func (p *Proxy) StatusAddress() string { return p.status.Address() }

// AdminAddress returns where operators are served, by gRPC and HTTP, "" when they
// are not. Only valid once Started is closed.
func (p *Proxy) AdminAddress() string { return p.admin.Address() }

// Run serves until ctx ends or something fails, then drains within
// Options.DrainTimeout and returns. A clean drain returns nil.
func (p *Proxy) Run(ctx context.Context) error {
	if err := p.open(ctx); err != nil {
		return errors.Join(err, p.closeListeners())
	}
	unwatch, err := metrics.Watch(p.opts.Tracing.MeterProvider(), p.state)
	if err != nil {
		return errors.Join(fmt.Errorf("make metrics: %w", err), p.closeListeners())
	}
	server := p.newEventServer()
	p.pool.Start(ctx)

	// Components outlive ctx: they end in stop's order.
	background, endBackground := context.WithCancel(context.WithoutCancel(ctx))
	defer endBackground()
	group, failed := errgroup.WithContext(background)
	group.Go(func() error { return p.xds.Run(background) })
	group.Go(func() error { return p.watchHealth(background) })
	group.Go(p.status.Serve)
	group.Go(p.admin.Serve)
	for _, l := range p.events {
		group.Go(func() error { return serve(server, l) })
	}
	p.startedAt = time.Now()
	close(p.started)
	p.opts.Logger.Info("sidecar started", "listen", p.EventAddresses(), "status", p.StatusAddress(), "admin", p.AdminAddress())

	select {
	case <-ctx.Done():
	case <-failed.Done():
	case <-p.quit:
	}
	stopErr := p.stop(context.WithoutCancel(ctx), server)
	endBackground()
	return errors.Join(group.Wait(), stopErr, unwatch())
}

func (p *Proxy) open(ctx context.Context) error {
	if p.opts.StateDir != "" {
		if err := ownDirectory(p.opts.StateDir); err != nil {
			return err
		}
	}
	var err error
	if p.status, err = p.openStatus(ctx); err != nil {
		return err
	}
	if p.admin, err = p.openAdmin(ctx); err != nil {
		return err
	}
	partial := listen.LoggedPartial(p.opts.partialBytes(), p.opts.Logger) // one for all listeners
	for _, address := range p.opts.Listen {
		l, err := p.listen(ctx, address, listen.Bounds{
			Name: "events", Conns: p.opts.connections(p.opts.MaxConnections), Protocol: listen.HTTP2, Partial: partial,
		})
		if err != nil {
			return err
		}
		p.events = append(p.events, l)
	}
	return nil
}

// listen opens a bounded listener.
func (p *Proxy) listen(ctx context.Context, address string, b listen.Bounds) (net.Listener, error) {
	l, err := listen.Open(ctx, address)
	if err != nil {
		return nil, err
	}
	b.Logger = p.opts.Logger
	return listen.Bound(l, b), nil
}

func (p *Proxy) closeListeners() error {
	errs := []error{p.status.Close(), p.admin.Close()}
	for _, l := range p.events {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

// closeReserve is the part of DrainTimeout, at most a quarter, that is kept for
// closing what did not end by itself.
const closeReserve = 2 * time.Second

// stop ends the proxy in the order that loses nothing: not ready; no new
// publishes; no new deliveries, while services settle what they hold; publishes
// under way get their confirms; channels and connections close. Whatever is left
// when DrainTimeout is nearly up is cut.
func (p *Proxy) stop(ctx context.Context, server *grpc.Server) error {
	begin := time.Now()
	ctx, cancel := context.WithTimeout(ctx, p.opts.DrainTimeout)
	defer cancel()
	gentle, cancelGentle := context.WithTimeout(ctx, p.opts.DrainTimeout-min(closeReserve, p.opts.DrainTimeout/4))
	defer cancelGentle()
	p.draining.Store(true)
	p.readiness.changed()
	p.health.Shutdown()
	p.publish.Drain()
	p.endDeliveries(gentle)
	p.deadLetters.Stop(gentle)
	served := p.endServing(gentle, server)
	late := gentle.Err() != nil
	err := p.pool.Stop(ctx)
	if err == nil && p.ownMemory {
		p.opts.Memory.Close()
	}
	// A call that waited for a broker that does not answer ends now that the
	// connection to it is closed.
	select {
	case <-served:
	case <-ctx.Done():
	}
	if late {
		err = errors.Join(err, fmt.Errorf("drain: not finished within %s", p.opts.DrainTimeout))
	}
	p.tap.Close()
	err = errors.Join(err, p.status.Close(), p.admin.Close())
	p.opts.Logger.Info("sidecar stopped", "took", time.Since(begin).String(), "clean", err == nil)
	return err
}

// endDeliveries ends streams and pushes, side by side: none takes anything new
// while the others settle what they hold. What is unsettled when ctx ends goes back
// to its queue.
func (p *Proxy) endDeliveries(ctx context.Context) {
	var ending sync.WaitGroup
	ending.Go(func() { p.pusher.Stop(ctx) })
	ending.Go(func() { p.deliver.Drain(ctx) })
	ending.Wait()
	p.watcher.Stop()
}

// endServing waits until every call under way is answered; those left when ctx ends
// are cut. The channel returned is closed when all have ended.
func (p *Proxy) endServing(ctx context.Context, server *grpc.Server) <-chan struct{} {
	close(p.stopping)
	served := make(chan struct{})
	go func() { defer close(served); server.GracefulStop() }()
	select {
	case <-served:
	case <-ctx.Done():
		server.Stop()
	}
	return served
}

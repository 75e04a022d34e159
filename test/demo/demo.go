package main

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/examples/shop/account"
	"github.com/warrenmesh/warren/internal/localbroker"
	"github.com/warrenmesh/warren/internal/process"
	"github.com/warrenmesh/warren/test/demo/shop"
)

// stopGrace bounds how long each layer of programs may take to end.
const stopGrace = 10 * time.Second

// options of a run.
type options struct {
	orders   int
	rate     float64
	embedded bool                // do not look for a broker
	broker   localbroker.Options // where to look for one
	keep     bool
	stall    time.Duration
	flags    []string // more of go build
}

// demo is one run. One goroutine calls its methods; only kill may be called by another.
type demo struct {
	// Set at construction.
	options options
	files   shop.Files
	screen  *screen
	runID   string
	// Programs in layers, in the order in which they stop.
	tools, apps, sidecars, control *process.Group

	// Set by the steps, in the order of run.
	shipping  bool
	services  []shop.Service
	broker    *localbroker.Broker // nil for the in-process broker
	traces    traces
	addresses meshAddresses
	watch     *shop.Watch
	books     account.Books // at the last poll
	meshConn  *grpc.ClientConn
	mesh      adminv1.MeshServiceClient
	edited    time.Time // when the canary's file was renamed
	inForce   time.Time // when all sidecars had acknowledged it
}

func newDemo(o options, files shop.Files, screen *screen) *demo {
	return &demo{
		options: o, files: files, screen: screen,
		runID: "run" + time.Now().UTC().Format("0102150405"),
		tools: process.NewGroup(), apps: process.NewGroup(), sidecars: process.NewGroup(), control: process.NewGroup(),
	}
}

// run plays the demo and stops everything it started, in every case. The last line it
// prints is the summary of the books.
func (d *demo) run(ctx context.Context) error {
	unlock, err := d.files.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var tending sync.WaitGroup
	defer tending.Wait()
	defer d.stop()

	if err := d.prepare(ctx); err != nil {
		return err
	}
	tending.Go(func() { d.tend(ctx, cancel) })
	defer cancel(nil)
	if err := d.start(ctx); err != nil {
		return cause(ctx, err)
	}
	err = errors.Join(d.drive(ctx), d.report(ctx))
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if d.options.keep {
		return errors.Join(err, d.stay(ctx))
	}
	cancel(nil)
	d.stop()
	return errors.Join(err, d.conclude())
}

// cause returns the reason for which a run was ended, if there is one, and otherwise
// err.
func cause(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// prepare gets everything that must exist before the first program starts: a broker,
// binaries, Node's libraries, the configuration.
func (d *demo) prepare(ctx context.Context) error {
	if err := d.files.Clean(); err != nil {
		return err
	}
	var none bool
	var leftOut string
	preparing, pctx := errgroup.WithContext(ctx)
	preparing.Go(func() (err error) { none, err = d.findBroker(pctx); return err })
	preparing.Go(func() error { return d.build(pctx) })
	preparing.Go(func() error { leftOut = d.prepareNode(pctx); return pctx.Err() })
	if err := preparing.Wait(); err != nil {
		return err
	}
	if none {
		d.screen.say("broker: `warren dev` brings its own. NOTHING IS DURABLE: events in flight are lost when the process ends")
	}
	d.shipping = leftOut == ""
	if !d.shipping {
		d.screen.say("shipping: the demo leaves this service out: %s", leftOut)
	}
	d.services = shop.Services(d.shipping)
	d.watch = shop.NewWatch(d.files, d.services)
	return errors.Join(d.files.CopyConfig(), d.declareBroker())
}

// start starts the mesh and the services that receive.
func (d *demo) start(ctx context.Context) (err error) {
	if err := d.startTraces(ctx); err != nil {
		return err
	}
	if d.addresses, err = pickAddresses(ctx, d.services); err != nil {
		return err
	}
	if err := d.declarePush(); err != nil {
		return err
	}
	if d.broker == nil {
		err = d.startEmbedded(ctx)
	} else {
		err = d.startMesh(ctx)
	}
	if err != nil {
		return err
	}
	for _, s := range d.services[1:] { // checkout starts when all others are ready
		if _, err := d.apps.Start(d.spec(s, d.addresses.sidecars[s.Name].events)); err != nil {
			return err
		}
	}
	err = d.await(ctx, "every service to open its subscriptions", func() (bool, error) { return d.allSubscribed(), nil })
	if err == nil {
		d.screen.say("services: %s receive events; the sidecar pushes them to billing, and the others open streams", strings.Join(names(d.services[1:]), ", "))
	}
	return err
}

// tend restarts a private broker that dies. It ends the run when another program dies.
func (d *demo) tend(ctx context.Context, cancel context.CancelCauseFunc) {
	var tending sync.WaitGroup
	defer tending.Wait()
	if d.broker != nil {
		tending.Go(func() { _ = d.broker.Supervise(ctx) }) // it reports by itself
	}
	select {
	case err := <-d.apps.Failed():
		cancel(err)
	case err := <-d.sidecars.Failed():
		cancel(err)
	case err := <-d.control.Failed():
		cancel(err)
	case <-ctx.Done():
	}
}

// stop ends all programs, layer by layer. It is idempotent.
func (d *demo) stop() {
	d.tools.Kill()
	if d.meshConn != nil {
		_ = d.meshConn.Close()
	}
	for _, layer := range []*process.Group{d.tools, d.apps, d.sidecars, d.control} {
		layer.Stop(stopGrace)
	}
	d.traces.stop()
	if d.broker != nil {
		ctx, cancel := context.WithTimeout(context.Background(), stopGrace)
		defer cancel()
		if err := d.broker.Stop(ctx); err != nil {
			d.screen.say("broker: %v", err)
		}
	}
}

// kill ends all programs at once, for a second Ctrl-C. A private broker ends with this
// process.
func (d *demo) kill() {
	for _, layer := range []*process.Group{d.tools, d.apps, d.sidecars, d.control} {
		layer.Kill()
	}
}

func names(services []shop.Service) []string {
	var out []string
	for _, s := range services {
		out = append(out, s.Name)
	}
	return out
}

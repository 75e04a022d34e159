package controlplane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/controlplane/declare"
	"github.com/warrenmesh/warren/controlplane/report"
	"github.com/warrenmesh/warren/controlplane/source/file"
	"github.com/warrenmesh/warren/controlplane/status"
	"github.com/warrenmesh/warren/tracing/configuration"
	"github.com/warrenmesh/warren/xds/server"
)

const (
	// stopTimeout bounds how long calls in flight are waited for.
	stopTimeout = 5 * time.Second
	// followInterval is the least time between two looks at the sidecars' answers.
	followInterval = 100 * time.Millisecond
)

// ControlPlane serves one directory of declared objects. Use New.
type ControlPlane struct {
	// set at construction
	opts        Options
	spans       *configuration.Tracer
	commitments *declare.Commitments
	state       *status.State
	outbox      *status.Outbox
	xds         *server.Server
	reports     *report.Store // nil when none are taken

	reloads reloads
	encoder encoder // of the source's goroutine

	listening chan struct{} // closed when the addresses are known
	ready     chan struct{} // closed when the first good set is in force
	readyOnce sync.Once

	// set before listening is closed
	listeners listeners
}

// New checks the options. I/O starts in Run.
func New(opts Options) (*ControlPlane, error) {
	if err := opts.complete(); err != nil {
		return nil, err
	}
	spans := opts.Tracing.Configuration()
	xds := server.New(server.Options{Logger: opts.Logger, Now: opts.Now, Tracing: spans, Limits: opts.Limits})
	outbox := status.NewOutbox(status.OutboxOptions{Writer: opts.StatusWriter, Logger: opts.Logger})
	observed := status.Options{Now: opts.Now, Sidecars: xds.Sidecars, Outbox: outbox}
	var reports *report.Store
	if !opts.NoReports {
		reports = report.New(report.Options{Now: opts.Now})
		observed.Findings = reports.Findings
	}
	return &ControlPlane{
		opts:        opts,
		spans:       spans,
		commitments: declare.NewCommitments(opts.Now),
		state:       status.New(observed),
		outbox:      outbox,
		xds:         xds,
		reports:     reports,
		listening:   make(chan struct{}),
		ready:       make(chan struct{}),
	}, nil
}

// Ready is closed when all listeners are open and the first good set is in force.
func (c *ControlPlane) Ready() <-chan struct{} { return c.ready }

// XDSAddr is where sidecars connect, as a gRPC target; "" until Run listens.
func (c *ControlPlane) XDSAddr() string {
	return c.address(func(l *listeners) net.Listener { return l.xds })
}

// AdminAddr is where MeshService answers, as a gRPC target; "" until Run listens.
func (c *ControlPlane) AdminAddr() string {
	return c.address(func(l *listeners) net.Listener { return l.admin })
}

// StatusAddr is where probes are answered, "host:port" or "unix:path"; "" until
// Run listens.
func (c *ControlPlane) StatusAddr() string {
	return c.address(func(l *listeners) net.Listener { return l.status })
}

func (c *ControlPlane) address(pick func(*listeners) net.Listener) string {
	select {
	case <-c.listening:
		return target(pick(&c.listeners))
	default:
		return ""
	}
}

// Run serves until ctx ends, then stops and returns nil once everything it started
// has ended. An error says why it could not start or go on: a directory that is
// absent or holds no YAML file, or an address it cannot listen on. A directory
// with problems is no error: sidecars are refused with UNAVAILABLE until they are
// mended. Run may be called once.
func (c *ControlPlane) Run(ctx context.Context) error {
	// Ends the watches of the xDS server even when nothing was ever served.
	defer c.xds.Close()
	if err := file.Check(c.opts.Dir); err != nil {
		return err
	}
	unmeasure, err := c.measure()
	if err != nil {
		return err
	}
	if err := c.listeners.open(ctx, &c.opts); err != nil {
		return errors.Join(err, unmeasure())
	}
	close(c.listening)
	c.opts.Logger.InfoContext(ctx, "control plane listening", "xds", c.XDSAddr(), "admin", c.AdminAddr(), "status", c.StatusAddr(), "dir", c.opts.Dir)

	xdsServer := grpc.NewServer(append(server.ServerOptions(), grpc.WaitForHandlers(true))...)
	c.xds.Register(xdsServer)
	if c.reports != nil {
		c.reports.Register(xdsServer)
	}
	adminServer := c.newAdminServer()
	statusServer := newStatusServer(c.ready, c.opts.Tracing.MetricsHandler(), c.opts.Logger)

	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return serveGRPC(xdsServer, c.listeners.xds) })
	g.Go(func() error { return serveGRPC(adminServer, c.listeners.admin) })
	g.Go(func() error { return serveHTTP(statusServer, c.listeners.status) })
	g.Go(func() error {
		return file.New(file.Options{Dir: c.opts.Dir, Logger: c.opts.Logger, Poll: c.opts.Poll, Waiting: c.waiting}).Run(ctx, c.apply)
	})
	g.Go(func() error { c.follow(ctx); return nil })
	if c.reports != nil {
		g.Go(func() error { c.reports.Run(ctx); return nil })
	}
	g.Go(func() error { return c.outbox.Run(ctx) })
	g.Go(func() error {
		<-ctx.Done()
		c.xds.Close() // or GracefulStop would wait for its streams
		stopGRPC(xdsServer)
		stopGRPC(adminServer)
		return stopHTTP(statusServer)
	})
	err = errors.Join(g.Wait(), unmeasure())
	c.opts.Logger.InfoContext(ctx, "control plane stopped")
	return err
}

// apply takes a set from the source. It is called on the source's goroutine.
func (c *ControlPlane) apply(set declare.Set, problems []declare.Problem) file.Verdict {
	defer c.state.Observe()
	ctx, span := c.spans.StartChange(context.Background(), configuration.Change{Objects: len(set.Objects), Began: set.Began, Read: set.Read})
	_, resolve := c.spans.StartResolve(ctx)
	broken := c.commitments.Violations(set)
	compiled, problems := compile(set, append(problems, broken.Problems...), &c.encoder)
	err := whyRefused(problems)
	resolve.End(err)
	defer span.End(err)
	if err != nil {
		c.reloads.refused.Add(1)
		c.refuse(ctx, set, problems)
		if broken.Passes {
			return file.RefusedYet
		}
		return file.Refused
	}
	c.reloads.applied.Add(1)
	span.SetMeshVersion(compiled.version)
	compiled.view.Cause, compiled.view.Version = span.Hop(), compiled.version
	c.commitments.Commit(set)
	compiled.view.Adopted = func() {
		if c.reports != nil {
			c.reports.Configure(compiled.mesh)
		}
		c.state.Accept(compiled.inForce())
	}
	c.xds.Update(compiled.view)
	c.readyOnce.Do(func() { close(c.ready) })
	c.opts.Logger.InfoContext(ctx, "configuration in force", "mesh_version", compiled.version, "objects", len(set.Objects))
	return file.InForce
}

// whyRefused is why a set does not come into force, in brief; nil when it does.
func whyRefused(problems []declare.Problem) error {
	switch len(problems) {
	case 0:
		return nil
	case 1:
		return problems[0]
	default:
		return fmt.Errorf("%w (and %d more)", problems[0], len(problems)-1)
	}
}

// maxLoggedProblems bounds the lines that one refused set logs. GetStatus and `warren
// config validate` list all of its problems.
const maxLoggedProblems = 20

func (c *ControlPlane) refuse(ctx context.Context, set declare.Set, problems []declare.Problem) {
	news := c.state.Refuse(set.Objects, problems)
	if len(news) == 0 {
		return // the same set, or one with fewer problems
	}
	for _, p := range news[:min(len(news), maxLoggedProblems)] {
		c.opts.Logger.ErrorContext(ctx, "problem in configuration", "problem", p.String(), slog.Group("at", "file", p.File, "line", p.Line, "field", p.Field))
	}
	c.opts.Logger.ErrorContext(ctx, "configuration refused, the last good one stays in force",
		"problems", len(problems), "not_logged", max(0, len(news)-maxLoggedProblems))
}

// waiting notes the objects whose newest declaration waits, because the newest set
// takes something away.
func (c *ControlPlane) waiting(losses []file.Loss) {
	objects := make(map[v1alpha1.ObjectName]string, len(losses))
	for _, l := range losses {
		objects[l.Object] = "the newest declaration " + l.Text + ": it comes into force when the files have not changed for a second"
	}
	c.state.Wait(objects)
}

// follow observes after each change. So conditions carry the time at which they
// changed, and not the time at which somebody asked.
func (c *ControlPlane) follow(ctx context.Context) {
	pause := time.NewTicker(followInterval)
	defer pause.Stop()
	var reported <-chan struct{} // nil blocks for ever
	if c.reports != nil {
		reported = c.reports.Changed()
	}
	for {
		changed := c.xds.Changed()
		c.state.Observe()
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-reported:
		}
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
	}
}

func serveGRPC(s *grpc.Server, l net.Listener) error {
	if err := s.Serve(l); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return err
	}
	return nil
}

func serveHTTP(s *http.Server, l net.Listener) error {
	if err := s.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

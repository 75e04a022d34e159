// Package devmesh runs a whole mesh in one process: a control plane on a directory
// and one sidecar for each workload, on the embedded broker or on declared ones.
//
// It owns their composition and the order of their ends: sidecars drain before the
// control plane and the broker go. It is for looking and for local work; nothing
// is durable in the embedded broker. Run may be called more than once, each time
// with addresses of its own.
//
//	err := devmesh.Run(ctx, devmesh.Options{Dir: "config", Workloads: ws, Logger: logger},
//		func(m devmesh.Mesh) { fmt.Println(m.Sidecars[0].Address) })
package devmesh

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/warrenmesh/warren/controlplane"
	"github.com/warrenmesh/warren/proxy"
	"github.com/warrenmesh/warren/proxy/broker/membroker"
	"github.com/warrenmesh/warren/tracing"
	"github.com/warrenmesh/warren/xds"
)

// Options say what to run.
type Options struct {
	// Dir holds the declared objects; it is watched.
	Dir string
	// Workloads get a sidecar each; at least one.
	Workloads []Workload
	// Declared uses the brokers as they are declared; else all of them are the one
	// embedded broker.
	Declared bool
	// CredentialsDir holds the credentials of declared brokers; "" has none.
	CredentialsDir string
	// XDSListen, AdminListen and StatusListen are the control plane's; "" means
	// its defaults.
	XDSListen, AdminListen, StatusListen string
	// ReadyTimeout bounds the wait for sidecars to become ready before the mesh
	// counts as started; 0 means 5 s.
	ReadyTimeout time.Duration
	// Version is shown in status.
	Version string
	// Tracing makes the exporter of one workload's sidecar; nil means none.
	Tracing func(context.Context, Workload) (*tracing.Provider, error)
	// Logger is required.
	Logger *slog.Logger
}

// Workload is what one sidecar stands beside.
type Workload struct {
	Namespace string
	Name      string
	Labels    map[string]string
	// Listen is the address of its sidecar's event API.
	Listen string
	// Admin is where its sidecar serves operators; "" means nowhere.
	Admin string
}

// Mesh is what runs, for those who want to talk to it.
type Mesh struct {
	XDS      string // gRPC targets
	Admin    string
	Sidecars []Sidecar // in the order of Options.Workloads
}

// Sidecar is one running sidecar.
type Sidecar struct {
	Workload
	Address string // gRPC target of its event API
	// AdminAddress is where it serves operators, "" when nowhere.
	AdminAddress string
	// Trouble says why it was not ready in time, "" when it was.
	Trouble string
}

// Run runs the mesh until ctx ends or a part of it fails, and calls started once,
// when all listeners are open. It returns when everything has ended.
func Run(ctx context.Context, o Options, started func(Mesh)) error {
	if o.ReadyTimeout == 0 {
		o.ReadyTimeout = 5 * time.Second
	}
	plane, err := controlplane.New(controlplane.Options{
		Dir: o.Dir, XDSListen: o.XDSListen, AdminListen: o.AdminListen, StatusListen: o.StatusListen,
		Version: o.Version, Logger: o.Logger.With("part", "controlplane"),
	})
	if err != nil {
		return err
	}
	memory := membroker.New(membroker.Options{})
	defer memory.Close()

	// The control plane outlives ctx: sidecars drain first.
	planeCtx, stopPlane := context.WithCancel(context.WithoutCancel(ctx))
	defer stopPlane()
	group, planeGone := errgroup.WithContext(planeCtx)
	group.Go(func() error { return plane.Run(planeGone) })
	serving, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(planeGone, stop)() // sidecars end with a failed control plane

	select {
	case <-plane.Ready():
		s := sidecars{opts: o, plane: plane, memory: memory}
		err = s.run(serving, started)
	case <-serving.Done():
	}
	stopPlane()
	return errors.Join(err, group.Wait())
}

// sidecars are the sidecars of one Run.
type sidecars struct {
	opts    Options
	plane   *controlplane.ControlPlane
	memory  *membroker.Broker
	proxies []*proxy.Proxy
	tracing []*tracing.Provider
}

func (s *sidecars) run(ctx context.Context, started func(Mesh)) error {
	defer s.shutdownTracing(context.WithoutCancel(ctx))
	for _, w := range s.opts.Workloads {
		if err := s.add(ctx, w); err != nil {
			return fmt.Errorf("sidecar of %s: %w", w.Name, err)
		}
	}
	group, running := errgroup.WithContext(ctx)
	for i, p := range s.proxies {
		group.Go(func() error {
			if err := p.Run(running); err != nil {
				return fmt.Errorf("sidecar of %s: %w", s.opts.Workloads[i].Name, err)
			}
			return nil
		})
	}
	if m, ok := s.await(running); ok {
		started(m)
	}
	return group.Wait()
}

func (s *sidecars) add(ctx context.Context, w Workload) error {
	provider := tracing.Disabled()
	if s.opts.Tracing != nil {
		var err error
		if provider, err = s.opts.Tracing(ctx, w); err != nil {
			return err
		}
	}
	s.tracing = append(s.tracing, provider)
	p, err := proxy.New(proxy.Options{
		Node: xds.Node{
			ID:        fmt.Sprintf("%s.%s~dev-%s", w.Name, w.Namespace, strings.ToLower(rand.Text()[:6])),
			Namespace: w.Namespace, Workload: w.Name, Labels: w.Labels, Version: s.opts.Version,
		},
		ControlPlane: s.plane.XDSAddr(), Listen: []string{w.Listen}, AdminListen: w.Admin, CredentialsDir: s.opts.CredentialsDir,
		Memory: s.memory, MemoryOnly: !s.opts.Declared, Tracing: provider, ReadyRequiresBroker: true,
		Logger: s.opts.Logger.With("part", "sidecar", "workload", w.Name),
	})
	if err != nil {
		return err
	}
	s.proxies = append(s.proxies, p)
	return nil
}

// await waits until all listen, and for a while until all are ready; false means
// that the mesh ended before.
func (s *sidecars) await(ctx context.Context) (Mesh, bool) {
	m := Mesh{XDS: s.plane.XDSAddr(), Admin: s.plane.AdminAddr()}
	patience, cancel := context.WithTimeout(ctx, s.opts.ReadyTimeout)
	defer cancel()
	for i, p := range s.proxies {
		select {
		case <-p.Started():
		case <-ctx.Done():
			return m, false
		}
		sidecar := Sidecar{Workload: s.opts.Workloads[i], Address: p.EventAddresses()[0], AdminAddress: p.AdminAddress()}
		if err := awaitReady(patience, p); err != nil {
			sidecar.Trouble = err.Error()
		}
		m.Sidecars = append(m.Sidecars, sidecar)
	}
	return m, ctx.Err() == nil
}

// awaitReady looks at readiness, which nothing announces, until it is there.
func awaitReady(ctx context.Context, p *proxy.Proxy) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := p.Ready()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		}
	}
}

func (s *sidecars) shutdownTracing(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for _, t := range s.tracing {
		if err := t.Shutdown(ctx); err != nil {
			s.opts.Logger.Warn("flush spans", "error", err)
		}
	}
}

package proxy

import (
	"context"
	"net/http"
	"strings"

	"github.com/warrenmesh/warren/internal/listen"
	"github.com/warrenmesh/warren/proxy/admin"
	"github.com/warrenmesh/warren/proxy/metrics"
)

func (p *Proxy) openStatus(ctx context.Context) (*admin.Server, error) {
	if p.opts.StatusListen == "" {
		return nil, nil //nolint:nilnil // a nil *admin.Server serves nothing, as documented
	}
	l, err := p.listen(ctx, p.opts.StatusListen, listen.Bounds{
		Name: "status", Conns: p.opts.connections(statusConnections), Protocol: listen.HTTP1,
	})
	if err != nil {
		return nil, err
	}
	return admin.New(l, p.statusHandler(), nil, p.opts.Logger), nil
}

// statusHandler serves the probes of the kubelet, and Prometheus.
func (p *Proxy) statusHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /livez", admin.Probe(func() error { return nil }))
	mux.Handle("GET /readyz", admin.Probe(p.Ready))
	mux.Handle("GET /startupz", admin.Probe(p.listening))
	mux.Handle("GET /metrics", p.opts.Tracing.MetricsHandler())
	return mux
}

// openAdmin serves operators; see package admin for the paths and the protocol.
func (p *Proxy) openAdmin(ctx context.Context) (*admin.Server, error) {
	if p.opts.AdminListen == "" {
		return nil, nil //nolint:nilnil // as above
	}
	l, err := p.listen(ctx, p.opts.AdminListen, listen.Bounds{
		Name: "admin", Conns: p.opts.connections(adminConnections), Protocol: listen.Either,
	})
	if err != nil {
		return nil, err
	}
	s := admin.NewService(admin.Options{
		Sidecar:      p,
		Namespace:    p.opts.Node.Namespace,
		Tap:          p.tap,
		DeadLetters:  p.deadLetters,
		HeldKeys:     p.deliver,
		DrainTimeout: p.opts.DrainTimeout,
		LogLevel:     p.opts.LogLevel,
		Metrics:      p.opts.Tracing.MetricsHandler(),
		Quit:         p.opts.AdminQuit,
		Profiles:     p.opts.AdminProfiles,
		NoReflection: p.opts.NoReflection,
	})
	return admin.New(l, s.Handler(), s.GRPC(), p.opts.Logger), nil
}

// state is what a scrape of the metrics shows.
func (p *Proxy) state() metrics.State {
	s := metrics.State{Ready: p.Ready() == nil, Stale: p.deliver.StaleSettlements()}
	for _, c := range p.pool.Conditions() {
		s.Connections = append(s.Connections, metrics.Connection{Broker: c.Broker, State: c.State})
	}
	x := p.xds.Status()
	if cur := p.config.Current(); cur != nil {
		s.Config = &metrics.Config{Version: cur.Config.Version, FromDisk: x.FromDisk, At: cur.At}
	}
	s.XDS = metrics.XDS{Connected: x.Connected, LastContact: x.LastContact, Resources: map[metrics.Resource]int{}}
	for _, r := range x.Resources {
		s.XDS.Resources[metrics.Resource{Type: shortType(r.TypeURL), State: r.State.String()}]++
	}
	return s
}

// shortType is the last word of a type URL.
func shortType(typeURL string) string { return typeURL[strings.LastIndexByte(typeURL, '.')+1:] }

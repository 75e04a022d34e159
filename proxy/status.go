package proxy

import (
	"context"
	"net/http"

	"github.com/warrenmesh/warren/proxy/admin"
)

func openStatus(ctx context.Context, address string, h http.Handler) (*admin.Server, error) {
	if address == "" {
		return nil, nil //nolint:nilnil // a nil *admin.Server serves nothing, as documented
	}
	l, err := listen(ctx, address)
	if err != nil {
		return nil, err
	}
	return admin.New(l, h, nil), nil
}

// statusHandler serves the probes of the kubelet, and Prometheus.
func (p *Proxy) statusHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /livez", admin.Probe(func() error { return nil }))
	mux.Handle("GET /readyz", admin.Probe(p.Ready))
	mux.Handle("GET /startupz", admin.Probe(p.Ready))
	mux.Handle("GET /metrics", p.opts.Tracing.MetricsHandler())
	return mux
}

// openAdmin serves operators; see package admin for the paths and the protocol.
func (p *Proxy) openAdmin(ctx context.Context) (*admin.Server, error) {
	if p.opts.AdminListen == "" {
		return nil, nil //nolint:nilnil // as above
	}
	l, err := listen(ctx, p.opts.AdminListen)
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
	})
	return admin.New(l, s.Handler(), s.GRPC()), nil
}

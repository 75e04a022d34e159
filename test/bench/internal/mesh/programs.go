package mesh

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/warrenmesh/warren/internal/process"
)

// startTimeout bounds how long one program may take to become ready. A sidecar declares
// its queues first, of which a curve has hundreds.
const startTimeout = 3 * time.Minute

// sampling is the share of traces that are sampled unless Options say otherwise.
const sampling = 0.01

func (m *Mesh) startControlPlane(ctx context.Context) (err error) {
	ports, err := process.FreePorts(ctx, 1)
	if err != nil {
		return err
	}
	m.control, err = m.programs.Start(process.Spec{
		Name: "controlplane", Path: m.opts.ControlPlane, Log: m.path("controlplane.log"), Env: environment(),
		Args: []string{
			"--config-dir", m.path("config"), "--listen", "unix:" + m.path("xds"),
			"--admin-listen", "unix:" + m.path("admin"), "--status-listen", ports[0],
		},
	})
	if err != nil {
		return err
	}
	return awaitReady(ctx, m.control, ports[0], pollPause)
}

func (m *Mesh) startSidecar(ctx context.Context, workload string, more ...string) (*sidecar, error) {
	ports, err := process.FreePorts(ctx, 3)
	if err != nil {
		return nil, err
	}
	events, admin, status := ports[0], ports[1], ports[2]
	if m.opts.Socket == "unix" {
		events = "unix:" + m.path(workload)
	}
	conn, err := dial(events)
	if err != nil {
		return nil, fmt.Errorf("dial sidecar %q: %w", events, err)
	}
	spec := process.Spec{
		Name: workload + "-sidecar", Path: m.opts.Sidecar, Log: m.path(workload + "-sidecar.log"),
		Env: environment(
			"OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+m.spans.address,
			"OTEL_TRACES_SAMPLER=parentbased_traceidratio", fmt.Sprintf("OTEL_TRACES_SAMPLER_ARG=%g", cmp.Or(m.opts.Sampling, sampling)),
			"WARREN_ADMIN_PROFILES=true", // costs nothing while no profile is taken
			"WARREN_READY_REQUIRES_BROKER=true",
		),
		Args: append([]string{
			"--namespace", m.opts.Name, "--workload", workload, "--control-plane", "unix:" + m.path("xds"),
			"--listen", events, "--admin-listen", admin, "--status-listen", status,
			"--state-dir", m.path("state-" + workload), "--credentials-dir", m.path("credentials"),
		}, more...),
	}
	p, err := m.programs.Start(spec)
	if err != nil {
		_ = conn.Close() // not used yet
		return nil, err
	}
	s := &sidecar{process: p, admin: admin, conn: conn, spec: spec, status: status}
	return s, awaitReady(ctx, p, status, pollPause)
}

// environment is this process's environment without the variables that configure Warren
// or OpenTelemetry: they would change what is measured.
func environment(more ...string) []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "OTEL_") && !strings.HasPrefix(kv, "WARREN_") {
			env = append(env, kv)
		}
	}
	return append(env, more...)
}

// pollPause is how often a starting daemon is asked whether it is ready.
const pollPause = 20 * time.Millisecond

// awaitReady waits until a daemon is ready. Otherwise the error says what is missing.
func awaitReady(ctx context.Context, p *process.Process, address string, every time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("not ready within %v", startTimeout))
	defer cancel()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		said, err := get(ctx, "http://"+address+"/readyz")
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.Done():
			return p.Failure()
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w; %w: %s; the end of its log:\n%s", p.Name(), context.Cause(ctx), err, said, p.Tail(15))
		}
	}
}

// probes keeps no connections, because a daemon that stops would wait for them.
var probes = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// get fetches a page. For any status but 200 it returns an error together with the
// page.
func get(ctx context.Context, url string) (page []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := probes.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if page, err = io.ReadAll(response.Body); err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s", url, response.Status)
	}
	return page, err
}

// Profile writes CPU profiles of both sidecars to files whose names begin with prefix.
// They begin now and last that many whole seconds.
func (m *Mesh) Profile(ctx context.Context, prefix string, seconds int) error {
	pages := make(chan error, 2)
	for workload, s := range map[string]*sidecar{publisher: m.pub, subscriber: m.sub} {
		go func() { pages <- s.profile(ctx, prefix+workload+".pprof", seconds) }()
	}
	first, second := <-pages, <-pages
	if first != nil {
		return first
	}
	return second
}

func (s *sidecar) profile(ctx context.Context, path string, seconds int) error {
	page, err := get(ctx, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", s.admin, seconds))
	if err != nil {
		return fmt.Errorf("profile the sidecar: %w", err)
	}
	return os.WriteFile(path, page, 0o644) //nolint:gosec // a profile, for everybody to read
}

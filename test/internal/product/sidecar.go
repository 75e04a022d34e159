package product

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// Sidecar says how to run a sidecar.
type Sidecar struct {
	Namespace string
	// Workload is the name of the workload, and the value of its label app.
	Workload string
	// Drain is the sidecar's drain timeout. 0 means its default.
	Drain time.Duration
	// ControlPlane is the address of the control plane. "" means the mesh's.
	ControlPlane string
	// Env is added to its environment.
	Env []string
}

// RunningSidecar is a sidecar's process and its addresses.
type RunningSidecar struct {
	*Process
	// TCP and Socket are gRPC targets of the event API.
	TCP, Socket string
	// Admin is the gRPC target of the operator's API.
	Admin string

	status string
	spec   Sidecar
	socket string // its path
}

// StartSidecar starts a sidecar and waits until it listens. Successive sidecars of one
// workload share a state directory.
func (m *Mesh) StartSidecar(s Sidecar) *RunningSidecar {
	m.t.Helper()
	m.sidecars++
	return m.startSidecar(s, m.path(fmt.Sprintf("s%d", m.sidecars)), "unix:"+m.path(fmt.Sprintf("a%d", m.sidecars)))
}

// RestartSidecar starts a sidecar that has ended. Its sockets have the same paths.
func (m *Mesh) RestartSidecar(s *RunningSidecar) *RunningSidecar {
	m.t.Helper()
	return m.startSidecar(s.spec, s.socket, s.Admin)
}

func (m *Mesh) startSidecar(s Sidecar, socket, admin string) *RunningSidecar {
	m.t.Helper()
	args := []string{
		"--namespace", s.Namespace, "--workload", s.Workload, "--label", "app=" + s.Workload,
		"--control-plane", cmp.Or(s.ControlPlane, m.ControlPlane()), "--listen", "127.0.0.1:0", "--listen", "unix:" + socket,
		"--status-listen", "127.0.0.1:0", "--admin-listen", admin,
		"--state-dir", m.path("state-" + s.Workload), "--credentials-dir", m.path("credentials"),
	}
	if s.Drain > 0 {
		args = append(args, "--drain-timeout", s.Drain.String())
	}
	p := Run(m.t, Spec{Name: "sidecar of " + s.Workload, Path: m.programs.Path("sidecar"), Args: args, Env: s.Env})
	started := p.AwaitLog("sidecar started")
	targets := started.Texts("listen")
	if len(targets) != 2 {
		m.t.Fatalf("sidecar of %s listens on %v, want two addresses", s.Workload, targets)
	}
	return &RunningSidecar{
		Process: p, TCP: targets[0], Socket: targets[1], Admin: admin,
		status: started.Text("status"), spec: s, socket: socket,
	}
}

// AwaitReady waits until /readyz reports ready.
func (s *RunningSidecar) AwaitReady() {
	s.t.Helper()
	Eventually(s.t, s.name+" is ready", func() error { return s.Ready(s.t.Context()) })
}

// Ready calls /readyz once. The error says what is missing.
func (s *RunningSidecar) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.status+"/readyz", nil)
	if err != nil {
		return err
	}
	request.Close = true // an idle connection would outlive the test
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("/readyz: %s: %s", response.Status, strings.TrimSpace(string(text)))
	}
	return err
}

// Dial connects as the service beside the sidecar does. The connection is closed when
// the test ends.
func (s *RunningSidecar) Dial(target string) *grpc.ClientConn {
	s.t.Helper()
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// Scrape returns the sidecar's metrics.
func (s *RunningSidecar) Scrape(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.status+"/metrics", nil)
	if err != nil {
		return "", err
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return string(text), err
}

// StatusAddress is the address of probes and metrics.
func (s *RunningSidecar) StatusAddress() string { return s.status }

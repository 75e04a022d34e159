package product

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
)

// Mesh is a directory of declared objects, the control plane that watches it, and
// sidecars.
type Mesh struct {
	// Broker is the broker that the sidecars have credentials for.
	Broker Broker

	t        T
	programs Programs
	dir      string // short, because paths of sockets are bounded
	plane    *Process
	sidecars int
}

// NewMesh makes a mesh in which no process runs yet. Its directory is deleted when the
// test ends.
func NewMesh(t T, programs Programs, broker Broker) *Mesh {
	t.Helper()
	dir, err := makeDir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	m := &Mesh{Broker: broker, t: t, programs: programs, dir: dir}
	if err := os.Mkdir(m.path("config"), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := broker.writeCredentials(m.path("credentials")); err != nil {
		t.Fatal(err)
	}
	return m
}

// makeDir makes a directory in memory if possible. In production a mesh and its broker
// are on different machines, so a mesh must not slow the broker's disk here.
func makeDir() (string, error) {
	if dir, err := os.MkdirTemp("/dev/shm", "warren"); err == nil {
		return dir, nil
	}
	return os.MkdirTemp("", "warren")
}

func (m *Mesh) path(name string) string { return filepath.Join(m.dir, name) }

// Write replaces a declared file as editors do: it renames a new file over the old one.
func (m *Mesh) Write(name, text string) {
	m.t.Helper()
	temp := m.path(name + ".new")
	if err := os.WriteFile(temp, []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
	if err := os.Rename(temp, filepath.Join(m.path("config"), name)); err != nil {
		m.t.Fatal(err)
	}
}

// StartControlPlane starts the control plane and waits until it listens. It may be
// called again after the control plane has ended; the addresses stay the same. env is
// added to its environment.
func (m *Mesh) StartControlPlane(env ...string) *Process {
	m.t.Helper()
	m.plane = Run(m.t, Spec{Name: "controlplane", Path: m.programs.Path("controlplane"), Env: env, Args: []string{
		"--config-dir", m.path("config"), "--listen", m.ControlPlane(),
		"--admin-listen", m.Admin(), "--status-listen", "unix:" + m.path("status"),
	}})
	m.plane.AwaitLog("configuration in force")
	return m.plane
}

// ControlPlane is the address of the control plane for sidecars.
func (m *Mesh) ControlPlane() string { return "unix:" + m.path("xds") }

// Path is a path in the mesh's directory, short enough for a socket.
func (m *Mesh) Path(name string) string { return m.path(name) }

// WriteCredentials replaces the sidecars' credentials.
func (m *Mesh) WriteCredentials(username, password string) {
	m.t.Helper()
	changed := m.Broker
	changed.uri.Username, changed.uri.Password = username, password
	if err := changed.writeCredentials(m.path("credentials")); err != nil {
		m.t.Fatal(err)
	}
}

// Admin is the address of the control plane's mesh API.
func (m *Mesh) Admin() string { return "unix:" + m.path("admin") }

// Warren runs the warren command until it ends.
func (m *Mesh) Warren(ctx context.Context, args ...string) (stdout, stderr string, code int) {
	m.t.Helper()
	cmd := exec.CommandContext(ctx, m.programs.Path("warren"), args...) //nolint:gosec // one of our programs
	cmd.Env = environment([]string{"NO_COLOR=1"})
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); cmd.ProcessState == nil {
		m.t.Fatalf("run warren: %v", err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

package clients

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Addresses in the pages.
const (
	sidecarInDocs = "127.0.0.1:17400"
	handlerInDocs = "127.0.0.1:9090"
)

// mesh is a running `warren dev` with the pages' configuration.
type mesh struct {
	sidecar string // the sidecar
	relay   string // the relay in front of it
	handler string // where events are pushed to
}

// built is the path of a binary. Binaries stay, so that the next run links only what
// has changed.
func built(t *testing.T, name string) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join(root, ".run", "clients", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	return dir + string(filepath.Separator)
}

// linking prevents the tests from building the same binary at the same time.
var linking sync.Mutex

func build(t *testing.T, dir, line string) {
	t.Helper()
	linking.Lock()
	defer linking.Unlock()
	mustRun(t, dir, line, "GOFLAGS=-race") // like the tests, whose packages are in the cache
}

// startMesh runs the README's commands on other ports.
func startMesh(t *testing.T) mesh {
	t.Helper()
	m := mesh{handler: freePort(t)}
	config := filepath.Join(t.TempDir(), "config")
	if err := os.CopyFS(config, os.DirFS(filepath.Join(docs, "config"))); err != nil {
		t.Fatal(err)
	}
	moved(t, filepath.Join(config, "clients.yaml"), "port: 9090", "port: "+port(m.handler))
	var dev *program
	bin := built(t, "bin")
	for _, c := range commands(t, "README.md") {
		line := strings.NewReplacer("bin/", bin, "docs/clients/config", config).Replace(c.line)
		if !strings.Contains(line, " dev ") {
			build(t, c.dir, line)
			continue
		}
		dev = start(t, c.dir, line+" --workload shop:0 --xds-listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 --status-listen 127.0.0.1:0 -o json")
	}
	var out struct {
		Sidecars []struct{ Address, Trouble string }
	}
	dev.await(patience, "to say where it listens", func() bool {
		dev.mu.Lock()
		defer dev.mu.Unlock()
		return json.Unmarshal([]byte(strings.Join(dev.lines, "\n")), &out) == nil
	})
	if len(out.Sidecars) != 1 || out.Sidecars[0].Trouble != "" {
		t.Fatalf("warren dev runs %+v, want one sidecar without trouble", out.Sidecars)
	}
	m.sidecar = out.Sidecars[0].Address
	m.relay = startRelay(t, m.sidecar)
	return m
}

// moved replaces a text in a file, which must contain it exactly once.
func moved(t *testing.T, path, from, to string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(content), from); n != 1 {
		t.Fatalf("%s has %q %d times, want once", path, from, n)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(content), from, to, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// freePort is a loopback address on which nothing listens.
func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func port(address string) string {
	_, p, _ := net.SplitHostPort(address)
	return p
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/warrenmesh/warren/cmd/warren/internal/devmesh"
	"github.com/warrenmesh/warren/proxy/event/eventjson"
)

// mesh is a running warren dev.
type mesh struct {
	devOutput
	end func() result
}

// startDev runs warren dev on addresses of its own until end is called, which
// every test does before it looks at the result.
func startDev(t *testing.T, args ...string) *mesh {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	reader, writer := io.Pipe()
	args = append([]string{
		"dev", "-o", "json", "--admin-listen", "127.0.0.1:0", "--xds-listen", "127.0.0.1:0", "--status-listen", "127.0.0.1:0",
	}, args...)
	var r result
	var running sync.WaitGroup
	running.Go(func() {
		r = invocation{ctx: ctx, out: writer}.run(t, args...)
		_ = writer.Close()
	})
	m := &mesh{}
	m.end = sync.OnceValue(func() result {
		cancel()
		_, _ = io.Copy(io.Discard, reader)
		running.Wait()
		return r
	})
	t.Cleanup(func() { m.end() })
	if err := json.NewDecoder(reader).Decode(&m.devOutput); err != nil {
		t.Fatalf("read addresses: %v: %+v", err, m.end())
	}
	return m
}

func TestDevRunsAMeshWithoutABroker(t *testing.T) {
	t.Parallel()
	// The declared broker is a RabbitMQ at a port where none is.
	dir := configDir(t, map[string]string{"broker.yaml": strings.Replace(brokerYAML, "5672", "1", 1), "flow.yaml": flowYAML})
	m := startDev(t, dir, "--workload", "checkout:0", "--workload", "billing:0")
	if len(m.Sidecars) != 2 || m.Sidecars[1].Workload != "billing" || m.Sidecars[1].Namespace != "shop" || m.Sidecars[1].Trouble != "" {
		t.Fatalf("sidecars = %+v", m.Sidecars)
	}
	published := invocation{}.run(t, "publish", "orders", "--sidecar", m.Sidecars[0].Address,
		"--type", "t", "--source", "/me", "--id", "one", "--data", `{"n" : 1}`)
	if published.code != exitOK {
		t.Fatalf("publish: %+v", published)
	}
	received := invocation{}.run(t, "subscribe", "billing", "--sidecar", m.Sidecars[1].Address, "-n", "1", "-o", "raw")
	if received.code != exitOK || received.out != `{"n" : 1}`+"\n" {
		t.Errorf("subscribe: %+v", received)
	}
	status := invocation{}.run(t, "status", "--control-plane", m.ControlPlane)
	if status.code != exitOK || strings.Count(status.out, "SYNCED") != 2 || !strings.Contains(status.out, "Subscription  shop/billing") {
		t.Errorf("status: %+v", status)
	}
	if r := m.end(); r.code != exitOK {
		t.Errorf("dev ended with %+v", r)
	}
}

func TestDevWithoutADirectoryRunsTheExample(t *testing.T) {
	t.Parallel()
	in := ""
	for _, id := range []string{"a", "b", "c"} {
		in += line(id, "com.example.x")
	}
	m := startDev(t, "--workload", "billing:0", "--workload", "audit:0")
	if r := (invocation{stdin: in}).run(t, "publish", "orders", "-f", "-", "--sidecar", m.Sidecars[0].Address); r.code != exitOK {
		t.Fatalf("publish: %+v", r)
	}
	for i, name := range []string{"billing", "audit"} {
		r := invocation{}.run(t, "subscribe", name, "-n", "3", "-o", "json", "--sidecar", m.Sidecars[i].Address)
		if r.code != exitOK || strings.Count(r.out, "com.example.x") != 3 {
			t.Errorf("subscribe %s: %+v", name, r)
		}
	}
}

func TestTheCorpusPassesAMeshByteForByte(t *testing.T) {
	t.Parallel()
	path, payloads := corpus(t)
	m := startDev(t, "--workload", "billing:0")
	address := m.Sidecars[0].Address
	if r := (invocation{}).run(t, "publish", "orders", "-f", path, "--sidecar", address); r.code != exitOK {
		t.Fatalf("publish: %+v", r)
	}
	r := invocation{}.run(t, "subscribe", "billing", "-n", "186", "-o", "json", "--sidecar", address)
	if r.code != exitOK {
		t.Fatalf("subscribe: exit %d: %s", r.code, r.err)
	}
	seen := map[string]bool{}
	for text := range strings.Lines(r.out) {
		e, err := eventjson.Decode([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		seen[e.ID] = true
		if !bytes.Equal(e.Data, payloads[e.ID]) {
			t.Errorf("event %s: data is not byte-identical", e.ID)
		}
	}
	if len(seen) != len(payloads) {
		t.Errorf("%d different events arrived, want %d", len(seen), len(payloads))
	}
}

func TestDevRefusesABrokenConfiguration(t *testing.T) {
	t.Parallel()
	dir := configDir(t, map[string]string{"broker.yaml": brokerYAML, "flow.yaml": brokenYAML})
	r := invocation{}.run(t, "dev", dir)
	if r.code != exitUsage || strings.Count(r.err, "flow.yaml:") != 3 || !strings.Contains(r.err, "3 problems in") {
		t.Errorf("%+v", r)
	}
}

func TestDevSaysWhichAddressIsTaken(t *testing.T) {
	t.Parallel()
	m := startDev(t, "--workload", "billing:0")
	port := m.Sidecars[0].Address[strings.LastIndex(m.Sidecars[0].Address, ":"):]
	r := invocation{}.run(t, "dev", "--workload", "billing"+port,
		"--admin-listen", "127.0.0.1:0", "--xds-listen", "127.0.0.1:0", "--status-listen", "127.0.0.1:0")
	if r.code != exitFailure || !strings.Contains(r.err, "sidecar of billing") || !strings.Contains(r.err, "address already in use") {
		t.Errorf("%+v", r)
	}
}

func TestDevShowsWhatToTry(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.yaml"), exampleConfig, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out := &cancelOn{cancel: cancel} // ends once the addresses are printed
	args := []string{
		"dev", dir, "--admin-listen", "127.0.0.1:0", "--xds-listen", "127.0.0.1:0", "--status-listen", "127.0.0.1:0",
		"--workload", "checkout:0", "--workload", "billing:0",
	}
	r := invocation{ctx: ctx, out: out}.run(t, args...)
	r.out = out.text.String()
	golden(t, "dev", strings.ReplaceAll(transcript(r, "dev"), dir, "DIR"))
}

func TestWorkloads(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		flags []string
		want  []devmesh.Workload
		err   string
	}{
		{
			"a name alone", []string{"a", "b"},
			[]devmesh.Workload{
				{Namespace: "default", Name: "a", Labels: map[string]string{"app": "a"}, Listen: "127.0.0.1:17400", Admin: "127.0.0.1:17410"},
				{Namespace: "default", Name: "b", Labels: map[string]string{"app": "b"}, Listen: "127.0.0.1:17500", Admin: "127.0.0.1:17510"},
			}, "",
		},
		{
			"a port and labels", []string{"a:9,app=x,tier=gold"},
			[]devmesh.Workload{{Namespace: "default", Name: "a", Labels: map[string]string{"app": "x", "tier": "gold"}, Listen: "127.0.0.1:9", Admin: "127.0.0.1:19"}}, "",
		},
		{
			"nothing at all", nil,
			[]devmesh.Workload{{Namespace: "default", Name: "dev", Labels: map[string]string{"app": "dev"}, Listen: "127.0.0.1:17400", Admin: "127.0.0.1:17410"}}, "",
		},
		{
			"a port where another's operators would be", []string{"a:17400", "b:17410"},
			[]devmesh.Workload{
				{Namespace: "default", Name: "a", Labels: map[string]string{"app": "a"}, Listen: "127.0.0.1:17400", Admin: "127.0.0.1:0"},
				{Namespace: "default", Name: "b", Labels: map[string]string{"app": "b"}, Listen: "127.0.0.1:17410", Admin: "127.0.0.1:17420"},
			}, "",
		},
		{"no name", []string{":1"}, nil, "want name[:port]"},
		{"a port too large", []string{"a:70000"}, nil, "want 0 to 65535"},
		{"a label without value", []string{"a,x"}, nil, "want label=value"},
		{"a name twice", []string{"a", "a:1"}, nil, "two of that name"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := plan{}.workloads(tt.flags, "")
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("err = %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("workloads = %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
}

func TestDevDeclaresWhatOthersDeclareElsewhere(t *testing.T) {
	t.Parallel()
	dir := configDir(t, map[string]string{
		"broker.yaml": strings.Replace(brokerYAML, "spec:", "spec:\n  topology: Verify", 1), "flow.yaml": flowYAML,
	})
	m := startDev(t, dir, "--workload", "checkout:0", "--workload", "billing:0")
	published := invocation{}.run(t, "publish", "orders", "--sidecar", m.Sidecars[0].Address, "--type", "t", "--source", "/me", "--data", "x")
	if published.code != exitOK {
		t.Errorf("publish: %+v", published)
	}
	if r := m.end(); r.code != exitOK {
		t.Errorf("dev ended with %+v", r)
	}
}

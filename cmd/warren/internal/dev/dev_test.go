package dev

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

	"go.uber.org/goleak"

	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli/clitest"
	"github.com/warrenmesh/warren/cmd/warren/internal/dev/devmesh"
	"github.com/warrenmesh/warren/cmd/warren/internal/publish"
	"github.com/warrenmesh/warren/cmd/warren/internal/status"
	"github.com/warrenmesh/warren/cmd/warren/internal/subscribe"
	"github.com/warrenmesh/warren/proxy/event/eventjson"
)

// warren is the program under test.
var warren = clitest.Program{New, publish.New, subscribe.New, status.New}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// mesh is a running warren dev.
type mesh struct {
	devOutput
	end func() clitest.Result
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
	var r clitest.Result
	var running sync.WaitGroup
	running.Go(func() {
		r = warren.Call(t, clitest.Invocation{Ctx: ctx, Out: writer}, args...)
		_ = writer.Close()
	})
	m := &mesh{}
	m.end = sync.OnceValue(func() clitest.Result {
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
	dir := clitest.ConfigDir(t, map[string]string{"broker.yaml": strings.Replace(clitest.BrokerYAML, "5672", "1", 1), "flow.yaml": clitest.FlowYAML})
	m := startDev(t, dir, "--workload", "checkout:0", "--workload", "billing:0")
	if len(m.Sidecars) != 2 || m.Sidecars[1].Workload != "billing" || m.Sidecars[1].Namespace != "shop" || m.Sidecars[1].Trouble != "" {
		t.Fatalf("sidecars = %+v", m.Sidecars)
	}
	published := warren.Run(t, "publish", "orders", "--sidecar", m.Sidecars[0].Address,
		"--type", "t", "--source", "/me", "--id", "one", "--data", `{"n" : 1}`)
	if published.Code != cli.ExitOK {
		t.Fatalf("publish: %+v", published)
	}
	received := warren.Run(t, "subscribe", "billing", "--sidecar", m.Sidecars[1].Address, "-n", "1", "-o", "raw")
	if received.Code != cli.ExitOK || received.Out != `{"n" : 1}`+"\n" {
		t.Errorf("subscribe: %+v", received)
	}
	if status := statusInSync(t, m, 2); !strings.Contains(status.Out, "Subscription  shop/billing") {
		t.Errorf("status: %+v", status)
	}
	if r := m.end(); r.Code != cli.ExitOK {
		t.Errorf("dev ended with %+v", r)
	}
}

// statusInSync returns warren status once it shows n sidecars in sync. A sidecar works
// with what it was sent before it acknowledges it, so the control plane learns of it
// later than a publisher.
func statusInSync(t *testing.T, m *mesh, n int) clitest.Result {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(30 * time.Second)
	for {
		status := warren.Run(t, "status", "--control-plane", m.ControlPlane)
		if status.Code != cli.ExitOK {
			t.Fatalf("status: %+v", status)
		}
		if strings.Count(status.Out, "SYNCED") == n {
			return status
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("the sidecars are not in sync after 30 s: %+v", status)
		}
	}
}

func TestDevWithoutADirectoryRunsTheExample(t *testing.T) {
	t.Parallel()
	in := ""
	for _, id := range []string{"a", "b", "c"} {
		in += clitest.Line(id, "com.example.x")
	}
	m := startDev(t, "--workload", "billing:0", "--workload", "audit:0")
	if r := warren.Call(t, clitest.Invocation{Stdin: in}, "publish", "orders", "-f", "-", "--sidecar", m.Sidecars[0].Address); r.Code != cli.ExitOK {
		t.Fatalf("publish: %+v", r)
	}
	for i, name := range []string{"billing", "audit"} {
		r := warren.Run(t, "subscribe", name, "-n", "3", "-o", "json", "--sidecar", m.Sidecars[i].Address)
		if r.Code != cli.ExitOK || strings.Count(r.Out, "com.example.x") != 3 {
			t.Errorf("subscribe %s: %+v", name, r)
		}
	}
}

func TestTheCorpusPassesAMeshByteForByte(t *testing.T) {
	t.Parallel()
	path, payloads := clitest.Corpus(t)
	m := startDev(t, "--workload", "billing:0")
	address := m.Sidecars[0].Address
	if r := warren.Run(t, "publish", "orders", "-f", path, "--sidecar", address); r.Code != cli.ExitOK {
		t.Fatalf("publish: %+v", r)
	}
	r := warren.Run(t, "subscribe", "billing", "-n", "186", "-o", "json", "--sidecar", address)
	if r.Code != cli.ExitOK {
		t.Fatalf("subscribe: exit %d: %s", r.Code, r.Err)
	}
	seen := map[string]bool{}
	for text := range strings.Lines(r.Out) {
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
	dir := clitest.ConfigDir(t, map[string]string{"broker.yaml": clitest.BrokerYAML, "flow.yaml": clitest.BrokenYAML})
	r := warren.Run(t, "dev", dir)
	if r.Code != cli.ExitUsage || strings.Count(r.Err, "flow.yaml:") != 3 || !strings.Contains(r.Err, "3 problems in") {
		t.Errorf("%+v", r)
	}
}

func TestDevSaysWhichAddressIsTaken(t *testing.T) {
	t.Parallel()
	m := startDev(t, "--workload", "billing:0")
	port := m.Sidecars[0].Address[strings.LastIndex(m.Sidecars[0].Address, ":"):]
	r := warren.Run(t, "dev", "--workload", "billing"+port,
		"--admin-listen", "127.0.0.1:0", "--xds-listen", "127.0.0.1:0", "--status-listen", "127.0.0.1:0")
	if r.Code != cli.ExitFailure || !strings.Contains(r.Err, "sidecar of billing") || !strings.Contains(r.Err, "address already in use") {
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
	out := &clitest.CancelOn{Cancel: cancel} // ends once the addresses are printed
	args := []string{
		"dev", dir, "--admin-listen", "127.0.0.1:0", "--xds-listen", "127.0.0.1:0", "--status-listen", "127.0.0.1:0",
		"--workload", "checkout:0", "--workload", "billing:0",
	}
	r := warren.Call(t, clitest.Invocation{Ctx: ctx, Out: out}, args...)
	r.Out = out.Text.String()
	clitest.Golden(t, "dev", strings.ReplaceAll(clitest.Transcript(r, "dev"), dir, "DIR"))
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
			got, err := plan{}.workloads(tt.flags, "", firstPort)
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
	dir := clitest.ConfigDir(t, map[string]string{
		"broker.yaml": strings.Replace(clitest.BrokerYAML, "spec:", "spec:\n  topology: Verify", 1), "flow.yaml": clitest.FlowYAML,
	})
	m := startDev(t, dir, "--workload", "checkout:0", "--workload", "billing:0")
	published := warren.Run(t, "publish", "orders", "--sidecar", m.Sidecars[0].Address, "--type", "t", "--source", "/me", "--data", "x")
	if published.Code != cli.ExitOK {
		t.Errorf("publish: %+v", published)
	}
	if r := m.end(); r.Code != cli.ExitOK {
		t.Errorf("dev ended with %+v", r)
	}
}

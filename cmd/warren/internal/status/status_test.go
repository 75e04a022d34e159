package status

import (
	"go.uber.org/goleak"

	"bytes"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli/clitest"
)

// warren is the program under test.
var warren = clitest.Program{New}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func page(t *testing.T, wide bool, state *adminv1.GetStatusResponse) string {
	t.Helper()
	var out bytes.Buffer
	p := &statusPage{wide: wide, now: clitest.Loaded.Add(7 * time.Minute)}
	if err := p.write(&out, state); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestStatusPages(t *testing.T) {
	t.Parallel()
	table := page(t, false, clitest.Troubled())
	clitest.Golden(t, "status-table", table)
	for line := range strings.Lines(table) {
		if len(line) > 81 { // with its line break
			t.Errorf("over 80 columns: %s", line)
		}
	}
	clitest.Golden(t, "status-wide", page(t, true, clitest.Troubled()))
	clitest.Golden(t, "status-empty", page(t, false, &adminv1.GetStatusResponse{}))
}

func TestStatusAsks(t *testing.T) {
	t.Parallel()
	mesh := &clitest.ControlPlane{State: clitest.Troubled()}
	r := warren.Call(t, clitest.Invocation{Env: map[string]string{"WARREN_CONTROL_PLANE_ADMIN": clitest.Serve(t, mesh.Register)}}, "status", "--namespace", "shop")
	if r.Code != cli.ExitOK || r.Err != "" || !strings.Contains(r.Out, "orders-canary") || mesh.Asked != "shop" {
		t.Errorf("asked for %q: %+v", mesh.Asked, r)
	}
}

func TestStatusForScripts(t *testing.T) {
	t.Parallel()
	address := clitest.Serve(t, (&clitest.ControlPlane{State: clitest.Troubled()}).Register)
	r := warren.Run(t, "status", "-o", "json", "--control-plane", address)
	var back adminv1.GetStatusResponse
	if err := protojson.Unmarshal([]byte(r.Out), &back); err != nil || r.Code != cli.ExitOK {
		t.Fatalf("exit %d, %v:\n%s", r.Code, err, r.Out)
	}
	if len(back.GetObjects()) != 4 || back.GetSidecars()[1].GetState() != "NACK" {
		t.Errorf("read back: %v", &back)
	}
	clitest.Golden(t, "status-json", r.Out)
	r = warren.Run(t, "status", "-o", "yaml", "--control-plane", address)
	clitest.Golden(t, "status-yaml", r.Out)
}

func TestStatusWithoutAControlPlaneExitsWith1(t *testing.T) {
	t.Parallel()
	args := []string{"status", "--control-plane", clitest.Nobody(t)}
	clitest.Golden(t, "status-nobody", clitest.Transcript(warren.Run(t, args...), args...))
}

func TestStatusOfSomethingElseSaysSo(t *testing.T) {
	t.Parallel()
	args := []string{"status", "--control-plane", clitest.Serve(t, (&clitest.Sidecar{}).Register)}
	clitest.Golden(t, "status-wrong-peer", clitest.Transcript(warren.Run(t, args...), args...))
}

func TestStatusOfOneSidecarListsItsResources(t *testing.T) {
	t.Parallel()
	for _, wide := range []bool{false, true} {
		var out bytes.Buffer
		p := &statusPage{wide: wide, now: clitest.Loaded.Add(7 * time.Minute)}
		if err := p.writeSidecars(&out, cli.SelectSidecars(clitest.Troubled().GetSidecars(), "billing")); err != nil {
			t.Fatal(err)
		}
		clitest.Golden(t, map[bool]string{false: "status-sidecar", true: "status-sidecar-wide"}[wide], out.String())
	}
}

func TestASidecarIsMeantByIDWorkloadOrBeginning(t *testing.T) {
	t.Parallel()
	all := []*adminv1.Sidecar{
		{Id: "billing.shop~1", Namespace: "shop", Workload: "billing"}, {Id: "billing.shop~12", Namespace: "shop", Workload: "billing"},
		{Id: "billing.eu~3", Namespace: "eu", Workload: "billing"},
	}
	for name, want := range map[string]int{
		"billing.shop~1": 1, "billing": 3, "shop/billing": 2, "billing.shop": 2, "bill": 3, "checkout": 0,
	} {
		if got := len(cli.SelectSidecars(all, name)); got != want {
			t.Errorf("%q means %d sidecars, want %d", name, got, want)
		}
	}
}

func TestStatusOfASidecarThatIsNotThereExitsWith1(t *testing.T) {
	t.Parallel()
	address := clitest.Serve(t, (&clitest.ControlPlane{State: clitest.Troubled()}).Register)
	args := []string{"status", "nobody", "--control-plane", address}
	clitest.Golden(t, "status-no-sidecar", clitest.Transcript(warren.Run(t, args...), args...))
	if r := warren.Run(t, "status", "audit", "--control-plane", address); r.Code != cli.ExitOK || !strings.Contains(r.Out, "audit.shop~99ab") || strings.Contains(r.Out, "OBJECT") {
		t.Errorf("status of audit: %+v", r)
	}
}

func TestStatusOfAnOlderControlPlaneShowsNoTraffic(t *testing.T) {
	t.Parallel()
	state := clitest.Troubled()
	state.Traffic = nil
	for _, s := range state.GetSidecars() {
		s.Reports, s.LastReport, s.ConfigVersion = "", nil, ""
	}
	got := page(t, false, state)
	for _, word := range []string{"BACKLOG", "NODE", "report"} {
		if strings.Contains(got, word) {
			t.Errorf("the page has %q:\n%s", word, got)
		}
	}
}

func TestStatusShowsOneKindOfObject(t *testing.T) {
	t.Parallel()
	address := clitest.Serve(t, (&clitest.ControlPlane{State: clitest.Troubled()}).Register)
	for _, kind := range []string{"subscription", "EventSubscription"} {
		r := warren.Run(t, "status", "--kind", kind, "--control-plane", address)
		if r.Code != cli.ExitOK || !strings.Contains(r.Out, "shop/billing  ") || strings.Contains(r.Out, "shop/orders-canary") {
			t.Errorf("--kind %s: %+v", kind, r)
		}
		if !strings.Contains(r.Out, "BACKLOG") || strings.Contains(r.Out, "PUBLISHED") || strings.Contains(r.Out, "NODE") {
			t.Errorf("--kind %s shows traffic of other kinds: %s", kind, r.Out)
		}
	}
}

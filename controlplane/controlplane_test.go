package controlplane

import (
	"context"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/xds"
)

var itoa = strconv.Itoa

func shopDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	edit(t, dir, shop())
	return dir
}

func TestAWeightChangeResendsExactlyOneRouteConfiguration(t *testing.T) {
	t.Parallel()
	dir := shopDir(t)
	cp := launch(t, dir, nil)
	wait(t, "ready", cp.Ready())
	s := connect(t, cp, "billing")
	s.readAll("billing") // one resource an object, and one more for topics and brokers

	edit(t, dir, map[string]string{"routes.yaml": routeYAML(50, 50)})
	resp := s.next()
	expect(t, resp, xds.TypeRoute, "topic/shop/orders")
	s.ack(resp)
	// The next to come is the next change: nothing else was sent for the first.
	edit(t, dir, map[string]string{"subs.yaml": subYAML("billing", 32) + "---\n" + subYAML("audit", 64)})
	resp = s.next()
	expect(t, resp, xds.TypeListener, "subscription/shop/billing")
	s.ack(resp)
	// Neither a comment nor what concerns others is sent.
	edit(t, dir, map[string]string{"routes.yaml": "# a comment\n" + routeYAML(50, 50)})
	edit(t, dir, map[string]string{"subs.yaml": subYAML("billing", 32) + "---\n" + subYAML("audit", 1)})
	edit(t, dir, map[string]string{"routes.yaml": routeYAML(1, 1)})
	expect(t, s.next(), xds.TypeRoute, "topic/shop/orders")
}

func TestABrokenSetLeavesTheLastGoodOneInForce(t *testing.T) {
	t.Parallel()
	dir := shopDir(t)
	cp := launch(t, dir, nil)
	wait(t, "ready", cp.Ready())
	s := connect(t, cp, "billing")
	s.readAll("billing")
	version := getStatus(t, cp, "").GetVersion()

	edit(t, dir, map[string]string{"routes.yaml": strings.Replace(routeYAML(50, 50), "name: orders-next, weight: 50", "name: nowhere, weight: -1", 1)})
	var got *adminv1.GetStatusResponse
	eventually(t, "the problems show", func() bool {
		got = getStatus(t, cp, "")
		return len(got.GetProblems()) > 0
	})
	var texts []string
	for _, p := range got.GetProblems() {
		texts = append(texts, p.GetFile()+":"+itoa(int(p.GetLine()))+" "+p.GetField()+" "+p.GetObject())
	}
	want := []string{
		"routes.yaml:10 spec.rules[0].backendRefs[1].name EventRoute shop/canary",
		"routes.yaml:10 spec.rules[0].backendRefs[1].weight EventRoute shop/canary",
	}
	if !slices.Equal(texts, want) {
		t.Errorf("got problems %q, want %q", texts, want)
	}
	if got.GetVersion() != version {
		t.Errorf("version in force is %s, want the last good one %s", got.GetVersion(), version)
	}
	route := object(t, got, "EventRoute", "canary")
	if c := condition(route, "Accepted"); c.GetStatus() != "False" || c.GetReason() != "RefNotFound" || !strings.Contains(c.GetMessage(), "stays in force") {
		t.Errorf("Accepted: got %v", c)
	}
	if c := condition(route, "ResolvedRefs"); c.GetStatus() != "False" || c.GetReason() != "RefNotFound" {
		t.Errorf("ResolvedRefs: got %v", c)
	}
	if c := condition(route, "Programmed"); c.GetStatus() != "True" {
		t.Errorf("Programmed: got %v, want True for the declaration in force", c)
	}
	if c := condition(object(t, got, "EventTopic", "orders"), "Accepted"); c.GetStatus() != "True" {
		t.Errorf("Accepted of a topic without problems: got %v", c)
	}

	edit(t, dir, map[string]string{"routes.yaml": routeYAML(50, 50)})
	expect(t, s.next(), xds.TypeRoute, "topic/shop/orders") // and nothing of the broken set
	eventually(t, "the problems go", func() bool { return len(getStatus(t, cp, "").GetProblems()) == 0 })
}

func TestStreamsAreRefusedUntilTheFirstGoodSet(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	edit(t, dir, map[string]string{"a.yaml": topicYAML("orders")}) // its broker is missing
	cp := launch(t, dir, nil)
	eventually(t, "the problem shows", func() bool { return len(getStatus(t, cp, "").GetProblems()) == 1 })
	got := getStatus(t, cp, "")
	if c := condition(object(t, got, "EventTopic", "orders"), "Programmed"); c.GetStatus() != "False" || c.GetMessage() != "not in force" {
		t.Errorf("Programmed: got %v", c)
	}
	if got.GetVersion() != "" || got.GetLoadedAt() != nil {
		t.Errorf("got version %q of %v before anything was in force", got.GetVersion(), got.GetLoadedAt())
	}

	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(dial(t, cp.XDSAddr())).DeltaAggregatedResources(t.Context())
	if err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.Unavailable {
		t.Errorf("a stream got %v, want UNAVAILABLE", err)
	}
	if code, _ := get(t, cp, "/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("/readyz is %d before the first good set", code)
	}
	if code, _ := get(t, cp, "/livez"); code != http.StatusOK {
		t.Errorf("/livez is %d", code)
	}

	// In one file, so that no part of it comes into force before the rest.
	edit(t, dir, map[string]string{"a.yaml": strings.Join(slices.Collect(maps.Values(shop())), "---\n")})
	wait(t, "ready", cp.Ready())
	if code, _ := get(t, cp, "/readyz"); code != http.StatusOK {
		t.Errorf("/readyz is %d with a good set in force", code)
	}
	s := connect(t, cp, "billing")
	expect(t, s.subscribe(xds.TypeListener, "*"), xds.TypeListener, "subscription/shop/billing")
}

func get(t *testing.T, cp *ControlPlane, path string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+cp.StatusAddr()+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestADirectoryWithoutFilesIsAnErrorThatSaysWhatToDo(t *testing.T) {
	t.Parallel()
	for dir, want := range map[string]string{t.TempDir(): "declare at least one object there", filepath.Join(t.TempDir(), "gone"): "create it"} {
		cp, err := New(Options{Dir: dir, XDSListen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", StatusListen: "127.0.0.1:0"})
		if err != nil {
			t.Fatal(err)
		}
		if err := cp.Run(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Run: got %v, want %q", err, want)
		}
		if addr := cp.XDSAddr(); addr != "" {
			t.Errorf("it listens on %q", addr)
		}
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		opts Options
		want string
	}{
		"no directory":            {Options{}, "Dir is empty"},
		"an address without port": {Options{Dir: "d", XDSListen: "localhost"}, "want host:port or unix:path"},
		"a socket without path":   {Options{Dir: "d", StatusListen: "unix:"}, "want unix:path"},
		"admin for everyone":      {Options{Dir: "d", AdminListen: "0.0.0.0:17440"}, "must be on loopback"},
		"admin on all interfaces": {Options{Dir: "d", AdminListen: ":17440"}, "must be on loopback"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := New(c.opts); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	if _, err := New(Options{Dir: "d"}); err != nil {
		t.Errorf("the defaults: %v", err)
	}
}

func TestRunSaysWhichAddressIsTaken(t *testing.T) {
	t.Parallel()
	dir := shopDir(t)
	cp := launch(t, dir, nil)
	other, err := New(Options{Dir: dir, XDSListen: "127.0.0.1:0", AdminListen: cp.AdminAddr(), StatusListen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Run(t.Context()); err == nil || !strings.Contains(err.Error(), cp.AdminAddr()) {
		t.Errorf("got %v, want an error that names %s", err, cp.AdminAddr())
	}
}

func TestEveryListenerCanBeASocket(t *testing.T) {
	t.Parallel()
	dir, sockets := shopDir(t), t.TempDir()
	cp := launch(t, dir, func(o *Options) {
		o.XDSListen, o.AdminListen, o.StatusListen = "unix:"+sockets+"/x", "unix://"+sockets+"/a", "unix:"+sockets+"/s"
	})
	wait(t, "ready", cp.Ready())
	if got := getStatus(t, cp, "").GetControlPlaneVersion(); got != "v-test" {
		t.Errorf("version over a socket: got %q", got)
	}
	s := connect(t, cp, "audit")
	s.readAll("audit")
	if want := "unix:" + sockets + "/s"; cp.StatusAddr() != want {
		t.Errorf("status address is %q, want %q", cp.StatusAddr(), want)
	}
}

func TestRunStopsWithStreamsOpen(t *testing.T) {
	t.Parallel()
	cp, err := New(Options{Dir: shopDir(t), XDSListen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", StatusListen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- cp.Run(ctx) }()
	wait(t, "ready", cp.Ready())
	s := connect(t, cp, "billing")
	s.readAll("billing")
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	if _, err := s.stream.Recv(); err == nil {
		t.Error("the stream still serves")
	}
}

func TestTheAdminListenerTellsItsHealth(t *testing.T) {
	t.Parallel()
	cp := launch(t, shopDir(t), nil)
	resp, err := healthv1.NewHealthClient(dial(t, cp.AdminAddr())).Check(t.Context(), &healthv1.HealthCheckRequest{Service: "warren.admin.v1.MeshService"})
	if err != nil || resp.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		t.Errorf("got %v, %v", resp, err)
	}
}

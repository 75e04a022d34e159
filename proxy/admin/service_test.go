package admin_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	channelzv1 "google.golang.org/grpc/channelz/grpc_channelz_v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/durationpb"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/admin"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/tap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeSidecar has something to show and notes what is asked of it.
type fakeSidecar struct {
	failed atomic.Bool
	quit   atomic.Bool
	phase  atomic.Int32
	stuck  bool // Drain never finishes by itself
}

func (f *fakeSidecar) Ready() error {
	if f.failed.Load() {
		return fmt.Errorf("failed by hand")
	}
	return nil
}

func (f *fakeSidecar) ServerInfo() *adminv1.GetServerInfoResponse {
	return &adminv1.GetServerInfoResponse{
		Node: "billing.shop~1", Ready: true, Listeners: []string{"127.0.0.1:17400"},
		Brokers: []*adminv1.BrokerNode{{Broker: "shop/main", Address: "127.0.0.1:5672", Publishing: true, Zone: "a"}},
	}
}

func (f *fakeSidecar) ConfigDump() *adminv1.GetConfigDumpResponse {
	return &adminv1.GetConfigDumpResponse{Version: "v1", Topics: []*adminv1.TopicConfig{{Name: "shop/orders"}}}
}

func (f *fakeSidecar) Drain(ctx context.Context, phase adminv1.DrainPhase) bool {
	f.phase.Store(int32(phase))
	if f.stuck {
		<-ctx.Done()
		return false
	}
	return true
}

func (f *fakeSidecar) FailHealthCheck(fail bool) { f.failed.Store(fail) }
func (f *fakeSidecar) Quit()                     { f.quit.Store(true) }

// served is a running admin server.
type served struct {
	sidecar *fakeSidecar
	bus     *tap.Bus
	level   *slog.LevelVar
	address string
	server  *admin.Server
	http    *http.Client
	grpc    adminv1.AdminServiceClient
	conn    *grpc.ClientConn
}

func serve(t *testing.T, sidecar *fakeSidecar, more ...func(*admin.Options)) *served {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &served{sidecar: sidecar, bus: &tap.Bus{}, level: &slog.LevelVar{}, address: l.Addr().String()}
	opts := admin.Options{
		Sidecar: sidecar, Namespace: "shop", Tap: s.bus, DrainTimeout: 20 * time.Millisecond, LogLevel: s.level,
	}
	for _, set := range more {
		set(&opts)
	}
	service := admin.NewService(opts)
	s.server = admin.New(l, service.Handler(), service.GRPC(), slog.New(slog.DiscardHandler))
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := s.server.Serve(); err != nil {
			t.Error(err)
		}
	})
	transport := &http.Transport{}
	s.http = &http.Client{Transport: transport, Timeout: 20 * time.Second}
	conn, err := grpc.NewClient(s.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	s.conn, s.grpc = conn, adminv1.NewAdminServiceClient(conn)
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = conn.Close()
		s.bus.Close()
		if err := s.server.Close(); err != nil {
			t.Error(err)
		}
		serving.Wait()
	})
	return s
}

func (s *served) do(t *testing.T, method, path string, header ...string) (code int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
			continue
		}
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := s.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(raw)
}

func TestEveryPathAnswersAsEnvoysDo(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, method, path string
		code               int
		want               string
	}{
		{"ready", "GET", "/ready", 200, "ok"},
		{"who it is", "GET", "/server_info", 200, `"node": "billing.shop~1"`},
		{"what it runs on", "GET", "/config_dump", 200, `"name": "shop/orders"`},
		{"nodes of brokers", "GET", "/clusters", 200, "shop/main::127.0.0.1:5672::publishing::true\n"},
		{"addresses", "GET", "/listeners", 200, "events::127.0.0.1:17400\n"},
		{"memory", "GET", "/memory", 200, `"goroutines":`},
		{"help lists the paths", "GET", "/help", 200, "POST /quitquitquit"},
		{"the root helps, too", "GET", "/", 200, "GET  /config_dump"},
		{"profiles", "GET", "/debug/pprof/", 200, "goroutine"},
		{"a path that is none", "GET", "/stats", 404, ""},
		{"to read by POST is refused", "POST", "/config_dump", 405, ""},
		{"failing the health check by GET is refused", "GET", "/healthcheck/fail", 400, "use POST"},
		{"mending it by GET is refused", "GET", "/healthcheck/ok", 400, "use POST"},
		{"changing the log by GET is refused", "GET", "/logging?level=debug", 400, "use POST"},
		{"draining by GET is refused", "GET", "/drain", 400, "use POST"},
		{"draining all by GET is refused", "GET", "/drain_listeners", 400, "use POST"},
		{"quitting by GET is refused", "GET", "/quitquitquit", 400, "use POST"},
		{"quitting by DELETE is refused", "DELETE", "/quitquitquit", 405, ""},
		{"a phase that is none", "POST", "/drain?phase=publish", 400, `phase "publish": want delivery or all`},
		{"a timeout that is none", "POST", "/drain?timeout=soon", 400, "want a positive duration"},
		{"a level that is none", "POST", "/logging?level=loud", 400, "want debug, info, warn or error"},
		{"the level as it is", "POST", "/logging", 200, "active log level: info"},
		{"the level as it is, Linkerd's way", "GET", "/proxy-log-level", 200, "active log level: info"},
		{"a level by PUT without a body", "PUT", "/proxy-log-level", 400, "the body must be debug, info, warn or error"},
	}
	s := serve(t, &fakeSidecar{}, everything)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			code, body := s.do(t, tt.method, tt.path)
			if code != tt.code || !strings.Contains(body, tt.want) {
				t.Errorf("%s %s: %d %q, want %d with %q", tt.method, tt.path, code, body, tt.code, tt.want)
			}
		})
	}
	t.Cleanup(func() {
		if s.sidecar.quit.Load() || s.sidecar.phase.Load() != 0 || s.sidecar.failed.Load() {
			t.Error("a refused request had an effect")
		}
	})
}

func TestTheLogLevelCanBePutAsLinkerdDoes(t *testing.T) {
	t.Parallel()
	s := serve(t, &fakeSidecar{})
	put := func(body string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+s.address+"/proxy-log-level", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := s.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	if code := put("warn\n"); code != http.StatusOK || s.level.Level() != slog.LevelWarn {
		t.Errorf("PUT warn: %d, the level is %s", code, s.level.Level())
	}
	for _, bad := range []string{"loud", strings.Repeat("debug", 10)} {
		if code := put(bad); code != http.StatusBadRequest || s.level.Level() != slog.LevelWarn {
			t.Errorf("PUT %q: %d, the level is %s", bad, code, s.level.Level())
		}
	}
}

func TestChannelzShowsTheProcess(t *testing.T) {
	t.Parallel()
	s := serve(t, &fakeSidecar{})
	servers, err := channelzv1.NewChannelzClient(s.conn).GetServers(t.Context(), &channelzv1.GetServersRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if len(servers.GetServer()) == 0 {
		t.Error("no gRPC server is shown")
	}
}

func TestPostChangesThings(t *testing.T) {
	t.Parallel()
	s := serve(t, &fakeSidecar{}, everything)
	post := func(path, want string) {
		t.Helper()
		if code, body := s.do(t, "POST", path); code != 200 || !strings.Contains(body, want) {
			t.Errorf("POST %s: %d %q", path, code, body)
		}
	}
	post("/logging?level=debug", "active log level: debug")
	if s.level.Level() != slog.LevelDebug {
		t.Errorf("the level is %s", s.level.Level())
	}
	post("/healthcheck/fail", "OK")
	if code, body := s.do(t, "GET", "/ready"); code != 503 || !strings.Contains(body, "failed by hand") {
		t.Errorf("ready after a failed health check: %d %q", code, body)
	}
	post("/healthcheck/ok", "OK")
	if code, _ := s.do(t, "GET", "/ready"); code != 200 {
		t.Errorf("ready after a mended health check: %d", code)
	}
	post("/drain", "drained")
	if got := adminv1.DrainPhase(s.sidecar.phase.Load()); got != adminv1.DrainPhase_DRAIN_PHASE_DELIVERY {
		t.Errorf("/drain drained %s", got)
	}
	post("/drain_listeners", "drained")
	if got := adminv1.DrainPhase(s.sidecar.phase.Load()); got != adminv1.DrainPhase_DRAIN_PHASE_ALL {
		t.Errorf("/drain_listeners drained %s", got)
	}
	post("/quitquitquit", "OK")
	if !s.sidecar.quit.Load() {
		t.Error("nobody was told to quit")
	}
}

func TestAPageInABrowserCannotSteerASidecar(t *testing.T) {
	t.Parallel()
	s := serve(t, &fakeSidecar{}, everything)
	_, port, err := net.SplitHostPort(s.address)
	if err != nil {
		t.Fatal(err)
	}
	for name, header := range map[string][]string{
		"cross-site":    {"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"},
		"DNS rebinding": {"Host", "evil.example:" + port, "Origin", "http://evil.example:" + port, "Sec-Fetch-Site", "same-origin"},
	} {
		for method, path := range map[string]string{"POST": "/quitquitquit", "GET": "/config_dump", "PUT": "/proxy-log-level", "HEAD": "/debug/pprof/trace"} {
			if code, _ := s.do(t, method, path, header...); code != http.StatusForbidden || s.sidecar.quit.Load() {
				t.Errorf("%s: %s %s: %d, quit %t", name, method, path, code, s.sidecar.quit.Load())
			}
		}
	}
	// gRPC on the same port is no way around.
	conn, err := grpc.NewClient(s.address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority("evil.example:"+port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := adminv1.NewAdminServiceClient(conn).GetConfigDump(t.Context(), &adminv1.GetConfigDumpRequest{}); err == nil {
		t.Error("a call by a foreign name was answered")
	}
}

// everything turns on what is off unless asked for.
func everything(o *admin.Options) { o.Quit, o.Profiles = true, true }

func TestStoppingAndProfilesAreOffUnlessAskedFor(t *testing.T) {
	t.Parallel()
	s := serve(t, &fakeSidecar{})
	for path, flag := range map[string]string{
		"POST /quitquitquit": "--admin-quit", "GET /quitquitquit": "--admin-quit",
		"GET /debug/pprof/": "--admin-profiles", "GET /debug/pprof/trace?seconds=60": "--admin-profiles",
		"GET /debug/pprof/heap": "--admin-profiles", "GET /debug/pprof/cmdline": "--admin-profiles", "POST /debug/pprof/symbol": "--admin-profiles",
	} {
		method, at, _ := strings.Cut(path, " ")
		if code, body := s.do(t, method, at); code != http.StatusNotFound || !strings.Contains(body, flag) {
			t.Errorf("%s: %d %q, want 404 that names %s", path, code, body, flag)
		}
	}
	if _, body := s.do(t, "GET", "/help"); strings.Contains(body, "quit") || strings.Contains(body, "pprof") {
		t.Errorf("help lists what is off:\n%s", body)
	}
	if s.sidecar.quit.Load() {
		t.Error("the sidecar was stopped")
	}
}

func TestReflectionCanBeTurnedOff(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		off  bool
		want codes.Code
	}{"on": {false, codes.OK}, "off": {true, codes.Unimplemented}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, &fakeSidecar{}, func(o *admin.Options) { o.NoReflection = test.off })
			c, err := reflectionv1.NewServerReflectionClient(s.conn).ServerReflectionInfo(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_ = c.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}}) // Recv tells
			if _, err := c.Recv(); status.Code(err) != test.want {
				t.Errorf("listing services: %v, want %s", err, test.want)
			}
		})
	}
}

func TestWatchesOfHealthAreBounded(t *testing.T) {
	t.Parallel()
	s := serve(t, &fakeSidecar{})
	var open, refused int
	for range 20 {
		conn, err := grpc.NewClient(s.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		for range 5 {
			w, err := healthv1.NewHealthClient(conn).Watch(t.Context(), &healthv1.HealthCheckRequest{})
			if err == nil {
				_, err = w.Recv()
			}
			switch status.Code(err) {
			case codes.OK:
				open++
			case codes.ResourceExhausted:
				refused++
			default:
				t.Fatal(err)
			}
		}
	}
	if open != 64 || refused != 100-64 {
		t.Errorf("%d watches open and %d refused of 100, want 64 open", open, refused)
	}
}

func TestBothProtocolsShareThePort(t *testing.T) {
	t.Parallel()
	s := serve(t, &fakeSidecar{})
	dump, err := s.grpc.GetConfigDump(t.Context(), &adminv1.GetConfigDumpRequest{})
	if err != nil || dump.GetVersion() != "v1" {
		t.Fatalf("by gRPC: %v, %v", dump, err)
	}
	_, body := s.do(t, "GET", "/config_dump")
	var same adminv1.GetConfigDumpResponse
	if err := protojson.Unmarshal([]byte(body), &same); err != nil || same.GetVersion() != dump.GetVersion() {
		t.Errorf("by HTTP: %v\n%s", err, body)
	}
	info, err := s.grpc.GetServerInfo(t.Context(), &adminv1.GetServerInfoRequest{})
	if err != nil || info.GetLogLevel() != "info" || info.GetNode() != "billing.shop~1" {
		t.Errorf("server info: %v, %v", info, err)
	}
}

func TestADrainNeedsItsPhaseNamed(t *testing.T) {
	t.Parallel()
	s := serve(t, &fakeSidecar{})
	for _, req := range []*adminv1.DrainRequest{{}, {Phase: 9}, {Phase: adminv1.DrainPhase_DRAIN_PHASE_ALL, Timeout: durationpb.New(-1)}} {
		if _, err := s.grpc.Drain(t.Context(), req); status.Code(err) != codes.InvalidArgument {
			t.Errorf("drain %v: %v", req, err)
		}
	}
	if s.sidecar.phase.Load() != 0 {
		t.Error("something was drained")
	}
	for range 2 {
		resp, err := s.grpc.Drain(t.Context(), &adminv1.DrainRequest{Phase: adminv1.DrainPhase_DRAIN_PHASE_DELIVERY})
		if err != nil || !resp.GetClean() {
			t.Errorf("drain: %v, %v", resp, err)
		}
	}
}

func TestADrainIsBoundedByTheSidecarsOwnTimeout(t *testing.T) {
	t.Parallel()
	s := serve(t, &fakeSidecar{stuck: true})
	resp, err := s.grpc.Drain(t.Context(), &adminv1.DrainRequest{Phase: adminv1.DrainPhase_DRAIN_PHASE_ALL, Timeout: durationpb.New(time.Hour)})
	if err != nil || resp.GetClean() {
		t.Errorf("a drain that cannot finish: %v, %v", resp, err)
	}
}

func (s *served) tap(t *testing.T, req *adminv1.TapRequest) adminv1.AdminService_TapClient {
	t.Helper()
	stream, err := s.grpc.Tap(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	first, err := stream.Recv()
	if err != nil || first.GetStage() != adminv1.TapStage_TAP_STAGE_UNSPECIFIED {
		t.Fatalf("opening a tap: %v, %v", first, err)
	}
	return stream
}

func TestATapShowsWhatPasses(t *testing.T) {
	t.Parallel()
	s := serve(t, &fakeSidecar{})
	stream := s.tap(t, &adminv1.TapRequest{Topic: "orders", MaxPayloadBytes: 3})
	e := &event.Event{ID: "1", Source: "/s", Type: "t\xff", Data: []byte("payload")}
	e.Set("subject", event.String("order-17"))
	orders := mesh.Name{Namespace: "shop", Name: "orders"}
	s.bus.Emit(&tap.Sight{Stage: tap.Published, Event: e, Topic: mesh.Name{Namespace: "shop", Name: "other"}})
	s.bus.Emit(&tap.Sight{Stage: tap.Published, Event: e, Topic: orders, Route: "canary/all", Attempt: 2, Took: time.Millisecond, Err: fmt.Errorf("no route")})
	got, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if got.GetStage() != adminv1.TapStage_TAP_STAGE_PUBLISHED || got.GetEventId() != "1" || got.GetTopic() != "shop/orders" ||
		got.GetAttributes()["subject"] != "order-17" || string(got.GetData()) != "pay" || got.GetDataBytes() != 7 ||
		got.GetError() != "no route" || got.GetAttempt() != 2 || got.GetType() != "t\uFFFD" || got.GetTook().AsDuration() != time.Millisecond {
		t.Errorf("saw %v", got)
	}
	s.bus.Close()
	if _, err := stream.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("after the end of the sidecar: %v", err)
	}
}

func TestATapThatMakesNoSenseIsRefused(t *testing.T) {
	t.Parallel()
	s := serve(t, &fakeSidecar{})
	nothing, most := 0.0, 100.5
	for _, req := range []*adminv1.TapRequest{{Topic: "a/b/c"}, {Subscription: "/"}, {SamplePercent: &nothing}, {SamplePercent: &most}} {
		stream, err := s.grpc.Tap(t.Context(), req)
		if err == nil {
			_, err = stream.Recv()
		}
		if status.Code(err) != codes.InvalidArgument {
			t.Errorf("tap %v: %v", req, err)
		}
	}
}

func TestTooManyTapsAreRefusedAndAClosedOneMakesRoom(t *testing.T) {
	t.Parallel()
	s := serve(t, &fakeSidecar{})
	ctx, leave := context.WithCancel(t.Context())
	for range tap.MaxListeners {
		stream, err := s.grpc.Tap(ctx, &adminv1.TapRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	stream, err := s.grpc.Tap(t.Context(), &adminv1.TapRequest{})
	if err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("one too many: %v", err)
	}
	leave()
	deadline, tick := time.After(20*time.Second), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for s.bus.Active() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("taps whose callers left stay open")
		}
	}
	s.tap(t, &adminv1.TapRequest{})
}

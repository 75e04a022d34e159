package client

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cespare/xxhash/v2"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/client/lastgood"
	"github.com/warrenmesh/warren/xds/client/resource"
	"github.com/warrenmesh/warren/xds/wire"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func options(change func(*Options)) Options {
	o := Options{
		Server: "passthrough:///control-plane", Node: xds.Node{ID: "i", Namespace: "shop", Workload: "billing"},
		Apply: func(*Snapshot) Refusals { return nil }, Logger: discard(),
	}
	if change != nil {
		change(&o)
	}
	return o
}

func newClient(tb testing.TB, o Options) *Client {
	tb.Helper()
	c, err := New(o)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// run runs the client until the test or its bubble ends.
func run(tb testing.TB, c *Client) (stop func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Errorf("Run: %v", err)
		}
	})
	tb.Cleanup(stop)
	return stop
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, want string
		change     func(*Options)
	}{
		{"a server is required", "Server", func(o *Options) { o.Server = "" }},
		{"a function to apply with is required", "Apply", func(o *Options) { o.Apply = nil }},
		{"a logger is required", "Logger", func(o *Options) { o.Logger = nil }},
		{"a node needs an id", "id", func(o *Options) { o.Node.ID = "" }},
		{"a node needs a namespace", "namespace", func(o *Options) { o.Node.Namespace = "" }},
		{"the topics are at most as many as allowed", "MaxTopics", func(o *Options) {
			o.MaxTopics, o.Topics = 1, make([]mesh.Name, 2)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := New(options(tc.change))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error about %s", err, tc.want)
			}
		})
	}
}

func TestRunMayBeCalledOnce(t *testing.T) {
	t.Parallel()
	c := newClient(t, options(nil))
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if err := c.Run(ended); err != nil {
		t.Errorf("first Run: %v", err)
	}
	if c.Run(ended) == nil {
		t.Error("second Run: no error")
	}
}

func TestReconnectDelaysAreSpreadOverTheWholeInterval(t *testing.T) {
	t.Parallel()
	for n, ceiling := range map[int]time.Duration{
		0: 100 * time.Millisecond, 1: 100 * time.Millisecond, 2: 200 * time.Millisecond,
		5: 1600 * time.Millisecond, 9: 10 * time.Second, 1 << 40: 10 * time.Second,
	} {
		var low, high bool
		for range 1000 {
			d := fullJitter(n)
			if d <= 0 || d > ceiling {
				t.Fatalf("delay %d is %v, want within %v", n, d, ceiling)
			}
			low, high = low || d < ceiling/4, high || d > ceiling*3/4
		}
		if !low || !high {
			t.Errorf("1000 delays %d leave out a quarter of the interval", n)
		}
	}
}

// served is a client in a bubble with the server it talks to.
func served(t *testing.T, change func(*Options)) (*Client, *adsServer) {
	t.Helper()
	s := startServer(t, func(string) {})
	c := newClient(t, options(func(o *Options) {
		o.DialOptions = s.dialOptions()
		if change != nil {
			change(o)
		}
	}))
	c.decode = decodeFlawed
	return c, s
}

func TestAMessageBeyondTheLimitEndsTheStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, s := served(t, func(o *Options) { o.Backoff = func(int) time.Duration { return time.Hour } })
		run(t, c)
		synctest.Wait()
		big := &anypb.Any{TypeUrl: xds.TypeListener, Value: make([]byte, maxMessageBytes)}
		s.do(t, command{response: &discoveryv3.DeltaDiscoveryResponse{
			TypeUrl: xds.TypeListener, Resources: []*discoveryv3.Resource{{Name: "topic/shop/big", Resource: big}},
		}})
		synctest.Wait()
		if st := c.Status(); st.Connected || !strings.Contains(st.LastError, "larger than max") {
			t.Errorf("connected=%v error=%q, want the stream ended by the limit", st.Connected, st.LastError)
		}
	})
}

func TestAServerThatDoesNotReadIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, s := served(t, func(o *Options) { o.Backoff = func(int) time.Duration { return time.Hour } })
		s.deaf = true
		run(t, c)
		synctest.Wait()
		// Each response has one ACK; some thousands of them fill the stream's window
		// (64 KiB), and 64 more the queue.
		for range 5000 {
			if !c.Status().Connected {
				break
			}
			s.do(t, command{response: &discoveryv3.DeltaDiscoveryResponse{TypeUrl: xds.TypeListener, Nonce: strings.Repeat("n", 100)}})
			synctest.Wait()
		}
		if st := c.Status(); st.Connected || st.LastError != errNotReading.Error() {
			t.Errorf("connected=%v error=%q, want %v", st.Connected, st.LastError, errNotReading)
		}
	})
}

func TestAResourceIsRefused(t *testing.T) {
	t.Parallel()
	rs, err := wire.EncodeTopic(topicTo(mesh.Name{Namespace: "shop", Name: "orders"}, mesh.Name{Namespace: "shop", Name: "main"}))
	if err != nil {
		t.Fatal(err)
	}
	listener, route := rs[0].Any, rs[1].Any
	for _, tc := range []struct {
		name, typeURL, resource string
		content                 *anypb.Any
	}{
		{"under another's name", xds.TypeListener, "topic/shop/returns", listener},
		{"as another type", xds.TypeListener, "topic/shop/orders", route},
		{"with garbage in it", xds.TypeListener, "topic/shop/orders", &anypb.Any{TypeUrl: xds.TypeListener, Value: []byte{0xff}}},
		{"without content", xds.TypeListener, "topic/shop/orders", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if e, err := resource.Decode(wire.Decode).Entry(tc.typeURL, tc.resource, "v1", tc.content); err == nil {
				t.Errorf("got %+v, want an error", e.Decoded)
			}
		})
	}
}

// answer tells the client, without a stream, that these are all there is.
func answer(t *testing.T, c *Client, typ string, lines ...string) {
	t.Helper()
	response := &discoveryv3.DeltaDiscoveryResponse{}
	for _, u := range xds.TypeURLs() {
		if shortType(u) == typ {
			response.TypeUrl = u
		}
	}
	for _, line := range lines {
		parseResource(t, response, line)
	}
	if bad, ok := c.take(response); !ok || len(bad) > 0 {
		t.Fatalf("%s: %v", typ, bad)
	}
	c.advance()
}

func TestWhatDidNotChangeIsTheSameObject(t *testing.T) {
	t.Parallel()
	var snapshots []*Snapshot
	c := newClient(t, options(func(o *Options) {
		o.Topics = []mesh.Name{name(t, "shop/orders"), name(t, "shop/returns")}
		o.Apply = func(s *Snapshot) Refusals { snapshots = append(snapshots, s); return nil }
	}))
	c.advance()
	answer(t, c, "Listener", "topic shop/orders v1", "topic shop/returns v1", "subscription shop/billing v1 shop/orders shop/main")
	answer(t, c, "RouteConfiguration", "route shop/orders v1 shop/main", "route shop/returns v1 shop/side")
	answer(t, c, "Cluster", "cluster shop/main v1", "cluster shop/side v1")
	answer(t, c, "ClusterLoadAssignment", "endpoints shop/main v1 127.0.0.1:1", "endpoints shop/side v1 127.0.0.1:2")
	snapshots = snapshots[len(snapshots)-1:]
	answer(t, c, "RouteConfiguration", "route shop/orders v2 shop/side", "route shop/returns v1 shop/side")
	if len(snapshots) != 2 {
		t.Fatalf("%d snapshots for one change, want 1", len(snapshots)-1)
	}
	before, after := snapshots[0].Config, snapshots[1].Config
	orders, returns := name(t, "shop/orders"), name(t, "shop/returns")
	if before.Topics[orders] == after.Topics[orders] {
		t.Error("the changed topic is the same object")
	}
	if before.Topics[returns] != after.Topics[returns] {
		t.Error("the unchanged topic is another object")
	}
	for n := range before.Brokers {
		if before.Brokers[n] != after.Brokers[n] {
			t.Errorf("the unchanged broker %s is another object", n)
		}
	}
	billing := name(t, "shop/billing")
	if before.Subscriptions[billing] != after.Subscriptions[billing] {
		t.Error("the unchanged subscription is another object")
	}
	if snapshots[0].Version == snapshots[1].Version {
		t.Error("two configurations have one version")
	}
}

func TestManyMayAwaitOneTopic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, s := served(t, nil)
		run(t, c)
		orders := name(t, "shop/orders")
		errs := make(chan error, 50)
		for range cap(errs) {
			go func() { errs <- c.Await(t.Context(), orders) }()
		}
		synctest.Wait()
		for _, step := range []struct{ typeURL, line string }{
			{xds.TypeListener, "topic shop/orders v1"},
			{xds.TypeRoute, "route shop/orders v1 shop/mem"},
			{xds.TypeCluster, "cluster shop/mem v1 memory"},
		} {
			response := &discoveryv3.DeltaDiscoveryResponse{TypeUrl: step.typeURL}
			parseResource(t, response, step.line)
			s.do(t, command{response: response})
			synctest.Wait()
		}
		for range cap(errs) {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
	})
}

// saved writes a state file with one complete topic and returns its path and the
// version of the snapshot.
func saved(t *testing.T) (path, version string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "last-good.json")
	c := newClient(t, options(func(o *Options) {
		o.StateFile = path
		o.Topics = []mesh.Name{name(t, "shop/orders")}
		o.Apply = func(s *Snapshot) Refusals { version = s.Version; return nil }
	}))
	c.advance()
	answer(t, c, "Listener", "topic shop/orders v1")
	answer(t, c, "RouteConfiguration", "route shop/orders v1 shop/mem")
	answer(t, c, "Cluster", "cluster shop/mem v1 memory")
	flush(c)
	return path, version
}

// flush writes at once what waits for the saver.
func flush(c *Client) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	c.saver.Run(ctx)
}

func TestTheStateFileIsItsOwnersAlone(t *testing.T) {
	t.Parallel()
	path, _ := saved(t)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o600 {
		t.Errorf("mode is %v, want 0600", info.Mode())
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("%d files are left beside it (%v)", len(left)-1, err)
	}
}

// startFrom starts a client on a state file, with no control plane about.
func startFrom(t *testing.T, path string, change func(*Options)) (s *Snapshot, st Status, logged string) {
	t.Helper()
	var log bytes.Buffer
	c := newClient(t, options(func(o *Options) {
		o.StateFile = path
		o.Apply = func(applied *Snapshot) Refusals { s = applied; return nil }
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		if change != nil {
			change(o)
		}
	}))
	c.restore()
	return s, c.Status(), log.String()
}

func TestTheSameConfigurationHasTheSameVersionAfterARestart(t *testing.T) {
	t.Parallel()
	path, version := saved(t)
	s, st, _ := startFrom(t, path, nil)
	if s == nil || s.Version != version || !s.FromDisk || st.Version != version {
		t.Errorf("started with %+v, want version %s", s, version)
	}
}

func TestAStateFileOfAnotherWorkloadIsNotUsed(t *testing.T) {
	t.Parallel()
	path, _ := saved(t)
	s, st, logged := startFrom(t, path, func(o *Options) { o.Node.Workload = "shipping" })
	if s != nil || !strings.Contains(st.StateFileError, "shop/billing") || !strings.Contains(logged, "not usable") {
		t.Errorf("applied %v, status %q, log %q", s, st.StateFileError, logged)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the other's file is gone: %v", err)
	}
}

func TestADamagedStateFileIsPutAside(t *testing.T) {
	t.Parallel()
	for what, damage := range map[string]func([]byte) []byte{
		"cut short":     func(b []byte) []byte { return b[:len(b)/2] },
		"empty":         func([]byte) []byte { return nil },
		"one bit wrong": func(b []byte) []byte { b[len(b)/2] ^= 4; return b },
		"of a later format": func([]byte) []byte {
			return fmt.Appendf(nil, `{"xxhash64":%q,"body":{"format":99}}`, strconv.FormatUint(xxhash.Sum64String(`{"format":99}`), 16))
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			path, _ := saved(t)
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			raw = damage(raw)
			if err := os.WriteFile(path, raw, 0o600); err != nil {
				t.Fatal(err)
			}
			s, st, logged := startFrom(t, path, nil)
			if s != nil || !strings.Contains(st.StateFileError, "corrupt") || !strings.Contains(logged, "not usable") {
				t.Errorf("applied %v, status %q, log %q", s, st.StateFileError, logged)
			}
			if aside, err := os.ReadFile(path + ".corrupt"); err != nil || !bytes.Equal(aside, raw) {
				t.Errorf("the file was not put aside: %v", err)
			}
		})
	}
}

func TestAStoredResourceThatIsRefusedNowIsLeftOut(t *testing.T) {
	t.Parallel()
	path, _ := saved(t)
	g, err := lastgood.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	extra, err := lastgood.NewResource(xds.TypeListener, "subscription/shop/billing", "v1", &anypb.Any{TypeUrl: xds.TypeListener})
	if err != nil {
		t.Fatal(err)
	}
	g.Resources = append(g.Resources, extra, lastgood.Resource{TypeURL: "unknown", Name: "x"})
	if err := lastgood.Write(path, g); err != nil {
		t.Fatal(err)
	}
	s, _, logged := startFrom(t, path, nil)
	if s == nil || len(s.Config.Topics) != 1 || len(s.Config.Subscriptions) != 0 {
		t.Errorf("started with %+v, want the topic alone", s)
	}
	if n := strings.Count(logged, "last-good resource not usable"); n != 2 {
		t.Errorf("%d resources reported, want 2: %s", n, logged)
	}
}

func TestAStateFileThatCannotBeWrittenIsToldOnce(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	path := filepath.Join(t.TempDir(), "missing", "last-good.json")
	c := newClient(t, options(func(o *Options) {
		o.StateFile, o.Logger = path, slog.New(slog.NewTextHandler(&log, nil))
	}))
	for range 2 {
		c.saver.Put(&lastgood.Content{})
		flush(c)
	}
	if n := strings.Count(log.String(), "not saved"); n != 1 {
		t.Errorf("told %d times, want once: %s", n, log.String())
	}
	if c.Status().StateFileError == "" {
		t.Error("the status does not show it")
	}
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	c.saver.Put(&lastgood.Content{})
	flush(c)
	if got := c.Status().StateFileError; got != "" {
		t.Errorf("the status still shows %q after a good write", got)
	}
}

package proxy_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/proxy"
	"github.com/warrenmesh/warren/xds"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// running is a sidecar without a control plane.
type running struct {
	*proxy.Proxy
	t    *testing.T
	conn *grpc.ClientConn
	stop context.CancelFunc
	done chan error
}

func options() proxy.Options {
	return proxy.Options{
		Node:         xds.Node{ID: "a", Namespace: "shop", Workload: "a"},
		ControlPlane: "127.0.0.1:1",
		Listen:       []string{"127.0.0.1:0"},
		AdminListen:  "127.0.0.1:0",

		AdminProfiles: true,

		DrainTimeout: time.Hour, // whoever waits for it fails the test
		Logger:       slog.New(slog.DiscardHandler),
	}
}

func start(t *testing.T) *running {
	t.Helper()
	p, err := proxy.New(options())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &running{Proxy: p, t: t, stop: stop, done: make(chan error, 1)}
	go func() { r.done <- p.Run(ctx) }()
	t.Cleanup(stop)
	select {
	case <-p.Started():
	case err := <-r.done:
		t.Fatal(err)
	}
	r.conn, err = grpc.NewClient("passthrough:///"+p.EventAddresses()[0], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.conn.Close() })
	return r
}

// stopped stops the sidecar and returns how that went.
func (r *running) stopped() error {
	r.t.Helper()
	r.stop()
	select {
	case err := <-r.done:
		return err
	case <-time.After(20 * time.Second):
		r.t.Fatal("the sidecar does not stop")
		return nil
	}
}

func TestAStopIsCleanWhateverClientsLeaveOpen(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(t *testing.T, r *running) error{
		"nothing": func(*testing.T, *running) error { return nil },
		"a health watch": func(t *testing.T, r *running) error {
			s, err := healthv1.NewHealthClient(r.conn).Watch(t.Context(), &healthv1.HealthCheckRequest{})
			if err == nil {
				_, err = s.Recv()
			}
			return err
		},
		"a reflection stream": func(t *testing.T, r *running) error {
			s, err := reflectionv1.NewServerReflectionClient(r.conn).ServerReflectionInfo(t.Context())
			if err == nil {
				err = s.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}})
			}
			if err == nil {
				_, err = s.Recv()
			}
			return err
		},
		"a subscription that says nothing": func(t *testing.T, r *running) error {
			if _, err := eventsv1.NewEventServiceClient(r.conn).Subscribe(t.Context()); err != nil {
				return err
			}
			_, err := healthv1.NewHealthClient(r.conn).Check(t.Context(), &healthv1.HealthCheckRequest{}) // the stream was opened before
			return err
		},
		"a publish stream": func(t *testing.T, r *running) error {
			s, err := eventsv1.NewEventServiceClient(r.conn).PublishStream(t.Context())
			if err == nil {
				err = s.Send(&eventsv1.PublishStreamRequest{Entries: []*eventsv1.PublishStreamEntry{{RequestId: 1}}})
			}
			if err == nil {
				_, err = s.Recv()
			}
			return err
		},
		"a profile": func(t *testing.T, r *running) error {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.AdminAddress()+"/debug/pprof/trace?seconds=60", nil)
			if err != nil {
				return err
			}
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			res, err := client.Do(req)
			if err == nil {
				t.Cleanup(func() { _ = res.Body.Close() })
				_, err = io.ReadFull(res.Body, make([]byte, 1)) // it has begun
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t)
			if err := open(t, r); err != nil {
				t.Fatal(err)
			}
			if err := r.stopped(); err != nil {
				t.Errorf("stopped with %v", err)
			}
		})
	}
}

func TestAStopThatComesAtOnceIsClean(t *testing.T) {
	t.Parallel()
	for range 20 {
		p, err := proxy.New(options())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx) }()
		select {
		case <-p.Started():
		case err := <-done:
			t.Fatal(err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}

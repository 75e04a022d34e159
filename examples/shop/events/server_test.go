package events_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/examples/shop/events"
	"github.com/warrenmesh/warren/internal/process"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// handler reports that a call has begun, and answers when it is allowed to.
type handler struct {
	eventsv1.UnimplementedEventHandlerServiceServer
	working, release chan struct{}
}

func (h *handler) OnEvent(_ context.Context, req *eventsv1.OnEventRequest) (*eventsv1.OnEventResponse, error) {
	close(h.working)
	<-h.release
	return &eventsv1.OnEventResponse{Reason: req.GetEvent().GetId()}, nil
}

func TestAStoppingServerIsNotServingAndAnswersWhatIsInWork(t *testing.T) {
	t.Parallel()
	ports, err := process.FreePorts(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	h := &handler{working: make(chan struct{}), release: make(chan struct{})}
	ready := make(chan struct{})
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := (&events.Server{Address: ports[0], Handler: h, Ready: func() { close(ready) }}).Run(ctx); err != nil {
			t.Error(err)
		}
	})
	wait(t, ready)
	conn, err := grpc.NewClient(ports[0], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	checks := healthv1.NewHealthClient(conn)
	check := &healthv1.HealthCheckRequest{Service: "warren.events.v1.EventHandlerService"}
	watching, unwatch := context.WithCancel(t.Context())
	defer unwatch()
	watch, err := checks.Watch(watching, check)
	if err != nil {
		t.Fatal(err)
	}
	next := func(want healthv1.HealthCheckResponse_ServingStatus) {
		if res, err := watch.Recv(); err != nil || res.GetStatus() != want {
			t.Errorf("health is %v, %v; want %v", res.GetStatus(), err, want)
		}
	}
	next(healthv1.HealthCheckResponse_SERVING)

	var calling sync.WaitGroup
	calling.Go(func() {
		res, err := eventsv1.NewEventHandlerServiceClient(conn).OnEvent(t.Context(), &eventsv1.OnEventRequest{Event: &eventsv1.CloudEvent{Id: "a"}})
		if err != nil || res.GetReason() != "a" {
			t.Errorf("the event in work was answered %v, %v", res, err)
		}
	})
	wait(t, h.working)
	stop()
	next(healthv1.HealthCheckResponse_NOT_SERVING)
	close(h.release)
	calling.Wait()
	unwatch() // otherwise stopping would wait for it
	running.Wait()
}

func TestAServerSaysWhenItsPortIsTaken(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	if err := (&events.Server{Address: listener.Addr().String(), Handler: &handler{}}).Run(t.Context()); err == nil {
		t.Error("Run served on a port that is in use")
	}
}

func wait(t *testing.T, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("nothing happened for 20 s")
	}
}

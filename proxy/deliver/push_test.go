package deliver_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/deliver"
	"github.com/warrenmesh/warren/proxy/deliver/push"
	door "github.com/warrenmesh/warren/proxy/door/grpc"
	"github.com/warrenmesh/warren/proxy/snapshot"
)

// handler is a service that is pushed to; answer decides about each call.
type handler struct {
	eventsv1.UnimplementedEventHandlerServiceServer
	answer func(context.Context, *eventsv1.OnEventRequest) (*eventsv1.OnEventResponse, error)
}

func (h *handler) OnEvent(ctx context.Context, req *eventsv1.OnEventRequest) (*eventsv1.OnEventResponse, error) {
	return h.answer(ctx, req)
}

// service runs a handler on loopback; health is nil for a service without checks.
func service(t *testing.T, l net.Listener, h *handler, checks *health.Server) (stop func()) {
	t.Helper()
	server := grpc.NewServer()
	eventsv1.RegisterEventHandlerServiceServer(server, h)
	if checks != nil {
		healthv1.RegisterHealthServer(server, checks)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	stop = sync.OnceFunc(func() { server.Stop(); <-done })
	t.Cleanup(stop)
	return stop
}

func listenLoopback(t *testing.T, address string) (net.Listener, uint32) {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l, uint32(l.Addr().(*net.TCPAddr).Port)
}

// pushing starts a pusher for the rig's subscription on port.
func (r *rig) pushing(port uint32, change func(*mesh.Subscription)) *push.Pusher {
	r.t.Helper()
	sub := subscription()
	sub.PushPort = port
	if change != nil {
		change(&sub)
	}
	r.ensure(&sub)
	p := deliver.NewPusher(r.service, push.Options{Dial: door.Push(door.PushOptions{HealthPeriod: 20 * time.Millisecond})})
	r.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		p.Stop(ctx)
	})
	p.Apply(snapshot.Subscriptions(&mesh.Config{Subscriptions: map[mesh.Name]*mesh.Subscription{sub.Name: &sub}}))
	return p
}

func TestPushHandsOverTheEventAndAcks(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	l, port := listenLoopback(t, "127.0.0.1:0")
	calls := make(chan *eventsv1.OnEventRequest, 1)
	service(t, l, &handler{answer: func(ctx context.Context, req *eventsv1.OnEventRequest) (*eventsv1.OnEventResponse, error) {
		if _, ok := ctx.Deadline(); !ok {
			t.Error("the call has no deadline")
		}
		calls <- req
		return &eventsv1.OnEventResponse{}, nil
	}}, nil)
	r.publish("1")
	r.pushing(port, nil)
	req := <-calls
	if req.GetEvent().GetId() != "1" || string(req.GetEvent().GetBinaryData()) != "order 1" || req.GetAttempt() != 1 ||
		req.GetSubscription() != "shop/billing" || req.GetTopic() != "shop/orders" || req.GetRedelivered() {
		t.Errorf("call %v", req)
	}
	r.empty("shop.billing")
}

func TestPushMapsAnswersToOutcomes(t *testing.T) {
	t.Parallel()
	limited, err := status.New(codes.ResourceExhausted, "slow down").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(time.Millisecond)})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		res    *eventsv1.OnEventResponse
		err    error
		calls  uint32
		reason string // of the dead letter, "" for none
	}{
		"ack":                      {&eventsv1.OnEventResponse{Outcome: eventsv1.Outcome_OUTCOME_ACK}, nil, 1, ""},
		"an empty answer is ack":   {&eventsv1.OnEventResponse{}, nil, 1, ""},
		"retry uses up attempts":   {&eventsv1.OnEventResponse{Outcome: eventsv1.Outcome_OUTCOME_RETRY}, nil, 3, "attempts-exhausted"},
		"dead letter":              {&eventsv1.OnEventResponse{Outcome: eventsv1.Outcome_OUTCOME_DEAD_LETTER, Reason: "no"}, nil, 1, "rejected"},
		"INVALID_ARGUMENT":         {nil, status.Error(codes.InvalidArgument, "no"), 1, "rejected"},
		"INTERNAL is retried":      {nil, status.Error(codes.Internal, "oops"), 3, "attempts-exhausted"},
		"RESOURCE_EXHAUSTED":       {nil, limited.Err(), 3, "attempts-exhausted"},
		"a panic's UNKNOWN":        {nil, fmt.Errorf("plain"), 3, "attempts-exhausted"},
		"DEADLINE_EXCEEDED is one": {nil, status.Error(codes.DeadlineExceeded, "slow"), 3, "ack-deadline"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil)
			l, port := listenLoopback(t, "127.0.0.1:0")
			attempts := make(chan uint32, 10)
			service(t, l, &handler{answer: func(_ context.Context, req *eventsv1.OnEventRequest) (*eventsv1.OnEventResponse, error) {
				attempts <- req.GetAttempt()
				return test.res, test.err
			}}, nil)
			r.publish("1")
			r.pushing(port, nil)
			for want := uint32(1); want <= test.calls; want++ {
				if got := <-attempts; got != want {
					t.Errorf("attempt %d, want %d", got, want)
				}
			}
			if test.reason != "" {
				if dl := r.letter().DeadLetter; dl.Reason != test.reason || dl.Attempts != test.calls {
					t.Errorf("dead letter %+v", dl)
				}
			}
			r.empty("shop.billing")
			if len(attempts) > 0 {
				t.Errorf("%d calls too many", len(attempts))
			}
		})
	}
}

func TestPushBoundsCallsUnderWay(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	l, port := listenLoopback(t, "127.0.0.1:0")
	entered, release := make(chan struct{}, 10), make(chan struct{})
	service(t, l, &handler{answer: func(context.Context, *eventsv1.OnEventRequest) (*eventsv1.OnEventResponse, error) {
		entered <- struct{}{}
		<-release
		return &eventsv1.OnEventResponse{}, nil
	}}, nil)
	r.publish("1", "2", "3", "4")
	r.pushing(port, func(s *mesh.Subscription) { s.Queue.Prefetch = 2 })
	<-entered
	<-entered
	if ready, unsettled := r.broker.Len("shop.billing"); ready != 2 || unsettled != 2 {
		t.Errorf("%d ready, %d unsettled; want 2, 2", ready, unsettled)
	}
	close(release)
	r.empty("shop.billing")
}

func TestPushWaitsForTheServicesHealth(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	l, port := listenLoopback(t, "127.0.0.1:0")
	checks := health.NewServer()
	checks.SetServingStatus("", healthv1.HealthCheckResponse_NOT_SERVING)
	calls := make(chan struct{}, 1)
	service(t, l, &handler{answer: func(context.Context, *eventsv1.OnEventRequest) (*eventsv1.OnEventResponse, error) {
		if res, _ := checks.Check(context.Background(), &healthv1.HealthCheckRequest{}); res.GetStatus() != healthv1.HealthCheckResponse_SERVING {
			t.Error("called while NOT_SERVING")
		}
		calls <- struct{}{}
		return &eventsv1.OnEventResponse{}, nil
	}}, checks)
	r.publish("1")
	r.pushing(port, nil)
	if ready, _ := r.broker.Len("shop.billing"); ready != 1 {
		t.Errorf("%d ready: the event was taken though the service is not ready", ready)
	}
	checks.SetServingStatus("", healthv1.HealthCheckResponse_SERVING)
	<-calls
	r.empty("shop.billing")
}

func TestPushStopsWhenTheServiceSaysItIsNotReady(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	l, port := listenLoopback(t, "127.0.0.1:0")
	checks := health.NewServer()
	checks.SetServingStatus("", healthv1.HealthCheckResponse_SERVING)
	calls := make(chan string, 10_000)
	service(t, l, &handler{answer: func(_ context.Context, req *eventsv1.OnEventRequest) (*eventsv1.OnEventResponse, error) {
		calls <- req.GetEvent().GetId()
		return &eventsv1.OnEventResponse{}, nil
	}}, checks)
	r.publish("first")
	r.pushing(port, nil)
	<-calls
	checks.SetServingStatus("", healthv1.HealthCheckResponse_NOT_SERVING)
	// The last good answer holds for a period; from then on events stay.
	published := 0
	eventually(t, "events are held back", func() bool {
		r.publish("held")
		published++
		ready, unsettled := r.broker.Len("shop.billing")
		return ready+unsettled > 3
	})
	checks.SetServingStatus("", healthv1.HealthCheckResponse_SERVING)
	eventually(t, "they come when it is ready again", func() bool { return len(calls) == published })
	r.empty("shop.billing")
}

func TestPushOutlivesARestartOfTheServiceWithoutSpendingAttempts(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	l, port := listenLoopback(t, "127.0.0.1:0")
	entered := make(chan struct{}, 1)
	stop := service(t, l, &handler{answer: func(ctx context.Context, _ *eventsv1.OnEventRequest) (*eventsv1.OnEventResponse, error) {
		entered <- struct{}{}
		<-ctx.Done() // the service dies with the event in its hands
		return nil, ctx.Err()
	}}, nil)
	r.publish("1")
	r.pushing(port, nil)
	<-entered
	stop()
	again, _ := listenLoopback(t, fmt.Sprintf("127.0.0.1:%d", port))
	attempts := make(chan uint32, 1)
	service(t, again, &handler{answer: func(_ context.Context, req *eventsv1.OnEventRequest) (*eventsv1.OnEventResponse, error) {
		attempts <- req.GetAttempt()
		return &eventsv1.OnEventResponse{}, nil
	}}, nil)
	if got := <-attempts; got != 1 {
		t.Errorf("attempt %d after the restart, want still 1", got)
	}
	r.empty("shop.billing")
}

func TestPushFollowsTheConfiguration(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	l, port := listenLoopback(t, "127.0.0.1:0")
	calls := make(chan string, 10)
	service(t, l, &handler{answer: func(_ context.Context, req *eventsv1.OnEventRequest) (*eventsv1.OnEventResponse, error) {
		calls <- req.GetEvent().GetId()
		return &eventsv1.OnEventResponse{}, nil
	}}, nil)
	p := r.pushing(port, nil)
	r.publish("1")
	<-calls
	p.Apply(nil)
	sub := subscription()
	sub.PushPort = port
	r.publish("2")
	p.Apply(snapshot.Subscriptions(&mesh.Config{Subscriptions: map[mesh.Name]*mesh.Subscription{sub.Name: &sub}}))
	if got := <-calls; got != "2" {
		t.Errorf("after coming back: event %s, want 2", got)
	}
	r.empty("shop.billing")
}

func TestPushStop(t *testing.T) {
	t.Parallel()
	t.Run("lets calls under way finish", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, nil)
		l, port := listenLoopback(t, "127.0.0.1:0")
		entered, release := make(chan struct{}), make(chan struct{})
		service(t, l, &handler{answer: func(context.Context, *eventsv1.OnEventRequest) (*eventsv1.OnEventResponse, error) {
			close(entered)
			<-release
			return &eventsv1.OnEventResponse{}, nil
		}}, nil)
		r.publish("1")
		p := r.pushing(port, nil)
		<-entered
		stopped := make(chan struct{})
		go func() { p.Stop(context.Background()); close(stopped) }()
		close(release)
		<-stopped
		r.empty("shop.billing")
	})
	t.Run("is bounded, and gives back what is held too long", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, nil)
		l, port := listenLoopback(t, "127.0.0.1:0")
		entered := make(chan struct{})
		service(t, l, &handler{answer: func(ctx context.Context, _ *eventsv1.OnEventRequest) (*eventsv1.OnEventResponse, error) {
			close(entered)
			<-ctx.Done()
			return nil, ctx.Err()
		}}, nil)
		r.publish("1")
		p := r.pushing(port, nil)
		<-entered
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		p.Stop(ctx)
		if ready, unsettled := r.broker.Len("shop.billing"); ready != 1 || unsettled != 0 {
			t.Errorf("%d ready, %d unsettled; want the event back", ready, unsettled)
		}
	})
}

// serviceOf runs a service that acks and tells the ids of what it was handed.
func serviceOf(t *testing.T, l net.Listener, ids chan<- string) {
	t.Helper()
	service(t, l, &handler{answer: func(_ context.Context, req *eventsv1.OnEventRequest) (*eventsv1.OnEventResponse, error) {
		ids <- req.GetEvent().GetId()
		return &eventsv1.OnEventResponse{}, nil
	}}, nil)
}

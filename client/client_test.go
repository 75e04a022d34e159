package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sidecar stands in for a sidecar: each test says what it answers.
type sidecar struct {
	eventsv1.UnimplementedEventServiceServer
	publish   func(*eventsv1.PublishRequest) error
	subscribe func(eventsv1.EventService_SubscribeServer) error

	publishStream func(eventsv1.EventService_PublishStreamServer) error
}

func (s *sidecar) Publish(_ context.Context, req *eventsv1.PublishRequest) (*eventsv1.PublishResponse, error) {
	if err := s.publish(req); err != nil {
		return nil, err
	}
	return &eventsv1.PublishResponse{EventId: req.GetEvent().GetId(), Topic: "shop/" + req.GetTopic()}, nil
}

func (s *sidecar) Subscribe(stream eventsv1.EventService_SubscribeServer) error {
	return s.subscribe(stream)
}

func (s *sidecar) PublishStream(stream eventsv1.EventService_PublishStreamServer) error {
	return s.publishStream(stream)
}

func (s *sidecar) client(t *testing.T) *client.Client {
	t.Helper()
	listener := bufconn.Listen(1 << 16)
	server := grpc.NewServer()
	eventsv1.RegisterEventServiceServer(server, s)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	c, err := client.Dial("passthrough:///sidecar", grpc.WithContextDialer(
		func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Close()
		server.Stop()
		serving.Wait()
	})
	return c
}

// refused is an error as the sidecar makes them.
func refused(t *testing.T, code codes.Code, details ...protoadapt.MessageV1) error {
	t.Helper()
	st, err := status.New(code, "no").WithDetails(append(details, &errdetails.ErrorInfo{
		Reason: "REASON", Domain: "warrenmesh.io", Metadata: map[string]string{"outcome": "not_sent"},
	})...)
	if err != nil {
		t.Fatal(err)
	}
	return st.Err()
}

func withRetryInfo(t *testing.T, code codes.Code, after time.Duration) error {
	t.Helper()
	return refused(t, code, &errdetails.RetryInfo{RetryDelay: durationpb.New(after)})
}

func TestPublishRepeatsTheSameEventUntilItIsConfirmed(t *testing.T) {
	t.Parallel()
	answers := []error{
		status.Error(codes.Unavailable, "connection lost"),
		status.Error(codes.DeadlineExceeded, "deadline near"),
		refused(t, codes.ResourceExhausted),
		nil,
	}
	var seen []string
	s := &sidecar{publish: func(req *eventsv1.PublishRequest) error {
		seen = append(seen, req.GetEvent().GetId())
		return answers[len(seen)-1]
	}}
	c := s.client(t)
	resp, attempts, err := quick.Publish(t.Context(), c, "orders", &eventsv1.CloudEvent{Id: "order-1"})
	if err != nil {
		t.Fatal(err)
	}
	if attempts != 4 || resp.GetTopic() != "shop/orders" {
		t.Errorf("answer %v after %d attempts, want shop/orders after 4", resp, attempts)
	}
	if got := fmt.Sprint(seen); got != "[order-1 order-1 order-1 order-1]" {
		t.Errorf("the sidecar saw %s", got)
	}
}

func TestPublishGivesUpAtOnceWhenRepeatingCannotHelp(t *testing.T) {
	t.Parallel()
	for _, code := range []codes.Code{codes.InvalidArgument, codes.NotFound, codes.FailedPrecondition, codes.PermissionDenied} {
		t.Run(code.String(), func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int32
			s := &sidecar{publish: func(*eventsv1.PublishRequest) error {
				calls.Add(1)
				return status.Error(code, "no")
			}}
			c := s.client(t)
			_, _, err := quick.Publish(t.Context(), c, "orders", &eventsv1.CloudEvent{Id: "order-1"})
			if status.Code(err) != code || calls.Load() != 1 {
				t.Errorf("error %v after %d calls, want %v after 1", err, calls.Load(), code)
			}
		})
	}
}

func TestPublishWaitsAsLongAsItIsAskedTo(t *testing.T) {
	t.Parallel()
	const asked = 60 * time.Millisecond
	calls := make(chan time.Time, 2)
	s := &sidecar{}
	s.publish = func(*eventsv1.PublishRequest) error {
		calls <- time.Now()
		if len(calls) == 1 {
			return withRetryInfo(t, codes.Unavailable, asked)
		}
		return nil
	}
	c := s.client(t)
	if _, _, err := quick.Publish(t.Context(), c, "orders", &eventsv1.CloudEvent{Id: "order-1"}); err != nil {
		t.Fatal(err)
	}
	first, second := <-calls, <-calls
	if waited := second.Sub(first); waited < asked {
		t.Errorf("the second call came after %v, asked for at least %v", waited, asked)
	}
}

func TestPublishEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s := &sidecar{publish: func(*eventsv1.PublishRequest) error {
		cancel()
		return withRetryInfo(t, codes.Unavailable, time.Hour)
	}}
	c := s.client(t)
	if _, _, err := quick.Publish(ctx, c, "orders", &eventsv1.CloudEvent{Id: "order-1"}); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want that the context was cancelled", err)
	}
}

// subscription is the sidecar's end of a Subscribe stream.
type subscription struct {
	t *testing.T
	eventsv1.EventService_SubscribeServer
}

func (s subscription) init() *eventsv1.SubscribeInit {
	req, err := s.Recv()
	if err != nil || req.GetInit() == nil {
		s.t.Errorf("first request is %v, %v; want init", req, err)
	}
	s.send(&eventsv1.SubscribeResponse{Response: &eventsv1.SubscribeResponse_Ready{
		Ready: &eventsv1.SubscribeReady{Subscription: "shop/billing", Topic: "shop/orders"},
	}})
	return req.GetInit()
}

func (s subscription) send(resp *eventsv1.SubscribeResponse) {
	if err := s.Send(resp); err != nil {
		s.t.Errorf("send: %v", err)
	}
}

func (s subscription) deliver(tokens ...string) {
	var out []*eventsv1.Delivery
	for _, token := range tokens {
		out = append(out, &eventsv1.Delivery{Token: token, Event: &eventsv1.CloudEvent{Id: "event-" + token}})
	}
	s.send(&eventsv1.SubscribeResponse{Response: &eventsv1.SubscribeResponse_Deliveries{
		Deliveries: &eventsv1.SubscribeDeliveries{Deliveries: out},
	}})
}

// settled collects n settlements by token, and the credit given with them.
func (s subscription) settled(n int) (outcomes map[string]eventsv1.Outcome, credit uint32) {
	outcomes = make(map[string]eventsv1.Outcome)
	for len(outcomes) < n || credit < uint32(n) {
		req, err := s.Recv()
		if err != nil {
			s.t.Errorf("stream ended with %v, %d of %d settled", err, len(outcomes), n)
			return outcomes, credit
		}
		for _, st := range req.GetSettle().GetSettlements() {
			outcomes[st.GetToken()] = st.GetOutcome()
		}
		credit += req.GetCredit().GetMessages()
	}
	return outcomes, credit
}

// start runs a Subscribe and returns a function that stops it and waits.
func start(t *testing.T, c *client.Client, handle client.Handler, o client.SubscribeOptions) (stop func()) {
	t.Helper()
	o.Backoff = time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := c.Subscribe(ctx, "billing", handle, o); err != nil {
			t.Errorf("Subscribe: %v", err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(stop)
	return stop
}

func ack(context.Context, *eventsv1.Delivery) error { return nil }

func TestASubscriberSettlesEachDeliveryAndGivesTheCreditBack(t *testing.T) {
	t.Parallel()
	checked := make(chan struct{})
	s := &sidecar{subscribe: func(stream eventsv1.EventService_SubscribeServer) error {
		sub := subscription{t, stream}
		if init := sub.init(); init.GetInitialCredit() != 8 || init.GetMaxOutstandingMessages() != 8 {
			t.Errorf("init is %v, want a window of 8", init)
		}
		sub.deliver("1", "2")
		sub.deliver("bad")
		outcomes, credit := sub.settled(3)
		if credit != 3 || outcomes["1"] != eventsv1.Outcome_OUTCOME_ACK || outcomes["bad"] != eventsv1.Outcome_OUTCOME_DEAD_LETTER {
			t.Errorf("settled %v with credit %d", outcomes, credit)
		}
		close(checked)
		_, err := stream.Recv() // until the client closes
		return ignoreEOF(err)
	}}
	stop := start(t, s.client(t), func(_ context.Context, d *eventsv1.Delivery) error {
		if d.GetToken() == "bad" {
			return fmt.Errorf("read order: %w", client.Reject(errors.New("not JSON")))
		}
		return nil
	}, client.SubscribeOptions{Window: 8})
	wait(t, checked)
	stop()
}

func TestASubscriberOpensABrokenStreamAgain(t *testing.T) {
	t.Parallel()
	var streams atomic.Int32
	again := make(chan struct{})
	s := &sidecar{subscribe: func(stream eventsv1.EventService_SubscribeServer) error {
		sub := subscription{t, stream}
		sub.init()
		if streams.Add(1) < 3 {
			return status.Error(codes.Unavailable, "restarting")
		}
		sub.deliver("1")
		sub.settled(1)
		close(again)
		_, err := stream.Recv()
		return ignoreEOF(err)
	}}
	var ready atomic.Int32
	stop := start(t, s.client(t), ack, client.SubscribeOptions{Ready: func(*eventsv1.SubscribeReady) { ready.Add(1) }})
	wait(t, again)
	stop()
	if ready.Load() != 3 {
		t.Errorf("ready was called %d times, want 3", ready.Load())
	}
}

func TestAHandlersContextEndsWithItsStream(t *testing.T) {
	t.Parallel()
	working := make(chan struct{})
	s := &sidecar{subscribe: func(stream eventsv1.EventService_SubscribeServer) error {
		sub := subscription{t, stream}
		sub.init()
		sub.deliver("1")
		<-working
		return status.Error(codes.Unavailable, "gone")
	}}
	ended := make(chan struct{})
	var once sync.Once
	stop := start(t, s.client(t), func(ctx context.Context, d *eventsv1.Delivery) error {
		once.Do(func() {
			close(working)
			<-ctx.Done()
			close(ended)
		})
		return ack(ctx, d)
	}, client.SubscribeOptions{})
	wait(t, ended)
	stop()
}

func TestAStoppingSubscriberSettlesWhatIsInWork(t *testing.T) {
	t.Parallel()
	working, release := make(chan struct{}), make(chan struct{})
	last := make(chan *eventsv1.SubscribeSettle, 1)
	s := &sidecar{subscribe: func(stream eventsv1.EventService_SubscribeServer) error {
		sub := subscription{t, stream}
		sub.init()
		sub.deliver("1")
		req, err := stream.Recv()
		if err != nil {
			return err
		}
		last <- req.GetSettle()
		_, err = stream.Recv()
		return ignoreEOF(err)
	}}
	stop := start(t, s.client(t), func(ctx context.Context, d *eventsv1.Delivery) error {
		close(working)
		<-release
		return ack(ctx, d)
	}, client.SubscribeOptions{})
	wait(t, working)
	var stopping sync.WaitGroup
	stopping.Go(stop)
	close(release)
	stopping.Wait()
	select {
	case settle := <-last:
		if len(settle.GetSettlements()) != 1 || settle.GetSettlements()[0].GetToken() != "1" {
			t.Errorf("settled %v, want token 1", settle)
		}
	default:
		t.Error("the delivery in work was not settled")
	}
}

func ignoreEOF(err error) error {
	if err != nil && status.Code(err) == codes.Unknown { // io.EOF: the client closed its side
		return nil
	}
	return err
}

func wait(t *testing.T, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("nothing happened for 20 s")
	}
}

func TestSubscribeTellsOfLostStreamsAndEndsWhenItIsRefused(t *testing.T) {
	t.Parallel()
	const pause = 100 * time.Millisecond // more than Backoff ever gives
	var streams atomic.Int32
	s := &sidecar{subscribe: func(stream eventsv1.EventService_SubscribeServer) error {
		switch streams.Add(1) {
		case 1:
			subscription{t, stream}.init()
			return nil // ended, without a reason
		case 2:
			return withRetryInfo(t, codes.NotFound, pause)
		default:
			return refused(t, codes.PermissionDenied)
		}
	}}
	var lost []string
	err := s.client(t).Subscribe(t.Context(), "billing", ack, client.SubscribeOptions{
		Backoff: time.Millisecond,
		Lost: func(err error, again time.Duration) {
			lost = append(lost, fmt.Sprint(status.Code(err), again > 0, again == pause))
		},
	})
	if got := fmt.Sprint(lost); got != "[Unknown true false NotFound true true]" {
		t.Errorf("lost %s", got)
	}
	var failure *client.Error
	if !errors.As(err, &failure) || failure.Code != codes.PermissionDenied || failure.Reason != "REASON" {
		t.Errorf("Subscribe: %v", err)
	}
}

func TestSubscribeTellsOfSettlementsWithoutEffect(t *testing.T) {
	t.Parallel()
	s := &sidecar{subscribe: func(stream eventsv1.EventService_SubscribeServer) error {
		sub := subscription{t, stream}
		sub.init()
		sub.deliver("1")
		sub.settled(1)
		sub.send(&eventsv1.SubscribeResponse{Response: &eventsv1.SubscribeResponse_Settled{Settled: &eventsv1.SubscribeSettled{
			Results: []*eventsv1.SettleResult{{Token: "0"}, {Token: "1", Status: &eventsv1.Status{Code: int32(codes.FailedPrecondition), Message: "late"}}},
		}}})
		_, err := stream.Recv()
		return ignoreEOF(err)
	}}
	told := make(chan struct{})
	stop := start(t, s.client(t), ack, client.SubscribeOptions{Ineffective: func(err *client.Error) {
		if err.Message != "late" {
			t.Errorf("told of %v", err)
		}
		close(told)
	}})
	wait(t, told)
	stop()
}

func TestASubscriberThatWaitsForASidecarEndsWithItsContext(t *testing.T) {
	t.Parallel()
	c, err := client.Dial("unix:" + t.TempDir() + "/nobody")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := c.Subscribe(ctx, "billing", ack, client.SubscribeOptions{}); err != nil {
		t.Errorf("Subscribe: %v", err)
	}
	p := &client.Pipeline{Client: c}
	if _, err := p.Publish(ctx, "orders", &eventsv1.CloudEvent{}); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("a pipeline that does not run: %v", err)
	}
	if _, _, err := quick.Publish(ctx, c, "orders", &eventsv1.CloudEvent{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Publish: %v", err)
	}
}

func TestRetryTellsOfRepetitionsAndRemembersAnUnknownOutcome(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	s := &sidecar{publish: func(*eventsv1.PublishRequest) error {
		if calls.Add(1) == 1 {
			return status.Error(codes.Unavailable, "connection lost")
		}
		return refused(t, codes.NotFound)
	}}
	told := 0
	r := client.Retry{Backoff: time.Millisecond, Notify: func(*client.Error) { told++ }}
	_, tries, err := r.Publish(t.Context(), s.client(t), "orders", &eventsv1.CloudEvent{Id: "a"})
	var failure *client.Error
	if !errors.As(err, &failure) || failure.Outcome != client.Unknown || failure.Code != codes.NotFound || tries != 2 || told != 1 {
		t.Errorf("%v after %d tries, told of %d", err, tries, told)
	}
}

package receiver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/cmd/warren/internal/subscribe/receiver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sidecar is an EventService whose Subscribe is a script.
type sidecar struct {
	eventsv1.UnimplementedEventServiceServer
	subscribe func(grpc.BidiStreamingServer[eventsv1.SubscribeRequest, eventsv1.SubscribeResponse]) error
}

func (s *sidecar) Subscribe(stream grpc.BidiStreamingServer[eventsv1.SubscribeRequest, eventsv1.SubscribeResponse]) error {
	return s.subscribe(stream)
}

// connect serves the script and returns a client of it.
func connect(t *testing.T, script func(grpc.BidiStreamingServer[eventsv1.SubscribeRequest, eventsv1.SubscribeResponse]) error) eventsv1.EventServiceClient {
	t.Helper()
	lis := bufconn.Listen(1 << 20)
	server := grpc.NewServer()
	eventsv1.RegisterEventServiceServer(server, &sidecar{subscribe: script})
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(lis) })
	conn, err := grpc.NewClient("passthrough:///sidecar",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		serving.Wait()
	})
	return eventsv1.NewEventServiceClient(conn)
}

func ready() *eventsv1.SubscribeResponse {
	return &eventsv1.SubscribeResponse{Response: &eventsv1.SubscribeResponse_Ready{
		Ready: &eventsv1.SubscribeReady{Subscription: "shop/billing", Topic: "shop/orders"},
	}}
}

func deliveries(tokens ...string) *eventsv1.SubscribeResponse {
	list := &eventsv1.SubscribeDeliveries{}
	for _, token := range tokens {
		list.Deliveries = append(list.Deliveries, &eventsv1.Delivery{
			Token: token, Attempt: 1,
			Event: &eventsv1.CloudEvent{Id: token, Source: "/s", SpecVersion: "1.0", Type: "t"},
		})
	}
	return &eventsv1.SubscribeResponse{Response: &eventsv1.SubscribeResponse_Deliveries{Deliveries: list}}
}

func settled(token string, st *eventsv1.Status) *eventsv1.SubscribeResponse {
	return &eventsv1.SubscribeResponse{Response: &eventsv1.SubscribeResponse_Settled{
		Settled: &eventsv1.SubscribeSettled{Results: []*eventsv1.SettleResult{{Token: token, Status: st}}},
	}}
}

// queue is a script with an endless queue: it delivers while there is credit,
// answers settlements and checks that neither bound is passed.
type queue struct {
	mu       sync.Mutex
	init     *eventsv1.SubscribeInit
	outcomes map[eventsv1.Outcome]int
	granted  int64
	sent     int64
}

func (q *queue) serve(stream grpc.BidiStreamingServer[eventsv1.SubscribeRequest, eventsv1.SubscribeResponse]) error {
	for {
		r, err := stream.Recv()
		if err != nil {
			return nil //nolint:nilerr // the client is gone
		}
		if err := q.take(stream, r); err != nil {
			return err
		}
	}
}

func (q *queue) take(stream grpc.BidiStreamingServer[eventsv1.SubscribeRequest, eventsv1.SubscribeResponse], r *eventsv1.SubscribeRequest) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch r := r.GetRequest().(type) {
	case *eventsv1.SubscribeRequest_Init:
		q.init, q.outcomes = r.Init, map[eventsv1.Outcome]int{}
		q.granted = int64(r.Init.GetInitialCredit())
		if err := stream.Send(ready()); err != nil {
			return err
		}
	case *eventsv1.SubscribeRequest_Credit:
		q.granted += int64(r.Credit.GetMessages())
	case *eventsv1.SubscribeRequest_Settle:
		for _, s := range r.Settle.GetSettlements() {
			q.outcomes[s.GetOutcome()]++
			if err := stream.Send(settled(s.GetToken(), nil)); err != nil {
				return err
			}
		}
	}
	for ; q.sent < q.granted; q.sent++ {
		if err := stream.Send(deliveries(fmt.Sprint(q.sent + 1))); err != nil {
			return err
		}
	}
	return nil
}

func TestCountEndsTheRunWithEverythingSettled(t *testing.T) {
	t.Parallel()
	q := &queue{}
	var got []string
	var topic string
	stats, err := receiver.Run(t.Context(), connect(t, q.serve), receiver.Options{
		Subscription: "billing", Outcome: eventsv1.Outcome_OUTCOME_ACK, Count: 100, Window: 8,
		Ready:   func(r *eventsv1.SubscribeReady) { topic = r.GetTopic() },
		Deliver: func(d *eventsv1.Delivery) error { got = append(got, d.GetEvent().GetId()); return nil },
	})
	if err != nil {
		t.Fatalf("Run: %v", err)
	}
	if stats.Delivered != 100 || stats.Settled != 100 || len(got) != 100 || got[99] != "100" || topic != "shop/orders" {
		t.Errorf("stats %+v, %d events, last %s, topic %s", stats, len(got), got[len(got)-1], topic)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.granted != 100 {
		t.Errorf("%d permits were given, want exactly the count", q.granted)
	}
	if q.outcomes[eventsv1.Outcome_OUTCOME_ACK] != 100 {
		t.Errorf("outcomes %v", q.outcomes)
	}
	if q.init.GetMaxOutstandingMessages() != 8 || q.init.GetInitialCredit() != 8 || !q.init.GetSettleResults() {
		t.Errorf("init %v", q.init)
	}
}

func TestWithoutOutcomeNothingIsSettled(t *testing.T) {
	t.Parallel()
	q := &queue{}
	stats, err := receiver.Run(t.Context(), connect(t, q.serve), receiver.Options{
		Subscription: "billing", Count: 3,
		Deliver: func(*eventsv1.Delivery) error { return nil },
	})
	if err != nil || stats.Delivered != 3 || stats.Settled != 0 {
		t.Errorf("Run = %+v, %v", stats, err)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.outcomes) != 0 {
		t.Errorf("outcomes %v, want none", q.outcomes)
	}
}

func TestTheEndOfTheContextIsACleanEndAfterTheSettlement(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	q := &queue{}
	stats, err := receiver.Run(ctx, connect(t, q.serve), receiver.Options{
		Subscription: "billing", Outcome: eventsv1.Outcome_OUTCOME_ACK,
		Deliver: func(d *eventsv1.Delivery) error {
			if d.GetEvent().GetId() == "70" {
				cancel()
			}
			return nil
		},
	})
	if err != nil || stats.Delivered < 70 || stats.Settled != stats.Delivered {
		t.Errorf("Run = %+v, %v", stats, err)
	}
}

func TestASettlementWithoutEffectIsAnError(t *testing.T) {
	t.Parallel()
	client := connect(t, func(stream grpc.BidiStreamingServer[eventsv1.SubscribeRequest, eventsv1.SubscribeResponse]) error {
		for range 2 { // init, settle
			if _, err := stream.Recv(); err != nil {
				return err
			}
			if err := stream.Send(deliveries("a")); err != nil {
				return err
			}
		}
		if err := stream.Send(settled("a", &eventsv1.Status{Code: 9, Message: "deadline passed"})); err != nil {
			return err
		}
		<-stream.Context().Done()
		return nil
	})
	_, err := receiver.Run(t.Context(), client, receiver.Options{
		Subscription: "billing", Outcome: eventsv1.Outcome_OUTCOME_ACK, Count: 1,
		Deliver: func(*eventsv1.Delivery) error { return nil },
	})
	if err == nil || !strings.Contains(err.Error(), "deadline passed") {
		t.Errorf("Run = %v, want the sidecar's words", err)
	}
}

func TestUnansweredSettlementsEndTheRunAfterTheGrace(t *testing.T) {
	t.Parallel()
	client := connect(t, func(stream grpc.BidiStreamingServer[eventsv1.SubscribeRequest, eventsv1.SubscribeResponse]) error {
		if err := stream.Send(deliveries("a")); err != nil {
			return err
		}
		<-stream.Context().Done()
		return nil
	})
	_, err := receiver.Run(t.Context(), client, receiver.Options{
		Subscription: "billing", Outcome: eventsv1.Outcome_OUTCOME_ACK, Count: 1, Grace: time.Millisecond,
		Deliver: func(*eventsv1.Delivery) error { return nil },
	})
	if err == nil || !strings.Contains(err.Error(), "1 settlements were not answered") {
		t.Errorf("Run = %v", err)
	}
}

func TestTheSidecarsErrorIsPassedOn(t *testing.T) {
	t.Parallel()
	client := connect(t, func(grpc.BidiStreamingServer[eventsv1.SubscribeRequest, eventsv1.SubscribeResponse]) error {
		return status.Error(codes.NotFound, "no such subscription")
	})
	_, err := receiver.Run(t.Context(), client, receiver.Options{Subscription: "x"})
	if status.Code(err) != codes.NotFound {
		t.Errorf("Run = %v, want NOT_FOUND", err)
	}
}

func TestAStreamEndedByTheSidecarIsAnError(t *testing.T) {
	t.Parallel()
	client := connect(t, func(grpc.BidiStreamingServer[eventsv1.SubscribeRequest, eventsv1.SubscribeResponse]) error {
		return nil
	})
	_, err := receiver.Run(t.Context(), client, receiver.Options{Subscription: "x"})
	if err == nil || errors.Is(err, io.EOF) || !strings.Contains(err.Error(), "ended the stream") {
		t.Errorf("Run = %v", err)
	}
}

func TestAFailingDeliverEndsTheRunUnsettled(t *testing.T) {
	t.Parallel()
	q := &queue{}
	full := errors.New("disk full")
	stats, err := receiver.Run(t.Context(), connect(t, q.serve), receiver.Options{
		Subscription: "billing", Outcome: eventsv1.Outcome_OUTCOME_ACK,
		Deliver: func(*eventsv1.Delivery) error { return full },
	})
	if !errors.Is(err, full) || stats.Delivered != 0 {
		t.Errorf("Run = %+v, %v", stats, err)
	}
}

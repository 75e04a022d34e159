package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
)

func TestPublishBatchAnswersEachEntryInOrderAndKeepsTheirOrder(t *testing.T) {
	t.Parallel()
	const n = 300
	r := newRig(t)
	r.start(r.topic("orders"), r.subscription(subscription{name: "billing", topic: "orders", app: "billing"}))
	checkout, billing := r.service("checkout"), r.service("billing")
	in := billing.subscribe("billing")
	req := &eventsv1.PublishBatchRequest{Topic: "orders"}
	for i := range n {
		e := order(strconv.Itoa(i))
		if i == 7 {
			e.Source = ""
		}
		req.Entries = append(req.Entries, &eventsv1.PublishBatchEntry{Event: e, TraceContext: map[string]string{
			"traceparent": fmt.Sprintf("00-%032x-%016x-01", i+1, i+1),
		}})
	}
	ctx, cancel := context.WithTimeout(t.Context(), callTime)
	defer cancel()
	res, err := checkout.PublishBatch(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	for i, result := range res.GetResults() {
		if want := i != 7; (result.GetResponse() != nil) != want || (want && result.GetResponse().GetEventId() != strconv.Itoa(i)) {
			t.Errorf("result %d: %v", i, result)
		}
	}
	if code := codes.Code(res.GetResults()[7].GetStatus().GetCode()); code != codes.InvalidArgument {
		t.Errorf("the bad entry was answered %v", code)
	}
	for i := range n {
		if i == 7 {
			continue
		}
		d := in.next()
		if d.GetEvent().GetId() != strconv.Itoa(i) {
			t.Fatalf("received event %s, want %d", d.GetEvent().GetId(), i)
		}
		if want := fmt.Sprintf("%032x", i+1); len(d.GetTraceContext()["traceparent"]) < 35 || d.GetTraceContext()["traceparent"][3:35] != want {
			t.Errorf("event %d came with trace %q, want %s", i, d.GetTraceContext()["traceparent"], want)
		}
		in.ack(d)
	}
}

func TestPublishStreamConfirmsAPipelineOfEvents(t *testing.T) {
	t.Parallel()
	const n = 3000
	r := newRig(t)
	r.start(r.topic("orders"), r.subscription(subscription{name: "billing", topic: "orders", app: "billing"}))
	checkout, billing := r.service("checkout"), r.service("billing")
	in := billing.subscribe("billing")
	ctx, cancel := context.WithTimeout(t.Context(), callTime)
	defer cancel()
	out, err := checkout.PublishStream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var sender sync.WaitGroup
	defer sender.Wait()
	sender.Go(func() {
		for i := range n {
			entry := &eventsv1.PublishStreamEntry{RequestId: uint64(i), Event: order(strconv.Itoa(i))}
			if out.Send(&eventsv1.PublishStreamRequest{Topic: "orders", Entries: []*eventsv1.PublishStreamEntry{entry}}) != nil {
				return // the receiver gets the reason
			}
		}
		_ = out.CloseSend()
	})
	confirmed := map[uint64]bool{}
	for {
		res, err := out.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, result := range res.GetResults() {
			if result.GetResult().GetResponse() == nil || confirmed[result.GetRequestId()] {
				t.Fatalf("request %d: %v, answered before: %v", result.GetRequestId(), result.GetResult(), confirmed[result.GetRequestId()])
			}
			confirmed[result.GetRequestId()] = true
		}
	}
	if len(confirmed) != n {
		t.Errorf("%d of %d events confirmed", len(confirmed), n)
	}
	for i := range n {
		d := in.next()
		if d.GetEvent().GetId() != strconv.Itoa(i) {
			t.Fatalf("received event %s, want %d", d.GetEvent().GetId(), i)
		}
		in.ack(d)
	}
}

// pushed is a service that implements OnEvent.
type pushed struct {
	eventsv1.UnimplementedEventHandlerServiceServer
	calls chan *eventsv1.OnEventRequest
}

func (p *pushed) OnEvent(_ context.Context, req *eventsv1.OnEventRequest) (*eventsv1.OnEventResponse, error) {
	p.calls <- req
	if req.GetEvent().GetId() == "again" && req.GetAttempt() == 1 {
		return &eventsv1.OnEventResponse{Outcome: eventsv1.Outcome_OUTCOME_RETRY}, nil
	}
	if req.GetEvent().GetId() == "bad" {
		return &eventsv1.OnEventResponse{Outcome: eventsv1.Outcome_OUTCOME_DEAD_LETTER, Reason: "no such customer"}, nil
	}
	return &eventsv1.OnEventResponse{}, nil
}

func TestPushOnEventHandsEventsToAReadyService(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	handler, checks, server := &pushed{calls: make(chan *eventsv1.OnEventRequest, 16)}, health.NewServer(), grpc.NewServer()
	checks.SetServingStatus("", healthv1.HealthCheckResponse_NOT_SERVING)
	eventsv1.RegisterEventHandlerServiceServer(server, handler)
	healthv1.RegisterHealthServer(server, checks)
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(l) }()
	t.Cleanup(func() { server.Stop(); <-served })

	r.start(r.topic("orders"), r.subscription(subscription{
		name: "billing", topic: "orders", app: "billing", attempts: 3,
		more: []string{fmt.Sprintf("delivery: {push: {port: %d}}", port)},
	}))
	checkout := r.service("checkout")
	r.service("billing")
	checkout.mustPublish("orders", "early", "again", "bad")
	if n := len(handler.calls); n > 0 {
		t.Fatalf("%d calls while the service is NOT_SERVING", n)
	}
	checks.SetServingStatus("", healthv1.HealthCheckResponse_SERVING)
	attempts := map[string]uint32{}
	for range 4 {
		req := <-handler.calls
		attempts[req.GetEvent().GetId()] = max(attempts[req.GetEvent().GetId()], req.GetAttempt())
	}
	if attempts["early"] != 1 || attempts["again"] != 2 || attempts["bad"] != 1 {
		t.Errorf("attempts %v", attempts)
	}
	letter := r.get(r.name("billing.dead"))
	if letter.MessageId != "bad" || letter.Headers["warren-dead-letter-reason"] != "rejected" || letter.Headers["warren-dead-letter-detail"] != "no such customer" {
		t.Errorf("dead letter %+v", letter)
	}
	r.wantEmpty("billing")
}

package publish_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/mesh"
	door "github.com/warrenmesh/warren/proxy/door/grpc"
	"github.com/warrenmesh/warren/proxy/door/rpcerr"
	"github.com/warrenmesh/warren/proxy/limit"
	"github.com/warrenmesh/warren/proxy/publish"
	"github.com/warrenmesh/warren/proxy/refusal"
	"github.com/warrenmesh/warren/tracing"
	"github.com/warrenmesh/warren/tracing/tracingtest"
)

func numbered(n int) *eventsv1.CloudEvent {
	e := event()
	e.Id = fmt.Sprint(n)
	return e
}

func TestPublishBatch(t *testing.T) {
	t.Parallel()
	send := func(r *rig, entries ...*eventsv1.PublishBatchEntry) (*eventsv1.PublishBatchResponse, error) {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		return r.PublishBatch(ctx, &eventsv1.PublishBatchRequest{Topic: "orders", Entries: entries})
	}
	t.Run("answers in input order and partial failure is the entry's own", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, nil)
		bad, lost := numbered(2), numbered(3)
		bad.Source = ""
		lost.Type = "org.other.thing"
		res, err := send(r, &eventsv1.PublishBatchEntry{Event: numbered(1)}, &eventsv1.PublishBatchEntry{Event: bad},
			&eventsv1.PublishBatchEntry{Event: lost}, &eventsv1.PublishBatchEntry{Event: numbered(4)})
		if err != nil {
			t.Fatal(err)
		}
		want := []codes.Code{codes.OK, codes.InvalidArgument, codes.FailedPrecondition, codes.OK}
		for i, got := range res.GetResults() {
			if codes.Code(got.GetStatus().GetCode()) != want[i] || (want[i] == codes.OK) != (got.GetResponse() != nil) {
				t.Errorf("result %d: %v, want %v", i, got, want[i])
			}
			if want[i] == codes.OK && got.GetResponse().GetEventId() != fmt.Sprint(i+1) {
				t.Errorf("result %d is of event %s", i, got.GetResponse().GetEventId())
			}
		}
	})
	t.Run("keeps the order of the entries in the queue", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, nil)
		var entries []*eventsv1.PublishBatchEntry
		for i := range 10 {
			entries = append(entries, &eventsv1.PublishBatchEntry{Event: numbered(i)})
		}
		if _, err := send(r, entries...); err != nil {
			t.Fatal(err)
		}
		for i, m := range r.broker.Peek("q", 10) {
			if m.Event.ID != fmt.Sprint(i) {
				t.Errorf("place %d holds event %s", i, m.Event.ID)
			}
		}
	})
	t.Run("fails as a whole when nothing was tried", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, nil)
		_, err := send(r)
		check(t, err, verdict{code: codes.InvalidArgument, reason: refusal.InvalidRequest, outcome: "not_sent", field: "entries"})
		_, err = r.PublishBatch(t.Context(), &eventsv1.PublishBatchRequest{Topic: "other", Entries: []*eventsv1.PublishBatchEntry{{Event: event()}}})
		check(t, err, verdict{code: codes.NotFound, reason: refusal.TopicNotFound, outcome: "not_sent"})
		r.Drain()
		_, err = send(r, &eventsv1.PublishBatchEntry{Event: event()})
		check(t, err, verdict{code: codes.Unavailable, reason: refusal.Draining, outcome: "not_sent"})
	})
	t.Run("retries side by side and says unknown for each", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, func(rule *mesh.Rule) { rule.Backends[0].Destination.ConfirmTimeout = 20 * time.Millisecond })
		defer r.broker.HoldConfirms()()
		res, err := send(r, &eventsv1.PublishBatchEntry{Event: numbered(1)}, &eventsv1.PublishBatchEntry{Event: numbered(2)})
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range res.GetResults() {
			if st := status.FromProto(statusOf(got)); rpcerr.Metadata(st.Err(), "outcome") != "unknown" {
				t.Errorf("result %d: %v", i, st)
			}
		}
	})
	t.Run("gives each entry the trace it carries", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, nil)
		provider, _ := tracingtest.New(t, tracing.Options{})
		service := enter(publish.Options{Namespace: "shop", Topics: r.topics, Brokers: one{r.driver}, Tracing: provider.Messaging()})
		const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
		_, err := service.PublishBatch(t.Context(), &eventsv1.PublishBatchRequest{Topic: "orders", Entries: []*eventsv1.PublishBatchEntry{
			{Event: numbered(1), TraceContext: map[string]string{"traceparent": parent}}, {Event: numbered(2)},
		}})
		if err != nil {
			t.Fatal(err)
		}
		var traces []string
		for _, m := range r.broker.Peek("q", 2) {
			traces = append(traces, m.Trace.Parent[3:35])
		}
		if traces[0] != parent[3:35] || traces[1] == traces[0] {
			t.Errorf("traces %v; the first entry's is %s", traces, parent[3:35])
		}
	})
}

// openStream serves s over gRPC and returns a stream to it.
func openStream(t *testing.T, s *service) (eventsv1.EventService_PublishStreamClient, context.CancelFunc) {
	t.Helper()
	return openStreamTold(t, s, func() {})
}

// openStreamTold is openStream that calls ended when the service has ended the stream.
func openStreamTold(t *testing.T, s *service, ended func()) (eventsv1.EventService_PublishStreamClient, context.CancelFunc) {
	t.Helper()
	l := bufconn.Listen(1 << 20)
	server := grpc.NewServer(door.Codec())
	eventsv1.RegisterEventServiceServer(server, &streamServer{service: s, ended: ended})
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	t.Cleanup(func() { server.Stop(); <-done })
	conn, err := grpc.NewClient("passthrough:///bufconn", grpc.WithInitialWindowSize(64<<10), grpc.WithInitialConnWindowSize(64<<10),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	stream, err := eventsv1.NewEventServiceClient(conn).PublishStream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return stream, cancel
}

type streamServer struct {
	eventsv1.UnimplementedEventServiceServer
	service *service
	ended   func()
}

func (s *streamServer) PublishStream(g eventsv1.EventService_PublishStreamServer) error {
	defer s.ended()
	return s.service.PublishStream(g)
}

func statusOf(r *eventsv1.PublishResult) *rpcstatus.Status {
	return &rpcstatus.Status{Code: r.GetStatus().GetCode(), Message: r.GetStatus().GetMessage(), Details: r.GetStatus().GetDetails()}
}

func put(t *testing.T, s eventsv1.EventService_PublishStreamClient, entries ...*eventsv1.PublishStreamEntry) {
	t.Helper()
	if err := s.Send(&eventsv1.PublishStreamRequest{Topic: "orders", Entries: entries}); err != nil {
		t.Fatal(err)
	}
}

// results reads until n results or the stream's end.
func results(t *testing.T, s eventsv1.EventService_PublishStreamClient, n int) (map[uint64]*eventsv1.PublishResult, error) {
	t.Helper()
	out := map[uint64]*eventsv1.PublishResult{}
	for len(out) < n {
		res, err := s.Recv()
		if err != nil {
			return out, err
		}
		if res.GetWindow() != publish.Window {
			t.Errorf("window %d, want %d", res.GetWindow(), publish.Window)
		}
		for _, r := range res.GetResults() {
			out[r.GetRequestId()] = r.GetResult()
		}
	}
	return out, nil
}

func TestPublishStream(t *testing.T) {
	t.Parallel()
	t.Run("answers every request by its id, and a half-close is the ordinary end", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, nil)
		s, _ := openStream(t, r.service)
		bad := numbered(3)
		bad.Id = ""
		put(t, s, &eventsv1.PublishStreamEntry{RequestId: 7, Event: numbered(1)}, &eventsv1.PublishStreamEntry{RequestId: 9, Event: bad})
		put(t, s, &eventsv1.PublishStreamEntry{RequestId: 8, Event: numbered(2), Topic: "shop/orders"},
			&eventsv1.PublishStreamEntry{RequestId: 10, Event: numbered(4), Topic: "nowhere"})
		if err := s.CloseSend(); err != nil {
			t.Fatal(err)
		}
		got, err := results(t, s, 5)
		if !errors.Is(err, io.EOF) {
			t.Errorf("stream ended with %v, want EOF", err)
		}
		for id, want := range map[uint64]codes.Code{7: codes.OK, 8: codes.OK, 9: codes.InvalidArgument, 10: codes.NotFound} {
			if r, ok := got[id]; !ok || codes.Code(r.GetStatus().GetCode()) != want {
				t.Errorf("request %d: %v, want %v", id, r, want)
			}
		}
	})
	t.Run("is a pipeline: many events are written before the first confirm, in order", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, nil)
		release := r.broker.HoldConfirms()
		s, _ := openStream(t, r.service)
		for i := range 10 {
			put(t, s, &eventsv1.PublishStreamEntry{RequestId: uint64(i), Event: numbered(i)})
		}
		waitFor(t, func() bool { ready, _ := r.broker.Len("q"); return ready == 10 })
		release()
		if got, err := results(t, s, 10); err != nil || len(got) != 10 {
			t.Errorf("%d results, %v", len(got), err)
		}
		for i, m := range r.broker.Peek("q", 10) {
			if m.Event.ID != fmt.Sprint(i) {
				t.Errorf("place %d holds event %s", i, m.Event.ID)
			}
		}
	})
	t.Run("results come out of order when one has to be retried", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, func(rule *mesh.Rule) {
			rule.Retry.Backoff = mesh.Backoff{Base: 200 * time.Millisecond, Max: 200 * time.Millisecond}
		})
		slow := enter(publish.Options{
			Namespace: "shop", Topics: r.topics, Brokers: one{&flaky{r.driver, 1}}, Tracing: tracing.Disabled().Messaging(),
			Random: func() float64 { return 0 },
		})
		s, _ := openStream(t, slow)
		put(t, s, &eventsv1.PublishStreamEntry{RequestId: 1, Event: numbered(1)}, &eventsv1.PublishStreamEntry{RequestId: 2, Event: numbered(2)})
		first, err := results(t, s, 1)
		if err != nil || first[2] == nil {
			t.Fatalf("first came %v, %v; want request 2", first, err)
		}
		second, err := results(t, s, 1)
		if err != nil || second[1].GetResponse().GetAttempts() != 2 {
			t.Errorf("then came %v, %v", second, err)
		}
	})
	t.Run("holds the client back when the window is full", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, nil)
		release := r.broker.HoldConfirms()
		s, _ := openStream(t, r.service)
		sent := make(chan int, 1)
		go func() {
			n := 0
			for ; n < publish.Window+10; n++ {
				e := numbered(n)
				e.Type = "org.other.thing" // unroutable: nothing piles up in the small queue
				if s.Send(&eventsv1.PublishStreamRequest{Topic: "orders", Entries: []*eventsv1.PublishStreamEntry{{RequestId: uint64(n), Event: e}}}) != nil {
					break
				}
			}
			_ = s.CloseSend()
			sent <- n
		}()
		release()
		got, err := results(t, s, publish.Window+11)
		if !errors.Is(err, io.EOF) || len(got) != publish.Window+10 {
			t.Errorf("%d results, %v", len(got), err)
		}
		<-sent
	})
	t.Run("a cancel ends it at once", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, nil)
		defer r.broker.HoldConfirms()()
		s, cancel := openStream(t, r.service)
		put(t, s, &eventsv1.PublishStreamEntry{RequestId: 1, Event: numbered(1)})
		waitFor(t, func() bool { ready, _ := r.broker.Len("q"); return ready == 1 })
		cancel()
		if _, err := s.Recv(); status.Code(err) != codes.Canceled {
			t.Errorf("ended with %v", err)
		}
	})
	t.Run("a drain answers what was accepted, then ends it", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, nil)
		release := r.broker.HoldConfirms()
		s, _ := openStream(t, r.service)
		put(t, s, &eventsv1.PublishStreamEntry{RequestId: 1, Event: numbered(1)})
		waitFor(t, func() bool { ready, _ := r.broker.Len("q"); return ready == 1 })
		r.Drain()
		release()
		got, err := results(t, s, 2)
		if got[1].GetResponse() == nil || rpcerr.Reason(err) != refusal.Draining {
			t.Errorf("results %v, then %v", got, err)
		}
	})
}

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(20 * time.Second); !ok(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("condition never came true")
		}
	}
}

func TestWhatIsInFlightIsBounded(t *testing.T) {
	t.Parallel()
	bounded := func(r *rig, count, bytes int64) *service {
		return enter(publish.Options{
			Namespace: "shop", Topics: r.topics, Brokers: one{r.driver}, Tracing: tracing.Disabled().Messaging(),
			InFlight: limit.NewBudget(count, bytes),
		})
	}
	t.Run("a unary call too many is told when to come again", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, nil)
		s := bounded(r, 1, 0)
		release := r.broker.HoldConfirms()
		first := make(chan error, 1)
		go func() {
			_, err := s.Publish(context.Background(), &eventsv1.PublishRequest{Topic: "orders", Event: numbered(1)})
			first <- err
		}()
		waitFor(t, func() bool { ready, _ := r.broker.Len("q"); return ready == 1 })
		_, err := s.Publish(t.Context(), &eventsv1.PublishRequest{Topic: "orders", Event: numbered(2)})
		check(t, err, verdict{code: codes.ResourceExhausted, reason: refusal.BufferFull, outcome: "not_sent"})
		var delay *errdetails.RetryInfo
		for _, d := range status.Convert(err).Details() {
			if info, ok := d.(*errdetails.RetryInfo); ok {
				delay = info
			}
		}
		if delay.GetRetryDelay().AsDuration() <= 0 {
			t.Error("no RetryInfo")
		}
		release()
		if err := <-first; err != nil {
			t.Error(err)
		}
		if _, err := s.Publish(t.Context(), &eventsv1.PublishRequest{Topic: "orders", Event: numbered(2)}); err != nil {
			t.Errorf("after room was made: %v", err)
		}
	})
	t.Run("a refused event gives its place back", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, nil)
		s := bounded(r, 1, 0)
		for range 3 {
			_, err := s.Publish(t.Context(), &eventsv1.PublishRequest{Topic: "nowhere", Event: numbered(1)})
			check(t, err, verdict{code: codes.NotFound, reason: refusal.TopicNotFound, outcome: "not_sent"})
		}
	})
	t.Run("a stream is held back and loses nothing", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, nil)
		s, _ := openStream(t, bounded(r, 2, 0))
		for i := range 10 {
			put(t, s, &eventsv1.PublishStreamEntry{RequestId: uint64(i), Event: numbered(i)})
		}
		got, err := results(t, s, 10)
		if err != nil {
			t.Fatal(err)
		}
		for id, r := range got {
			if r.GetResponse() == nil {
				t.Errorf("request %d: %v", id, r)
			}
		}
	})
}

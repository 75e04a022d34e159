package load

import (
	"context"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/test/faults/history"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sidecar is a fake. The first call for every fifth event of a key has an unknown
// outcome, and the first call for every seventh fails for certain.
type sidecar struct {
	eventsv1.UnimplementedEventServiceServer

	mu    sync.Mutex // guards the rest
	calls map[string]int
	order map[string][]uint64 // by key, what was accepted
	ends  int                 // number of publish streams that end after ten events
}

func (s *sidecar) answer(e *eventsv1.CloudEvent) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[e.GetId()]++
	if s.calls[e.GetId()] == 1 && seqOf(e)%5 == 0 {
		return failure("unknown")
	}
	if s.calls[e.GetId()] == 1 && seqOf(e)%7 == 0 {
		return failure("not_sent")
	}
	s.order[keyOf(e)] = append(s.order[keyOf(e)], seqOf(e))
	return nil
}

func failure(outcome string) error {
	st, err := status.New(codes.Unavailable, "made up").WithDetails(&errdetails.ErrorInfo{
		Domain: "warrenmesh.io", Reason: "MADE_UP", Metadata: map[string]string{"outcome": outcome},
	})
	if err != nil {
		return err
	}
	return st.Err()
}

func (s *sidecar) Publish(_ context.Context, req *eventsv1.PublishRequest) (*eventsv1.PublishResponse, error) {
	return &eventsv1.PublishResponse{}, s.answer(req.GetEvent())
}

func (s *sidecar) PublishBatch(_ context.Context, req *eventsv1.PublishBatchRequest) (*eventsv1.PublishBatchResponse, error) {
	res := &eventsv1.PublishBatchResponse{}
	for _, e := range req.GetEntries() {
		res.Results = append(res.Results, result(s.answer(e.GetEvent())))
	}
	return res, nil
}

func result(err error) *eventsv1.PublishResult {
	if err == nil {
		return &eventsv1.PublishResult{Response: &eventsv1.PublishResponse{}}
	}
	p := status.Convert(err).Proto()
	return &eventsv1.PublishResult{Status: &eventsv1.Status{Code: p.GetCode(), Message: p.GetMessage(), Details: p.GetDetails()}}
}

func (s *sidecar) PublishStream(g grpc.BidiStreamingServer[eventsv1.PublishStreamRequest, eventsv1.PublishStreamResponse]) error {
	for n := 1; ; n++ {
		req, err := g.Recv()
		if err != nil {
			return nil //nolint:nilerr // the normal end
		}
		s.mu.Lock()
		ends := s.ends > 0 && n == 10
		if ends {
			s.ends--
		}
		s.mu.Unlock()
		if ends {
			return status.Error(codes.Unavailable, "the stream breaks")
		}
		for _, e := range req.GetEntries() {
			r := &eventsv1.PublishStreamResult{RequestId: e.GetRequestId(), Result: result(s.answer(e.GetEvent()))}
			if err := g.Send(&eventsv1.PublishStreamResponse{Results: []*eventsv1.PublishStreamResult{r}}); err != nil {
				return err
			}
		}
	}
}

// Subscribe delivers three events. It ends when each is settled, or when the service is
// gone.
func (s *sidecar) Subscribe(g grpc.BidiStreamingServer[eventsv1.SubscribeRequest, eventsv1.SubscribeResponse]) error {
	if _, err := g.Recv(); err != nil {
		return err
	}
	ready := &eventsv1.SubscribeResponse{Response: &eventsv1.SubscribeResponse_Ready{Ready: &eventsv1.SubscribeReady{}}}
	if err := g.Send(ready); err != nil {
		return err
	}
	deliveries := &eventsv1.SubscribeDeliveries{}
	for i := range uint64(3) {
		e := numbered{id: strconv.FormatUint(i, 10), key: "k", seq: i + 1}.proto("made", nil)
		deliveries.Deliveries = append(deliveries.Deliveries, &eventsv1.Delivery{Token: e.GetId(), Event: e, Attempt: 1})
	}
	if err := g.Send(&eventsv1.SubscribeResponse{Response: &eventsv1.SubscribeResponse_Deliveries{Deliveries: deliveries}}); err != nil {
		return err
	}
	for settled := 0; settled < 3; {
		req, err := g.Recv()
		if err != nil {
			return err
		}
		settled += len(req.GetSettle().GetSettlements())
	}
	<-g.Context().Done()
	return nil
}

func serve(t *testing.T, s *sidecar) eventsv1.EventServiceClient {
	t.Helper()
	s.calls, s.order = map[string]int{}, map[string][]uint64{}
	path := filepath.Join(t.TempDir(), "s")
	l, err := new(net.ListenConfig).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	eventsv1.RegisterEventServiceServer(server, s)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(l) })
	t.Cleanup(func() { server.Stop(); serving.Wait() })
	conn, err := grpc.NewClient("unix:"+path, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return eventsv1.NewEventServiceClient(conn)
}

func TestPublishersRepeatWhatIsUnknownAndNothingElse(t *testing.T) {
	t.Parallel()
	const events, keys = 60, 2
	for name, test := range map[string]struct {
		ends int
		run  func(Publisher, context.Context)
	}{
		"unary":              {0, func(p Publisher, ctx context.Context) { p.Unary(ctx, nil) }},
		"batch":              {0, func(p Publisher, ctx context.Context) { p.Batch(ctx, nil, 7) }},
		"stream":             {0, func(p Publisher, ctx context.Context) { p.Stream(ctx, nil, 5) }},
		"stream that breaks": {2, func(p Publisher, ctx context.Context) { p.Stream(ctx, nil, 5) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &sidecar{ends: test.ends}
			rec := history.New(name, 1)
			test.run(Publisher{Recorder: rec, Client: serve(t, s), Topic: "t", Name: "p", Keys: keys, Rate: 2000, Count: events}, t.Context())
			best := map[string]history.Result{}
			for _, p := range rec.Run().Publishes {
				if p.Result == history.Unanswered {
					t.Errorf("%s was never answered", p.ID)
				}
				if p.Repeat > 0 && best[p.ID] == history.OK {
					t.Errorf("%s was repeated after its OK", p.ID)
				}
				best[p.ID] = p.Result
			}
			if len(best) != events {
				t.Errorf("%d events, want %d", len(best), events)
			}
			for id, r := range best {
				if r == history.Unknown {
					t.Errorf("%s stays unknown", id)
				}
			}
		})
	}
}

func TestAUnaryPublisherKeepsTheOrderOfAKey(t *testing.T) {
	t.Parallel()
	s := &sidecar{}
	Publisher{Recorder: history.New("order", 1), Client: serve(t, s), Topic: "t", Name: "p", Keys: 3, Rate: 2000, Count: 60}.Unary(t.Context(), nil)
	for key, seqs := range s.order {
		for i := 1; i < len(seqs); i++ {
			if seqs[i] <= seqs[i-1] {
				t.Errorf("key %s: %d after %d", key, seqs[i], seqs[i-1])
			}
		}
	}
	if len(s.order) != 3 {
		t.Errorf("%d keys, want 3", len(s.order))
	}
}

func TestASubscriberRecordsAndSettles(t *testing.T) {
	t.Parallel()
	rec := history.New("subscriber", 1)
	g := NewGroup(t.Context())
	sub := &Subscriber{Recorder: rec, Client: serve(t, &sidecar{}), Subscription: "s", Decide: func(d *eventsv1.Delivery) Decision {
		if d.GetToken() == "1" {
			return Decision{Outcome: history.Retry, After: time.Millisecond, RetryAfter: time.Second}
		}
		return Decision{Outcome: history.Ack}
	}}
	g.Subscribe(sub)
	for rec.Delivered() < 3 || rec.OpenDeliveries() > 0 {
		if !sleep(t.Context(), nil, time.Millisecond) {
			t.Fatal(t.Context().Err())
		}
	}
	g.Stop()
	want := map[string]history.Outcome{"0": history.Ack, "1": history.Retry, "2": history.Ack}
	for _, d := range rec.Run().Deliveries {
		if d.Outcome != want[d.ID] || d.Key != "k" || d.Seq == 0 || d.Subscription != "s" {
			t.Errorf("recorded %+v, want outcome %v", d, want[d.ID])
		}
	}
	if sub.Streams.Load() != 1 || sub.Unsettled.Load() != 0 || sub.Most.Load() != 3 {
		t.Errorf("streams %d, unsettled %d, most %d; want 1, 0, 3", sub.Streams.Load(), sub.Unsettled.Load(), sub.Most.Load())
	}
}

func TestErrorsAreTakenByTheirWord(t *testing.T) {
	t.Parallel()
	foreign, err := status.New(codes.Unavailable, "").WithDetails(&errdetails.ErrorInfo{Domain: "example.com", Metadata: map[string]string{"outcome": "not_sent"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		err  error
		want history.Result
	}{
		"OK":                           {nil, history.OK},
		"a failure that says unknown":  {failure("unknown"), history.Unknown},
		"a failure that says not sent": {failure("not_sent"), history.Failed},
		"a broken connection":          {status.Error(codes.Unavailable, "connection refused"), history.Unknown},
		"the client's own deadline":    {context.DeadlineExceeded, history.Unknown},
		"somebody else's error":        {foreign.Err(), history.Unknown},
		"a message that gRPC refuses":  {status.Error(codes.ResourceExhausted, "trying to send message larger than max (2 vs. 1)"), history.Failed},
	} {
		if got := Classify(test.err); got.Result != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

package admin_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/admin"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/membroker"
	"github.com/warrenmesh/warren/proxy/broker/membroker/faulty"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/deadletter"
	"github.com/warrenmesh/warren/proxy/event"
)

// undertaker is where a service of dead letters finds shop/billing and its broker,
// and knows held keys.
type undertaker struct {
	driver queueing.Driver

	mu   sync.Mutex
	held []string // guarded by mu
}

func (u *undertaker) Declared(name mesh.Name) (*mesh.Subscription, error) {
	if name != (mesh.Name{Namespace: "shop", Name: "billing"}) {
		return nil, status.Error(codes.NotFound, "no such subscription")
	}
	return &mesh.Subscription{Name: name, Queue: mesh.Queue{Name: "billing"}, DeadLetterQueue: "billing.dead"}, nil
}

func (u *undertaker) Ready(context.Context, mesh.Name, string) error { return nil }

func (u *undertaker) PickConsumer(mesh.Name) (broker.Driver, error) {
	return queueing.NewNode(u.driver), nil
}

func (u *undertaker) HeldKeys(mesh.Name) []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.held)
}

func (u *undertaker) ReleaseKeys(_ mesh.Name, keys ...string) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	before := len(u.held)
	u.held = slices.DeleteFunc(u.held, func(key string) bool { return len(keys) == 0 || slices.Contains(keys, key) })
	return before - len(u.held)
}

// serveLetters is an admin server beside a queue of n letters.
func serveLetters(t *testing.T, n int) (*served, *undertaker, *faulty.Broker) {
	t.Helper()
	b := faulty.New(membroker.Options{})
	u := &undertaker{driver: b.Node(membroker.NodeOptions{})}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = u.driver.Run(ctx) })
	letters := deadletter.New(deadletter.Options{Subscriptions: u, Brokers: u})
	t.Cleanup(func() {
		letters.Stop(context.Background())
		cancel()
		running.Wait()
		b.Close()
	})
	queues := []queueing.Queue{{Name: "billing"}, {Name: "billing.dead"}}
	if err := u.driver.EnsureTopology(t.Context(), queueing.Topology{Policy: mesh.Manage, Queues: queues}); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		e := &event.Event{ID: fmt.Sprint(i), Source: "/checkout\xff", Type: "placed", Data: []byte("0123456789")}
		e.Set("subject", event.String("17"))
		u.driver.Publish(t.Context(), []queueing.Message{{
			RoutingKey: "billing.dead", Event: e, OriginExchange: "orders", OriginKey: "placed", AppID: "checkout",
			Trace: broker.TraceContext{Parent: "00-1-2-01"},
			DeadLetter: &broker.DeadLetter{Reason: "rejected", Detail: "no such customer", Subscription: "shop/billing", Attempts: 5,
				FirstFailure: time.Unix(100, 0), Time: time.Unix(200+int64(i), 0)},
		}}, func(_, _ int, err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	return serve(t, &fakeSidecar{}, func(o *admin.Options) { o.DeadLetters, o.HeldKeys = letters, u }), u, b
}

// listing reads a list to its end.
func listing(t *testing.T, s *served, req *adminv1.ListDeadLettersRequest) (letters []*adminv1.DeadLetter, report *adminv1.DeadLetterReport, err error) {
	t.Helper()
	stream, err := s.grpc.ListDeadLetters(t.Context(), req)
	for err == nil {
		var r *adminv1.ListDeadLettersResponse
		if r, err = stream.Recv(); err == nil {
			if report = r.GetReport(); report == nil {
				letters = append(letters, r.GetLetter())
			}
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return letters, report, err
}

func TestDeadLettersAreStreamedAndThenReportedOn(t *testing.T) {
	t.Parallel()
	s, _, _ := serveLetters(t, 3)
	letters, report, err := listing(t, s, &adminv1.ListDeadLettersRequest{Subscription: "billing", MaxPayloadBytes: 4, Filter: &adminv1.DeadLetterFilter{
		Since: timestamppb.New(time.Unix(201, 0)), Until: timestamppb.New(time.Unix(202, 0)), Types: []string{"pl*"}, Reasons: []string{"rejected"}, Ids: []string{"1", "2"},
	}})
	if err != nil || len(letters) != 1 || report.GetTotal() != 3 || report.GetMatched() != 1 || !report.GetComplete() || report.GetQueue() != "billing.dead" {
		t.Fatalf("%v, %v, %v", err, letters, report)
	}
	l := letters[0]
	if l.GetEventId() != "1" || l.GetSource() != "/checkout\uFFFD" || l.GetType() != "placed" || l.GetAttributes()["subject"] != "17" ||
		l.GetDataBytes() != 10 || string(l.GetData()) != "0123" || l.GetPublisher() != "checkout" || l.GetTraceparent() != "00-1-2-01" {
		t.Errorf("the event: %v", l)
	}
	if l.GetReason() != "rejected" || l.GetDetail() != "no such customer" || l.GetAttempts() != 5 || l.GetExchange() != "orders" || l.GetRoutingKey() != "placed" ||
		l.GetFirstFailure().GetSeconds() != 100 || l.GetTime().GetSeconds() != 201 {
		t.Errorf("its death: %v", l)
	}
}

func TestARedriveStreamsHowFarItIs(t *testing.T) {
	t.Parallel()
	s, _, b := serveLetters(t, 3)
	stream, err := s.grpc.RedriveDeadLetters(t.Context(), &adminv1.RedriveDeadLettersRequest{Subscription: "shop/billing", Limit: 2})
	var last *adminv1.DeadLetterReport
	for err == nil {
		var r *adminv1.RedriveDeadLettersResponse
		if r, err = stream.Recv(); err == nil {
			last = r.GetReport()
		}
	}
	if !errors.Is(err, io.EOF) || last.GetDone() != 2 || !last.GetComplete() {
		t.Errorf("%v, %v", err, last)
	}
	if ready, _ := b.Len("billing"); ready != 2 {
		t.Errorf("%d were redriven", ready)
	}
}

func TestAFailedJobIsReportedOnToo(t *testing.T) {
	t.Parallel()
	s, _, b := serveLetters(t, 3)
	end := b.Alarm()
	defer end()
	stream, err := s.grpc.RedriveDeadLetters(t.Context(), &adminv1.RedriveDeadLettersRequest{
		Subscription: "billing", Destination: adminv1.RedriveDestination_REDRIVE_DESTINATION_SUBSCRIPTION,
	})
	var last *adminv1.DeadLetterReport
	for err == nil {
		var r *adminv1.RedriveDeadLettersResponse
		if r, err = stream.Recv(); err == nil {
			last = r.GetReport()
		}
	}
	if status.Code(err) != codes.ResourceExhausted || last.GetTotal() != 3 || last.GetMatched() != 1 || last.GetComplete() {
		t.Errorf("%v, %v", err, last)
	}
}

func TestAPurgeRemovesOnlyWithoutDryRun(t *testing.T) {
	t.Parallel()
	s, _, b := serveLetters(t, 3)
	for _, tt := range []struct {
		dry  bool
		left int
	}{{true, 3}, {false, 0}} {
		stream, err := s.grpc.PurgeDeadLetters(t.Context(), &adminv1.PurgeDeadLettersRequest{Subscription: "billing", DryRun: tt.dry})
		var last *adminv1.DeadLetterReport
		for err == nil {
			var r *adminv1.PurgeDeadLettersResponse
			if r, err = stream.Recv(); err == nil {
				last = r.GetReport()
			}
		}
		if left, _ := b.Len("billing.dead"); last.GetDone() != 3 || left != tt.left {
			t.Errorf("dry run %t: %v, %d are left", tt.dry, last, left)
		}
	}
}

func TestASecondJobIsToldToWait(t *testing.T) {
	t.Parallel()
	s, _, _ := serveLetters(t, 2)
	rate := 0.001
	ctx, cancel := context.WithCancel(t.Context())
	stream, err := s.grpc.RedriveDeadLetters(ctx, &adminv1.RedriveDeadLettersRequest{Subscription: "billing", PerSecond: &rate})
	if err == nil {
		_, err = stream.Recv() // the first letter is through
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := listing(t, s, &adminv1.ListDeadLettersRequest{Subscription: "billing"}); status.Code(err) != codes.Aborted {
		t.Errorf("a second job: %v", err)
	}
	cancel()
	for { // until the first has ended
		letters, _, err := listing(t, s, &adminv1.ListDeadLettersRequest{Subscription: "billing"})
		if err == nil {
			if len(letters) != 1 {
				t.Errorf("%d letters are left", len(letters))
			}
			return
		}
		if status.Code(err) != codes.Aborted {
			t.Fatal(err)
		}
	}
}

func TestMistakesInRequestsAboutDeadLettersAreNamed(t *testing.T) {
	t.Parallel()
	s, _, _ := serveLetters(t, 1)
	redrive := func(req *adminv1.RedriveDeadLettersRequest) error {
		stream, err := s.grpc.RedriveDeadLetters(t.Context(), req)
		if err == nil {
			_, err = stream.Recv()
		}
		return err
	}
	never, low := math.NaN(), 0.0001
	for name, tt := range map[string]struct {
		err  error
		want codes.Code
	}{
		"no subscription":        {redrive(&adminv1.RedriveDeadLettersRequest{}), codes.InvalidArgument},
		"an unknown one":         {redrive(&adminv1.RedriveDeadLettersRequest{Subscription: "shop/none"}), codes.NotFound},
		"a rate that is none":    {redrive(&adminv1.RedriveDeadLettersRequest{Subscription: "billing", PerSecond: &never}), codes.InvalidArgument},
		"a rate that is too low": {redrive(&adminv1.RedriveDeadLettersRequest{Subscription: "billing", PerSecond: &low}), codes.InvalidArgument},
		"a destination unknown":  {redrive(&adminv1.RedriveDeadLettersRequest{Subscription: "billing", Destination: 9}), codes.InvalidArgument},
		"a time that is none": {redrive(&adminv1.RedriveDeadLettersRequest{
			Subscription: "billing", Filter: &adminv1.DeadLetterFilter{Since: &timestamppb.Timestamp{Nanos: -1}},
		}), codes.InvalidArgument},
	} {
		if status.Code(tt.err) != tt.want {
			t.Errorf("%s: %v, want %s", name, tt.err, tt.want)
		}
	}
	without := serve(t, &fakeSidecar{})
	if _, _, err := listing(t, without, &adminv1.ListDeadLettersRequest{Subscription: "billing"}); status.Code(err) != codes.Unimplemented {
		t.Errorf("without dead letters: %v", err)
	}
}

func TestHeldKeysAreListedAndReleased(t *testing.T) {
	t.Parallel()
	s, u, _ := serveLetters(t, 0)
	u.held = []string{"a", "b", "c\xff"}
	resp, err := s.grpc.ListHeldKeys(t.Context(), &adminv1.ListHeldKeysRequest{Subscription: "billing"})
	if err != nil || !slices.Equal(resp.GetKeys(), []string{"a", "b", "c\uFFFD"}) {
		t.Errorf("%v, %v", resp, err)
	}
	release := func(all bool, keys ...string) (uint32, error) {
		resp, err := s.grpc.ReleaseHeldKeys(t.Context(), &adminv1.ReleaseHeldKeysRequest{Subscription: "billing", Keys: keys, All: all})
		return resp.GetReleased(), err
	}
	for _, tt := range []struct {
		all  bool
		keys []string
	}{{false, nil}, {true, []string{"a"}}} {
		if _, err := release(tt.all, tt.keys...); status.Code(err) != codes.InvalidArgument {
			t.Errorf("all %t and keys %q: %v", tt.all, tt.keys, err)
		}
	}
	if n, err := release(false, "a", "z"); n != 1 || err != nil {
		t.Errorf("one of two: %d, %v", n, err)
	}
	if n, err := release(true); n != 2 || err != nil {
		t.Errorf("the rest: %d, %v", n, err)
	}
}

package publisher_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/client"
	"github.com/warrenmesh/warren/cmd/warren/internal/peer"
	"github.com/warrenmesh/warren/cmd/warren/internal/publish/cejson"
	"github.com/warrenmesh/warren/cmd/warren/internal/publish/publisher"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/door/rpcerr"
	"github.com/warrenmesh/warren/proxy/refusal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sidecar answers Publish calls; answer gets the event's id and its try, from 1.
type sidecar struct {
	answer func(ctx context.Context, id string, try int) error

	mu    sync.Mutex
	tries map[string]int
}

func (s *sidecar) PublishRequest(ctx context.Context, r *eventsv1.PublishRequest) (*eventsv1.PublishResponse, error) {
	id := r.GetEvent().GetId()
	s.mu.Lock()
	if s.tries == nil {
		s.tries = map[string]int{}
	}
	s.tries[id]++
	try := s.tries[id]
	s.mu.Unlock()
	if s.answer != nil {
		if err := s.answer(ctx, id, try); err != nil {
			return nil, err
		}
	}
	return &eventsv1.PublishResponse{EventId: id, Topic: "shop/" + r.GetTopic(), Route: "r/" + id[:1], Attempts: 1}, nil
}

func line(id string) string {
	return `{"specversion":"1.0","id":"` + id + `","source":"/s","type":"t"}` + "\n"
}

func input(ids ...string) publisher.Source {
	var b strings.Builder
	for _, id := range ids {
		b.WriteString(line(id))
	}
	return cejson.NewReader(strings.NewReader(b.String()), cejson.ReaderOptions{})
}

func nacked() error {
	return rpcerr.From(refusal.FromBroker(&broker.Error{Kind: broker.Nacked, Outcome: broker.Unknown, Op: "publish"}))
}

func down() error { return rpcerr.From(refusal.Later(refusal.BrokerUnavailable, "no broker")) }

func TestEveryEventIsPublishedOnceWithItsId(t *testing.T) {
	t.Parallel()
	var ids []string
	for i := range 500 {
		ids = append(ids, fmt.Sprintf("%d-%d", i%2, i))
	}
	fake := &sidecar{}
	report, err := publisher.New(fake, publisher.Options{Topic: "orders"}).Run(t.Context(), input(ids...))
	if err != nil {
		t.Fatalf("Run: %v", err)
	}
	if report.Confirmed != 500 || report.Read != 500 || report.Failed != 0 {
		t.Errorf("stats = %+v", report.Stats)
	}
	for _, id := range ids {
		if fake.tries[id] != 1 {
			t.Errorf("event %s was published %d times", id, fake.tries[id])
		}
	}
	want := []publisher.Destination{{Topic: "shop/orders", Route: "r/0", Count: 250}, {Topic: "shop/orders", Route: "r/1", Count: 250}}
	if !slices.Equal(report.Destinations, want) {
		t.Errorf("destinations = %+v", report.Destinations)
	}
}

func TestManyEventsAreOnTheirWayAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int64
		fake := &sidecar{answer: func(context.Context, string, int) error {
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			<-time.After(time.Second)
			now.Add(-1)
			return nil
		}}
		ids := make([]string, 20)
		for i := range ids {
			ids[i] = fmt.Sprint(i)
		}
		report, err := publisher.New(fake, publisher.Options{Topic: "t", Concurrency: 5}).Run(t.Context(), input(ids...))
		if err != nil || report.Confirmed != 20 {
			t.Fatalf("Run = %+v, %v", report.Stats, err)
		}
		if most.Load() != 5 || report.Elapsed != 4*time.Second {
			t.Errorf("%d at once in %s, want 5 in 4s", most.Load(), report.Elapsed)
		}
	})
}

func TestProblemsAreCollectedByReason(t *testing.T) {
	t.Parallel()
	fake := &sidecar{answer: func(_ context.Context, id string, _ int) error {
		switch id[0] {
		case 'n':
			return nacked()
		case 'x':
			return rpcerr.From(refusal.Missing(refusal.TopicNotFound, "topic", "t", "no topic t"))
		}
		return nil
	}}
	in := line("ok1") + line("n2") + "broken\n" + line("n4") + line("n5") + line("n6") + line("x7")
	src := cejson.NewReader(strings.NewReader(in), cejson.ReaderOptions{})
	report, err := publisher.New(fake, publisher.Options{Topic: "t"}).Run(t.Context(), src)
	if err != nil {
		t.Fatalf("Run: %v", err)
	}
	if report.Read != 7 || report.Confirmed != 1 || report.Failed != 6 {
		t.Errorf("stats = %+v", report.Stats)
	}
	var got []string
	for _, p := range report.Problems {
		s := fmt.Sprintf("%d %s %s:", p.Count, p.Title(), p.Outcome)
		for _, e := range p.Examples {
			s += fmt.Sprintf(" %d/%s", e.Line, e.ID)
		}
		got = append(got, s)
	}
	want := []string{
		"4 UNAVAILABLE PUBLISH_NACKED unknown: 2/n2 4/n4 5/n5",
		"1 INVALID_INPUT : 3/",
		"1 NOT_FOUND TOPIC_NOT_FOUND not_sent: 7/x7",
	}
	if !slices.Equal(got, want) {
		t.Errorf("problems:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestRetryRepeatsWithTheSameIdUntilConfirmed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fake := &sidecar{answer: func(_ context.Context, _ string, try int) error {
			if try < 4 {
				return down()
			}
			return nil
		}}
		report, err := publisher.New(fake, publisher.Options{Topic: "t", Retry: true}).Run(t.Context(), input("a"))
		if err != nil || report.Confirmed != 1 || report.Retries != 3 || fake.tries["a"] != 4 {
			t.Errorf("report %+v, %v, %d tries", report.Stats, err, fake.tries["a"])
		}
	})
}

func TestRetryEndsWithTheTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first := true
		fake := &sidecar{answer: func(context.Context, string, int) error {
			if first {
				first = false
				return nacked()
			}
			return down()
		}}
		p := publisher.New(fake, publisher.Options{Topic: "t", Retry: true, Timeout: 10 * time.Second})
		report, err := p.Run(t.Context(), input("a"))
		if err != nil || report.Failed != 1 || report.Elapsed != 10*time.Second {
			t.Fatalf("report %+v, %v after %s", report.Stats, err, report.Elapsed)
		}
		if got := report.Problems[0]; got.Reason != refusal.BrokerUnavailable || got.Outcome != "unknown" {
			t.Errorf("problem %s, outcome %q: the first try's unknown outcome must stay", got.Title(), got.Outcome)
		}
	})
}

func TestWhatCannotSucceedIsNotRetried(t *testing.T) {
	t.Parallel()
	fake := &sidecar{answer: func(context.Context, string, int) error {
		return rpcerr.From(&refusal.Error{Class: refusal.Precondition, Reason: refusal.Unroutable, Text: "no queue", Eventless: true})
	}}
	report, err := publisher.New(fake, publisher.Options{Topic: "t", Retry: true}).Run(t.Context(), input("a"))
	if err != nil || fake.tries["a"] != 1 || report.Failed != 1 {
		t.Errorf("%d tries, %+v, %v", fake.tries["a"], report.Stats, err)
	}
}

func TestWithoutASidecarTheRunStopsEarly(t *testing.T) {
	t.Parallel()
	fake := &sidecar{answer: func(context.Context, string, int) error {
		return client.Explain(status.Error(codes.Unavailable, "connection refused"), false)
	}}
	ids := make([]string, 1000)
	for i := range ids {
		ids[i] = fmt.Sprint(i)
	}
	report, err := publisher.New(fake, publisher.Options{Topic: "t", Concurrency: 2}).Run(t.Context(), input(ids...))
	if !errors.Is(err, publisher.ErrNobody) {
		t.Errorf("Run = %v, want ErrNobody", err)
	}
	if report.Read > 10 || report.Problems[0].Reason != peer.Unreachable {
		t.Errorf("%d events read, problems %+v", report.Read, report.Problems)
	}
}

func TestCancellingWaitsForTheEventsOnTheirWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		fake := &sidecar{answer: func(ctx context.Context, _ string, _ int) error {
			cancel()
			select {
			case <-ctx.Done():
				return status.FromContextError(ctx.Err()).Err()
			case <-time.After(time.Second):
				return nil
			}
		}}
		in, w := io.Pipe() // more input never comes, as on a terminal
		go func() { _, _ = io.WriteString(w, line("a")) }()
		report, err := publisher.New(fake, publisher.Options{Topic: "t"}).Run(ctx, cejson.NewReader(in, cejson.ReaderOptions{}))
		if !errors.Is(err, context.Canceled) || report.Confirmed != 1 {
			t.Errorf("report %+v, %v; want the event confirmed", report.Stats, err)
		}
		_ = w.Close()
	})
}

func TestAnUnreadableInputIsAnErrorAfterWhatWasRead(t *testing.T) {
	t.Parallel()
	src := cejson.NewReader(strings.NewReader("["+line("a")+"7"), cejson.ReaderOptions{})
	report, err := publisher.New(&sidecar{}, publisher.Options{Topic: "t"}).Run(t.Context(), src)
	if err == nil || !strings.Contains(err.Error(), "line 2") || report.Confirmed != 1 {
		t.Errorf("report %+v, %v", report.Stats, err)
	}
}

func TestADryRunCallsNobody(t *testing.T) {
	t.Parallel()
	src := cejson.NewReader(strings.NewReader(line("a")+"{}\n"), cejson.ReaderOptions{})
	report, err := publisher.New(nil, publisher.Options{DryRun: true}).Run(t.Context(), src)
	if err != nil || report.Confirmed != 1 || report.Failed != 1 || report.Problems[0].Reason != publisher.InvalidInput {
		t.Errorf("report %+v, %v", report, err)
	}
}

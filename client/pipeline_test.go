package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/client"
)

// publishStream is the sidecar's end of a PublishStream.
type publishStream struct {
	t *testing.T
	eventsv1.EventService_PublishStreamServer
}

// receive takes n events.
func (s publishStream) receive(n int) []*eventsv1.PublishStreamEntry {
	var entries []*eventsv1.PublishStreamEntry
	for len(entries) < n {
		req, err := s.Recv()
		if err != nil {
			s.t.Errorf("stream ended with %v after %d of %d events", err, len(entries), n)
			return entries
		}
		entries = append(entries, req.GetEntries()...)
	}
	return entries
}

// answer confirms an event, or refuses it.
func (s publishStream) answer(e *eventsv1.PublishStreamEntry, code codes.Code) {
	result := &eventsv1.PublishResult{Response: &eventsv1.PublishResponse{EventId: e.GetEvent().GetId(), Topic: "shop/" + e.GetTopic()}}
	if code != codes.OK {
		st := status.Convert(refused(s.t, code)).Proto()
		result = &eventsv1.PublishResult{Status: &eventsv1.Status{Code: st.GetCode(), Message: st.GetMessage(), Details: st.GetDetails()}}
	}
	err := s.Send(&eventsv1.PublishStreamResponse{Window: 1024, Results: []*eventsv1.PublishStreamResult{
		{RequestId: e.GetRequestId(), Result: result},
	}})
	if err != nil {
		s.t.Errorf("answer event %q: %v", e.GetEvent().GetId(), err)
	}
}

// untilClosed waits for the client's half-close, the ordinary end of a stream.
func (s publishStream) untilClosed() error {
	if req, err := s.Recv(); err != io.EOF { //nolint:errorlint // grpc returns it bare
		s.t.Errorf("received %v, %v; want the end of the stream", req, err)
	}
	return nil
}

// pipeline runs a Pipeline whose streams, by their number from 1, are served by a
// function. stop ends it and waits.
func pipeline(t *testing.T, serve func(n int, s publishStream) error) (p *client.Pipeline, stop func()) {
	t.Helper()
	streams := 0
	s := &sidecar{publishStream: func(g eventsv1.EventService_PublishStreamServer) error {
		streams++
		return serve(streams, publishStream{t, g})
	}}
	p = &client.Pipeline{Client: s.client(t), Backoff: time.Millisecond}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { p.Run(ctx) })
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(stop)
	return p, stop
}

// quick is a Retry that does not wait long.
var quick = client.Retry{Backoff: time.Millisecond}

// outcome of one Publish.
type outcome struct {
	id, topic string
	attempts  int
	err       error
}

// publishAll publishes events at once and returns what became of them, sorted by
// id.
func publishAll(ctx context.Context, r client.Retry, p *client.Pipeline, ids ...string) []outcome {
	outcomes := make([]outcome, len(ids))
	var publishing sync.WaitGroup
	for i, id := range ids {
		publishing.Go(func() {
			resp, attempts, err := r.Publish(ctx, p, "orders", &eventsv1.CloudEvent{Id: id})
			outcomes[i] = outcome{id, resp.GetTopic(), attempts, err}
		})
	}
	publishing.Wait()
	return outcomes
}

func TestAPipelineTakesResultsInAnyOrder(t *testing.T) {
	t.Parallel()
	p, stop := pipeline(t, func(_ int, s publishStream) error {
		entries := s.receive(4) // all of them, before the first answer
		slices.Reverse(entries)
		for _, e := range entries {
			code := codes.OK
			if e.GetEvent().GetId() == "c" {
				code = codes.NotFound
			}
			s.answer(e, code)
		}
		return s.untilClosed()
	})
	for _, o := range publishAll(t.Context(), quick, p, "a", "b", "c", "d") {
		switch {
		case o.id == "c" && (status.Code(o.err) != codes.NotFound || o.attempts != 1):
			t.Errorf("the refused event: %v after %d tries", o.err, o.attempts)
		case o.id != "c" && (o.err != nil || o.topic != "shop/orders" || o.attempts != 1):
			t.Errorf("event %s: %+v", o.id, o)
		}
	}
	stop()
}

func TestAnEventThatCannotBeSentDoesNotBlockOthers(t *testing.T) {
	t.Parallel()
	p, stop := pipeline(t, func(n int, s publishStream) error {
		if n > 1 {
			s.t.Error("the stream broke")
		}
		for range 2 {
			for _, e := range s.receive(1) {
				s.answer(e, codes.OK)
			}
		}
		return s.untilClosed()
	})
	good := func(id string) {
		if _, tries, err := quick.Publish(t.Context(), p, "orders", &eventsv1.CloudEvent{Id: id}); err != nil || tries != 1 {
			t.Errorf("event %s: %v after %d tries", id, err, tries)
		}
	}
	good("a")
	for _, tt := range []struct {
		name  string
		event *eventsv1.CloudEvent
		code  codes.Code
	}{
		{"text that is not UTF-8", &eventsv1.CloudEvent{Id: "\xff"}, codes.InvalidArgument},
		{"more than a sidecar reads", client.NewEvent("b", "/s", "t", "", make([]byte, 17<<20)), codes.ResourceExhausted},
	} {
		_, tries, err := quick.Publish(t.Context(), p, "orders", tt.event)
		var failure *client.Error
		if !errors.As(err, &failure) || failure.Code != tt.code || failure.Outcome != client.NotSent || tries != 1 {
			t.Errorf("%s: %v after %d tries", tt.name, err, tries)
		}
	}
	good("c")
	stop()
}

func TestAPipelineStopsAtOnceWhileTheSidecarIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		away := grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return nil, errors.New("away") })
		c, err := client.Dial("passthrough:///sidecar", away)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		(&client.Pipeline{Client: c}).Run(ctx)
		if took := time.Since(begun); took != time.Second {
			t.Errorf("Run ended after %s, want 1s", took)
		}
	})
}

func TestAPipelineRepeatsWhatABrokenStreamLeftUnanswered(t *testing.T) {
	t.Parallel()
	again := make(chan string, 2)
	p, stop := pipeline(t, func(n int, s publishStream) error {
		if n == 1 {
			for _, e := range s.receive(3) {
				if e.GetEvent().GetId() == "a" {
					s.answer(e, codes.OK)
				}
			}
			return status.Error(codes.Unavailable, "draining")
		}
		for _, e := range s.receive(2) {
			again <- e.GetEvent().GetId()
			s.answer(e, codes.OK)
		}
		return s.untilClosed()
	})
	tries := make(map[string]int)
	for _, o := range publishAll(t.Context(), quick, p, "a", "b", "c") {
		if o.err != nil {
			t.Errorf("event %s: %v", o.id, o.err)
		}
		tries[o.id] = o.attempts
	}
	stop()
	if got := fmt.Sprint(tries); got != "map[a:1 b:2 c:2]" {
		t.Errorf("tries are %s", got)
	}
	ids := []string{<-again, <-again}
	slices.Sort(ids)
	if got := fmt.Sprint(ids); got != "[b c]" {
		t.Errorf("the second stream carried %s", got)
	}
}

func TestAPipelineRepeatsAnUnknownOutcomeOnTheSameStream(t *testing.T) {
	t.Parallel()
	p, stop := pipeline(t, func(n int, s publishStream) error {
		if n != 1 {
			t.Errorf("stream %d was opened", n)
		}
		for _, code := range []codes.Code{codes.Unavailable, codes.ResourceExhausted, codes.DeadlineExceeded, codes.OK} {
			for _, e := range s.receive(1) {
				if e.GetEvent().GetId() != "a" {
					t.Errorf("received event %q", e.GetEvent().GetId())
				}
				s.answer(e, code)
			}
		}
		return s.untilClosed()
	})
	if o := publishAll(t.Context(), quick, p, "a")[0]; o.err != nil || o.attempts != 4 {
		t.Errorf("event a: %+v, want a confirm at the 4th try", o)
	}
	stop()
}

func TestAPipelineGivesUpAnAnswerThatDoesNotCome(t *testing.T) {
	t.Parallel()
	p, stop := pipeline(t, func(_ int, s publishStream) error {
		late := s.receive(1)[0]
		entry := s.receive(1)[0]
		s.answer(late, codes.NotFound) // too late: nobody's
		s.answer(entry, codes.OK)
		return s.untilClosed()
	})
	hasty := client.Retry{Timeout: 50 * time.Millisecond, Backoff: time.Millisecond}
	if o := publishAll(t.Context(), hasty, p, "a")[0]; o.err != nil || o.attempts < 2 {
		t.Errorf("event a: %+v, want a confirm at a later try", o)
	}
	stop()
}

func TestAPipelinesEntriesCarryTheirOwnTraces(t *testing.T) {
	t.Parallel()
	p, stop := pipeline(t, func(_ int, s publishStream) error {
		for _, e := range s.receive(1) {
			if got := e.GetTraceContext()["traceparent"]; got != "00-0102030405060708090a0b0c0d0e0f10-0102030405060708-01" {
				t.Errorf("traceparent is %q", got)
			}
			s.answer(e, codes.OK)
		}
		return s.untilClosed()
	})
	publishAll(trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID:    trace.TraceID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
		SpanID:     trace.SpanID{1, 2, 3, 4, 5, 6, 7, 8},
		TraceFlags: trace.FlagsSampled,
	})), quick, p, "a")
	stop()
}

func TestAStoppingPipelineTakesTheLastAnswers(t *testing.T) {
	t.Parallel()
	sent := make(chan struct{})
	p, stop := pipeline(t, func(_ int, s publishStream) error {
		entries := s.receive(1)
		close(sent)
		err := s.untilClosed()
		s.answer(entries[0], codes.OK)
		return err
	})
	var publishing sync.WaitGroup
	publishing.Go(func() {
		if o := publishAll(t.Context(), quick, p, "a")[0]; o.err != nil || o.attempts != 1 {
			t.Errorf("event a: %+v", o)
		}
	})
	wait(t, sent)
	stop()
	publishing.Wait()
}

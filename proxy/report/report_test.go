package report_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	reportv1 "github.com/warrenmesh/warren/api/report/v1"
	"github.com/warrenmesh/warren/proxy/report"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen. It is no measure.
const patience = time.Minute

// source is what there is to tell, changed by tests.
type source struct {
	mu        sync.Mutex
	state     string
	published map[string]uint64
	asked     []string // queues that were measured
	readings  map[string]report.Reading
}

func (s *source) State() *reportv1.State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &reportv1.State{ConfigVersion: s.state}
}

func (s *source) Counters() (published []*reportv1.Published, delivered []*reportv1.Delivered) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, topic := range []string{"shop/audit", "shop/orders"} {
		published = append(published, &reportv1.Published{Topic: topic, Confirmed: s.published[topic]})
	}
	return published, []*reportv1.Delivered{{Subscription: "shop/billing", Topic: "shop/orders", Publisher: "checkout"}}
}

func (s *source) Gauge(_ context.Context, broker, queue string) report.Reading {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, broker+" "+queue)
	return s.readings[queue]
}

func (s *source) publish(topic string, n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.published[topic] = n
}

// controlPlane hands the streams of reports to a test, which answers them.
type controlPlane struct {
	reportv1.UnimplementedReportServiceServer
	streams chan stream
}

type stream struct {
	grpc.BidiStreamingServer[reportv1.ReportRequest, reportv1.ReportResponse]
	end chan error
}

func (c *controlPlane) Report(g grpc.BidiStreamingServer[reportv1.ReportRequest, reportv1.ReportResponse]) error {
	s := stream{g, make(chan error, 1)}
	select {
	case c.streams <- s:
	case <-g.Context().Done():
		return nil
	}
	select {
	case err := <-s.end:
		return err
	case <-g.Context().Done():
		return nil
	}
}

// serve runs a control plane, and a reporter that has a connection to it.
func serve(t *testing.T, s *source, register func(*grpc.Server)) (ended <-chan struct{}) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	register(server)
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(l) })
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	reporter := report.New(report.Options{Source: s, Gauge: s, Interval: 5 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
	running.Go(func() {
		defer close(done)
		reporter.Run(ctx, conn)
	})
	t.Cleanup(func() {
		cancel()
		<-done
		_ = conn.Close()
		server.Stop()
		running.Wait()
	})
	return done
}

func start(t *testing.T) (*source, *controlPlane) {
	t.Helper()
	s := &source{published: map[string]uint64{}, readings: map[string]report.Reading{}}
	c := &controlPlane{streams: make(chan stream)}
	serve(t, s, func(g *grpc.Server) { reportv1.RegisterReportServiceServer(g, c) })
	return s, c
}

func (c *controlPlane) next(t *testing.T) stream {
	t.Helper()
	select {
	case s := <-c.streams:
		return s
	case <-time.After(patience):
		t.Fatal("no stream of reports was opened")
		return stream{}
	}
}

func (s stream) report(t *testing.T) *reportv1.ReportRequest {
	t.Helper()
	req, err := s.Recv()
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// until receives reports until one is as wanted.
func (s stream) until(t *testing.T, what string, ok func(*reportv1.ReportRequest) bool) *reportv1.ReportRequest {
	t.Helper()
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		if req := s.report(t); ok(req) {
			return req
		}
	}
	t.Fatalf("no report in which %s", what)
	return nil
}

func topics(req *reportv1.ReportRequest) (out []string) {
	for _, p := range req.GetPublished() {
		out = append(out, fmt.Sprint(p.GetTopic(), " ", p.GetConfirmed()))
	}
	return out
}

func TestTheFirstReportIsCompleteAndOthersHaveWhatChanged(t *testing.T) {
	t.Parallel()
	s, c := start(t)
	at := c.next(t)
	first := at.report(t)
	if !first.GetComplete() || first.GetSequence() != 1 || first.GetInstance() == 0 || first.GetState() == nil ||
		len(first.GetDelivered()) != 1 || !slices.Equal(topics(first), []string{"shop/audit 0", "shop/orders 0"}) {
		t.Errorf("first report: %v", first)
	}
	second := at.report(t)
	if second.GetComplete() || second.GetSequence() != 2 || second.GetState() != nil || len(second.GetPublished())+len(second.GetDelivered()) > 0 {
		t.Errorf("nothing has changed: %v", second)
	}
	s.publish("shop/orders", 7)
	changed := at.until(t, "something has changed", func(r *reportv1.ReportRequest) bool { return len(r.GetPublished()) > 0 })
	if !slices.Equal(topics(changed), []string{"shop/orders 7"}) || changed.GetState() != nil {
		t.Errorf("one counter has changed: %v", changed)
	}
	s.mu.Lock()
	s.state = "v2"
	s.mu.Unlock()
	at.until(t, "the state is new", func(r *reportv1.ReportRequest) bool { return r.GetState().GetConfigVersion() == "v2" })
	if again := at.report(t); again.GetState() != nil {
		t.Errorf("the state comes again: %v", again)
	}
}

func TestTheControlPlaneCanAskForEverything(t *testing.T) {
	t.Parallel()
	s, c := start(t)
	at := c.next(t)
	s.publish("shop/orders", 7)
	at.until(t, "it is counted", func(r *reportv1.ReportRequest) bool { return slices.Contains(topics(r), "shop/orders 7") })
	if err := at.Send(&reportv1.ReportResponse{Resend: true}); err != nil {
		t.Fatal(err)
	}
	all := at.until(t, "everything is sent", func(r *reportv1.ReportRequest) bool { return r.GetComplete() })
	if all.GetState() == nil || !slices.Equal(topics(all), []string{"shop/audit 0", "shop/orders 7"}) {
		t.Errorf("everything: %v", all)
	}
	if next := at.report(t); next.GetComplete() {
		t.Errorf("once is enough: %v", next)
	}
}

func TestANewStreamGoesOnWithTheNumbersAndSendsEverything(t *testing.T) {
	t.Parallel()
	_, c := start(t)
	at := c.next(t)
	first := at.report(t)
	at.end <- errors.New("the control plane ends")
	again := c.next(t).report(t)
	if !again.GetComplete() || again.GetInstance() != first.GetInstance() || again.GetSequence() <= first.GetSequence() {
		t.Errorf("first %v, after the stream has ended %v", first, again)
	}
}

func TestWithoutTheServiceNothingIsReported(t *testing.T) {
	t.Parallel()
	s := &source{published: map[string]uint64{}}
	ended := serve(t, s, func(*grpc.Server) {}) // an older control plane
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("the reporter goes on")
	}
}

func TestWhatTheControlPlaneAsksForIsMeasured(t *testing.T) {
	t.Parallel()
	s, c := start(t)
	s.readings = map[string]report.Reading{
		"q": {Messages: 4, Consumers: 2}, "gone": {Missing: true, Err: errors.New("not found \xff")}, "away": {Down: true},
	}
	at := c.next(t)
	assignment := &reportv1.Assignment{Brokers: []*reportv1.BrokerQueues{{Broker: "shop/main", Queues: []string{"q", "gone", "away"}}}}
	if err := at.Send(&reportv1.ReportResponse{Assignment: assignment}); err != nil {
		t.Fatal(err)
	}
	got := map[string]*reportv1.Measured{}
	times := map[string]int{}
	at.until(t, "the queue is measured for the fifth time", func(r *reportv1.ReportRequest) bool {
		for _, m := range r.GetMeasured() {
			got[m.GetQueue()] = m
			times[m.GetQueue()]++
		}
		return times["q"] >= 5
	})
	if q := got["q"]; q.GetBroker() != "shop/main" || q.GetMessages() != 4 || q.GetConsumers() != 2 || q.GetError() != "" {
		t.Errorf("measured %v", q)
	}
	if gone := got["gone"]; !gone.GetMissing() || gone.GetError() != "not found \uFFFD" || times["gone"] > 1 {
		t.Errorf("a queue that is missing, %d times: %v; want it to rest", times["gone"], gone)
	}
	if got["away"] != nil {
		t.Errorf("while the broker is down: %v", got["away"])
	}
	if err := at.Send(&reportv1.ReportResponse{Assignment: &reportv1.Assignment{}}); err != nil {
		t.Fatal(err)
	}
	quiet := 0
	at.until(t, "nothing was measured any more", func(r *reportv1.ReportRequest) bool {
		if quiet++; len(r.GetMeasured()) > 0 {
			quiet = 0
		}
		return quiet > 5
	})
}

func TestManyQueuesAreMeasuredInTurns(t *testing.T) {
	t.Parallel()
	_, c := start(t)
	at := c.next(t)
	all := &reportv1.BrokerQueues{Broker: "shop/main"}
	for i := range 500 {
		all.Queues = append(all.Queues, fmt.Sprint("q", i))
	}
	if err := at.Send(&reportv1.ReportResponse{Assignment: &reportv1.Assignment{Brokers: []*reportv1.BrokerQueues{all}}}); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	at.until(t, "every queue was measured", func(r *reportv1.ReportRequest) bool {
		for _, m := range r.GetMeasured() {
			seen[m.GetQueue()]++
		}
		return len(seen) == 500
	})
	for queue, n := range seen {
		if n > 2 {
			t.Errorf("%s was measured %d times before others had their turn", queue, n)
		}
	}
}

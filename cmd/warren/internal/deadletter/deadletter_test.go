package deadletter

import (
	"go.uber.org/goleak"

	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli/clitest"
)

// warren is the program under test.
var warren = clitest.Program{New}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeLetters is a sidecar with fixed dead letters.
type fakeLetters struct {
	adminv1.UnimplementedAdminServiceServer
	letters []*adminv1.DeadLetter
	reports []*adminv1.DeadLetterReport // of a job, or the end of a list
	fails   error                       // after them
	hangs   bool                        // until the caller goes away
	began   chan struct{}               // closed when a job hangs

	mu    sync.Mutex
	asked []proto.Message // guarded by mu
}

func (f *fakeLetters) register(g *grpc.Server) { adminv1.RegisterAdminServiceServer(g, f) }

func (f *fakeLetters) note(m proto.Message) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, m)
}

// last returns the last request.
func (f *fakeLetters) last() proto.Message {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.asked) == 0 {
		return nil
	}
	return f.asked[len(f.asked)-1]
}

func (f *fakeLetters) ListDeadLetters(req *adminv1.ListDeadLettersRequest, stream grpc.ServerStreamingServer[adminv1.ListDeadLettersResponse]) error {
	f.note(req)
	for _, l := range f.letters {
		if err := stream.Send(&adminv1.ListDeadLettersResponse{Response: &adminv1.ListDeadLettersResponse_Letter{Letter: l}}); err != nil {
			return err
		}
	}
	for _, r := range f.reports {
		if err := stream.Send(&adminv1.ListDeadLettersResponse{Response: &adminv1.ListDeadLettersResponse_Report{Report: r}}); err != nil {
			return err
		}
	}
	return f.fails
}

func (f *fakeLetters) RedriveDeadLetters(req *adminv1.RedriveDeadLettersRequest, stream grpc.ServerStreamingServer[adminv1.RedriveDeadLettersResponse]) error {
	f.note(req)
	for _, r := range f.reports {
		if err := stream.Send(&adminv1.RedriveDeadLettersResponse{Report: r}); err != nil {
			return err
		}
	}
	if f.hangs {
		close(f.began)
		<-stream.Context().Done()
	}
	return f.fails
}

func (f *fakeLetters) PurgeDeadLetters(req *adminv1.PurgeDeadLettersRequest, stream grpc.ServerStreamingServer[adminv1.PurgeDeadLettersResponse]) error {
	f.note(req)
	for _, r := range f.reports {
		if err := stream.Send(&adminv1.PurgeDeadLettersResponse{Report: r}); err != nil {
			return err
		}
	}
	return f.fails
}

func (f *fakeLetters) ListHeldKeys(_ context.Context, req *adminv1.ListHeldKeysRequest) (*adminv1.ListHeldKeysResponse, error) {
	f.note(req)
	return &adminv1.ListHeldKeysResponse{Keys: []string{"customer-17", "customer-4"}}, nil
}

func (f *fakeLetters) ReleaseHeldKeys(_ context.Context, req *adminv1.ReleaseHeldKeysRequest) (*adminv1.ReleaseHeldKeysResponse, error) {
	f.note(req)
	if req.GetAll() {
		return &adminv1.ReleaseHeldKeysResponse{Released: 2}, nil
	}
	return &adminv1.ReleaseHeldKeysResponse{Released: 1}, nil
}

// buried are letters of a sidecar, given up at a time that does not depend on when
// the test runs.
func buried() []*adminv1.DeadLetter {
	at := time.Now().Add(-100 * 24 * time.Hour)
	return []*adminv1.DeadLetter{
		{EventId: "order-17", Source: "/checkout", Type: "com.shop.order.placed", Attributes: map[string]string{"subject": "17", "datacontenttype": "application/json"},
			DataBytes: 14, Data: []byte("{\"total\":\n -4}"), Reason: "rejected", Detail: "negative total", Attempts: 1,
			Time: timestamppb.New(at), Exchange: "orders", RoutingKey: "com.shop.order.placed", Traceparent: "00-1-2-01", Publisher: "checkout"},
		{EventId: "e369722e-2d57-4416-99ab-55feebff052a", Source: "/checkout", Type: "com.shop.order.placed", DataBytes: 300,
			Data: []byte("cut"), Reason: "attempts-exhausted", Attempts: 5, FirstFailure: timestamppb.New(at.Add(-time.Hour)), Time: timestamppb.New(at), Exchange: "orders"},
		{EventId: "\x1b[31mred", Source: "/amqp/orders", Type: "io.warrenmesh.malformed", Reason: "invalid-event"},
	}
}

func listed() []*adminv1.DeadLetterReport {
	return []*adminv1.DeadLetterReport{{Queue: "shop.billing.dead", Total: 5, Read: 5, Foreign: 2, Matched: 3, Consumers: 1, Complete: true}}
}

func TestDeadLettersAreListed(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"table", "wide", "json", "yaml"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			letters := buried()
			fake := &fakeLetters{letters: letters, reports: listed()}
			args := []string{"deadletter", "list", "billing", "-o", format, "--payload", "--admin", clitest.Serve(t, fake.register)}
			r := warren.Run(t, args...)
			switch format {
			case "table", "wide":
				masked := clitest.Transcript(r, args...)
				for _, l := range letters {
					for _, at := range []*timestamppb.Timestamp{l.GetTime(), l.GetFirstFailure()} {
						masked = strings.ReplaceAll(masked, at.AsTime().Format(time.RFC3339), "WHEN")
					}
				}
				clitest.Golden(t, "deadletter-list-"+format, masked)
				for line := range strings.Lines(r.Out) {
					if len([]rune(line)) > 81 { // with its line break
						t.Errorf("over 80 columns: %s", line)
					}
				}
			default: // what protojson writes varies in white space
				if r.Code != cli.ExitOK || strings.Count(r.Out, "order-17") != 1 || strings.Count(r.Out, "attempts-exhausted") != 1 {
					t.Errorf("exit %d:\n%s", r.Code, r.Out)
				}
			}
		})
	}
}

func TestFlagsChooseDeadLetters(t *testing.T) {
	t.Parallel()
	fake := &fakeLetters{reports: listed()}
	r := warren.Run(t, "deadletter", "list", "shop/billing", "--admin", clitest.Serve(t, fake.register),
		"--type", "com.shop.*", "--type", "a,b", "--reason", "rejected", "--id", "17", "--source", "/checkout",
		"--since", "2026-11-23T10:00:00Z", "--until", "30m", "--limit", "7", "--payload=5")
	got, ok := fake.last().(*adminv1.ListDeadLettersRequest)
	if r.Code != cli.ExitOK || !ok {
		t.Fatalf("%+v, asked for %v", r, fake.last())
	}
	f := got.GetFilter()
	if until := time.Until(f.GetUntil().AsTime()); until > -29*time.Minute || until < -40*time.Minute {
		t.Errorf("--until 30m is %s from now", until)
	}
	f.Until = nil
	want := &adminv1.ListDeadLettersRequest{Subscription: "shop/billing", Limit: 7, MaxPayloadBytes: 5, Filter: &adminv1.DeadLetterFilter{
		Types: []string{"com.shop.*", "a,b"}, Reasons: []string{"rejected"}, Ids: []string{"17"}, Source: "/checkout",
		Since: timestamppb.New(time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)),
	}}
	if !proto.Equal(got, want) {
		t.Errorf("asked for %v\nwant %v", got, want)
	}
}

func TestDaysAreADurationToo(t *testing.T) {
	t.Parallel()
	now := time.Now()
	got, err := moment("since", "7d", now)
	if err != nil || now.Sub(got.AsTime()).Round(time.Hour) != 7*24*time.Hour {
		t.Errorf("7d: %v, %v", got, err)
	}
	for _, wrong := range []string{"d", "-1d", "1.5d", "99999d", "-2h", "10:00", "23 Nov"} {
		if got, err := moment("since", wrong, now); err == nil {
			t.Errorf("%q is %v", wrong, got)
		}
	}
}

func TestADeadLetterIsShownWithItsPayload(t *testing.T) {
	t.Parallel()
	fake := &fakeLetters{letters: buried()[:1], reports: listed()}
	address := clitest.Serve(t, fake.register)
	r := warren.Run(t, "deadletter", "show", "billing", "order-17", "--admin", address)
	if r.Code != cli.ExitOK || !strings.Contains(r.Out, "negative total") || !strings.Contains(r.Out, `{"total":  -4}`) {
		t.Errorf("%+v", r)
	}
	req, _ := fake.last().(*adminv1.ListDeadLettersRequest)
	if !slices.Equal(req.GetFilter().GetIds(), []string{"order-17"}) || req.GetMaxPayloadBytes() < 16<<20 {
		t.Errorf("asked for %v", req)
	}
	r = warren.Run(t, "deadletter", "show", "billing", "order-17", "-o", "raw", "--admin", address)
	if r.Code != cli.ExitOK || r.Out != "{\"total\":\n -4}" {
		t.Errorf("raw: %+v", r)
	}
	args := []string{"deadletter", "show", "billing", "none", "--admin", clitest.Serve(t, (&fakeLetters{reports: listed()[:1]}).register)}
	clitest.Golden(t, "deadletter-show-none", clitest.Transcript(warren.Run(t, args...), args...))
}

func worked(done, failed uint64) []*adminv1.DeadLetterReport {
	r := &adminv1.DeadLetterReport{Queue: "shop.billing.dead", Total: 1200, Read: 1200, Matched: done + failed, Done: done, Failed: failed, Complete: true}
	if failed > 0 {
		r.Failure = `letter "9": it never was an event: see what its producer sends`
	}
	return []*adminv1.DeadLetterReport{{Queue: r.GetQueue(), Total: 1200}, r}
}

func TestJobsOnDeadLettersSayWhatTheyDid(t *testing.T) {
	t.Parallel()
	busy := status.Error(codes.Aborted, `queue "shop.billing.dead": another job works on the dead-letter queue of this sidecar: wait for its end, or end it`)
	cut := status.Error(codes.Unavailable, "publish to exchange \"\": connection-lost")
	tests := []struct {
		golden string
		fake   *fakeLetters
		in     clitest.Invocation
		args   []string
	}{
		{"deadletter-redrive", &fakeLetters{reports: worked(1104, 0)}, clitest.Invocation{}, []string{"redrive", "billing", "--rate", "50", "--to", "topic"}},
		{"deadletter-redrive-dry-run", &fakeLetters{reports: worked(1104, 0)}, clitest.Invocation{}, []string{"redrive", "billing", "--dry-run"}},
		{"deadletter-redrive-some-failed", &fakeLetters{reports: worked(3, 2)}, clitest.Invocation{}, []string{"redrive", "billing"}},
		{"deadletter-redrive-cut", &fakeLetters{reports: worked(3, 0), fails: cut}, clitest.Invocation{}, []string{"redrive", "billing"}},
		{"deadletter-redrive-busy", &fakeLetters{fails: busy}, clitest.Invocation{}, []string{"redrive", "billing"}},
		{"deadletter-redrive-json", &fakeLetters{reports: worked(3, 2)}, clitest.Invocation{}, []string{"redrive", "billing", "-o", "json"}},
		{"deadletter-purge", &fakeLetters{reports: worked(7, 0)}, clitest.Invocation{}, []string{"purge", "billing", "--yes"}},
		{"deadletter-purge-agreed", &fakeLetters{reports: worked(7, 0)}, clitest.Invocation{TTY: true, Stdin: "Yes\n"}, []string{"purge", "billing"}},
		{"deadletter-purge-refused", &fakeLetters{reports: worked(7, 0)}, clitest.Invocation{TTY: true, Stdin: "\n"}, []string{"purge", "billing"}},
		{"deadletter-purge-nothing", &fakeLetters{reports: worked(0, 0)}, clitest.Invocation{TTY: true}, []string{"purge", "billing"}},
		{"deadletter-held", &fakeLetters{}, clitest.Invocation{}, []string{"held", "billing"}},
		{"deadletter-release", &fakeLetters{}, clitest.Invocation{}, []string{"release", "billing", "customer-17"}},
		{"deadletter-release-missing", &fakeLetters{}, clitest.Invocation{}, []string{"release", "billing", "customer-17", "customer-5"}},
		{"deadletter-release-all", &fakeLetters{}, clitest.Invocation{}, []string{"release", "billing", "--all"}},
	}
	for _, tt := range tests {
		t.Run(tt.golden, func(t *testing.T) {
			t.Parallel()
			args := slices.Concat([]string{"deadletter"}, tt.args, []string{"--admin", clitest.Serve(t, tt.fake.register)})
			clitest.Golden(t, tt.golden, clitest.Transcript(warren.Call(t, tt.in, args...), args...))
		})
	}
}

func TestARedriveAsksForWhatItsFlagsSay(t *testing.T) {
	t.Parallel()
	fake := &fakeLetters{reports: worked(1, 0)}
	address := clitest.Serve(t, fake.register)
	warren.Run(t, "deadletter", "redrive", "billing", "--admin", address)
	if req, _ := fake.last().(*adminv1.RedriveDeadLettersRequest); req.GetDryRun() || req.PerSecond != nil ||
		req.GetDestination() != adminv1.RedriveDestination_REDRIVE_DESTINATION_SUBSCRIPTION {
		t.Errorf("without flags: %v", req)
	}
	warren.Run(t, "deadletter", "redrive", "billing", "--rate=0.5", "--to=topic", "--dry-run", "-n3", "--admin", address)
	if req, _ := fake.last().(*adminv1.RedriveDeadLettersRequest); !req.GetDryRun() || req.GetPerSecond() != 0.5 || req.GetLimit() != 3 ||
		req.GetDestination() != adminv1.RedriveDestination_REDRIVE_DESTINATION_TOPIC {
		t.Errorf("with flags: %v", req)
	}
}

func TestAPurgeAsksBeforeItRemoves(t *testing.T) {
	t.Parallel()
	fake := &fakeLetters{reports: worked(7, 0)}
	address := clitest.Serve(t, fake.register)
	dryRuns := func(in clitest.Invocation, args ...string) (out []bool) {
		fake.mu.Lock()
		fake.asked = nil
		fake.mu.Unlock()
		warren.Call(t, in, slices.Concat([]string{"deadletter", "purge", "billing", "--admin", address}, args)...)
		fake.mu.Lock()
		defer fake.mu.Unlock()
		for _, m := range fake.asked {
			out = append(out, m.(*adminv1.PurgeDeadLettersRequest).GetDryRun())
		}
		return out
	}
	for _, tt := range []struct {
		name string
		in   clitest.Invocation
		args []string
		want []bool
	}{
		{"nobody there", clitest.Invocation{}, nil, nil},
		{"agreed", clitest.Invocation{TTY: true, Stdin: "y\n"}, nil, []bool{true, false}},
		{"refused", clitest.Invocation{TTY: true, Stdin: "n\n"}, nil, []bool{true}},
		{"no answer", clitest.Invocation{TTY: true}, nil, []bool{true}},
		{"yes beforehand", clitest.Invocation{}, []string{"--yes"}, []bool{false}},
		{"a dry run", clitest.Invocation{}, []string{"--dry-run"}, []bool{true}},
	} {
		if got := dryRuns(tt.in, tt.args...); !slices.Equal(got, tt.want) {
			t.Errorf("%s: dry runs %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestAnInterruptedRedriveSaysSo(t *testing.T) {
	t.Parallel()
	fake := &fakeLetters{reports: worked(3, 0), hangs: true, began: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stopping sync.WaitGroup
	stopping.Go(func() { <-fake.began; cancel() })
	r := warren.Call(t, clitest.Invocation{Ctx: ctx}, "deadletter", "redrive", "billing", "--admin", clitest.Serve(t, fake.register))
	stopping.Wait()
	if r.Code != cli.ExitFailure || !strings.Contains(r.Err, "interrupted: what was not redriven stays") {
		t.Errorf("%+v", r)
	}
}

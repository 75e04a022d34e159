package sidecar

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli/clitest"
)

// What a name means does not depend on the order in which a sidecar lists what it has.
func TestANameThatIsATopicOnlyToAnotherSubscriptionIsStillBoth(t *testing.T) {
	t.Parallel()
	subscriptions := []*adminv1.SubscriptionConfig{{Name: "shop/billing", Topic: "shop/orders"}, {Name: "shop/ledger", Topic: "shop/billing"}}
	for range 2 {
		fake := &clitest.Admin{Dumped: &adminv1.GetConfigDumpResponse{Namespace: "shop", Subscriptions: subscriptions}}
		r := warren.Run(t, "tail", "billing", "--count", "1", "--admin", clitest.Serve(t, fake.Register))
		if r.Code != cli.ExitUsage || !strings.Contains(r.Err, "shop/billing is a topic and a subscription") || fake.Tapped != nil {
			t.Errorf("%v: %+v", subscriptions, r)
		}
		slices.Reverse(subscriptions)
	}
	fake := &clitest.Admin{Dumped: &adminv1.GetConfigDumpResponse{Namespace: "shop", Subscriptions: subscriptions}, Passing: passing()[:1]}
	r := warren.Run(t, "tail", "orders", "--count", "1", "--admin", clitest.Serve(t, fake.Register))
	if r.Code != cli.ExitOK || fake.Tapped.GetTopic() != "shop/orders" || strings.Contains(r.Err, "has not used") {
		t.Errorf("the topic of a subscription is not known: %+v", r)
	}
}

func TestTailWithoutAConnectionExplainsItself(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"orders", "topic/orders"} {
		r := warren.Run(t, "tail", name, "--admin", clitest.Nobody(t))
		if r.Code != cli.ExitFailure || !strings.Contains(r.Err, "UNREACHABLE") || !strings.Contains(r.Err, "is a sidecar's admin listener running at") || r.Out != "" {
			t.Errorf("tail %s: %+v", name, r)
		}
	}
	r := warren.Run(t, "drain", "--admin", clitest.Nobody(t))
	if r.Code != cli.ExitFailure || !strings.Contains(r.Err, "drain: UNAVAILABLE UNREACHABLE") {
		t.Errorf("drain: %+v", r)
	}
}

func TestTailEndsCleanlyWithCtrlC(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	out := &clitest.CancelOn{Cancel: cancel}
	fake := &clitest.Admin{Passing: passing()[:1]}
	r := warren.Call(t, clitest.Invocation{Ctx: ctx, Out: out}, "tail", "--admin", clitest.Serve(t, fake.Register))
	if r.Code != cli.ExitOK || !strings.Contains(r.Err, "1 shown, 0 missed") || !strings.Contains(out.Text.String(), "order-17") {
		t.Errorf("%+v, out %q", r, out.Text.String())
	}
}

// broken refuses every write, as a pipe does whose reader is gone.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, status.Error(codes.Unknown, "broken pipe") }

func TestTailFailsWhenItCannotWrite(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"table", "wide", "json", "yaml"} {
		fake := &clitest.Admin{Passing: passing()}
		r := warren.Call(t, clitest.Invocation{Out: broken{}}, "tail", "-o", format, "--admin", clitest.Serve(t, fake.Register))
		if r.Code != cli.ExitFailure || !strings.Contains(r.Err, "write output: ") || strings.Contains(r.Err, "hint") {
			t.Errorf("-o %s: %+v", format, r)
		}
	}
}

func TestTailShortensWhatItMeasures(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0s", 300: "0s", 1500: "2µs", 90 * time.Microsecond: "90µs", 1834 * time.Microsecond: "1.8ms", 999*time.Millisecond + 960*time.Microsecond: "1s",
		12*time.Second + 345*time.Millisecond: "12.35s", 2 * time.Minute: "2m0s",
	} {
		if got := shortDuration(d); got != want {
			t.Errorf("%s is %q, want %q", d, got, want)
		}
	}
	for n, want := range map[uint32]string{0: "", 1: "", 2: ", attempt 2"} {
		if got := attemptText(n); got != want {
			t.Errorf("attempt %d is %q, want %q", n, got, want)
		}
	}
}

func TestTailSaysInAFewWordsWhatHappened(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]*adminv1.TapResponse{
		"to shop/orders":                          {Stage: adminv1.TapStage_TAP_STAGE_PUBLISHED, Topic: "shop/orders", Attempt: 1},
		"to shop/orders failed, attempt 3":        {Stage: adminv1.TapStage_TAP_STAGE_PUBLISHED, Topic: "shop/orders", Attempt: 3, Error: "x"},
		"to shop/billing, attempt 2":              {Stage: adminv1.TapStage_TAP_STAGE_DELIVERED, Subscription: "shop/billing", Attempt: 2},
		"retry by shop/billing":                   {Stage: adminv1.TapStage_TAP_STAGE_SETTLED, Subscription: "shop/billing", Outcome: "retry", Attempt: 1},
		"dead-letter by shop/billing, attempt 10": {Stage: adminv1.TapStage_TAP_STAGE_SETTLED, Subscription: "shop/billing", Outcome: "dead-letter", Attempt: 10},
	} {
		if got := tailText(r); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

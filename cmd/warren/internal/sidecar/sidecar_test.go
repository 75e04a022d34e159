package sidecar

import (
	"go.uber.org/goleak"

	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli/clitest"
)

// warren is the program under test.
var warren = clitest.Program{NewTail, NewDrain}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// passing is what a tap shows, at a time that does not depend on where the test runs.
func passing() []*adminv1.TapResponse {
	at := timestamppb.New(time.Date(2026, 11, 23, 10, 0, 0, 0, time.Local))
	return []*adminv1.TapResponse{
		{Stage: adminv1.TapStage_TAP_STAGE_PUBLISHED, Time: at, EventId: "order-17", Source: "/checkout", Type: "com.shop.order.placed",
			Attributes: map[string]string{"subject": "17"}, Topic: "shop/orders", Route: "canary/eu", Exchange: "orders", RoutingKey: "com.shop.order.placed",
			Attempt: 2, Took: durationpb.New(1834 * time.Microsecond), DataBytes: 20, Data: []byte("{\"order\":\n17"), Traceparent: "00-1-2-01"},
		{Stage: adminv1.TapStage_TAP_STAGE_DELIVERED, Time: at, EventId: "e369722e-2d57-4416-99ab-55feebff052a order-17", Subscription: "shop/billing", Topic: "shop/orders", Attempt: 1},
		{Stage: adminv1.TapStage_TAP_STAGE_SETTLED, Time: at, EventId: "order-17", Subscription: "shop/billing", Topic: "shop/orders", Attempt: 5,
			Outcome: "dead-letter", Error: "rejected: no such customer", Took: durationpb.New(12 * time.Second), Dropped: 7},
		{Stage: adminv1.TapStage_TAP_STAGE_PUBLISHED, Time: at, EventId: "order-18\x1b[31m", Topic: "shop/orders", Error: "no route", Attempt: 1, Took: durationpb.New(90 * time.Microsecond), Dropped: 7},
	}
}

func TestTailShowsWhatPasses(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"table", "wide", "json", "yaml"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			fake := &clitest.Admin{Dumped: clitest.Dump(), Passing: passing()}
			args := []string{"tail", "orders", "-o", format, "--count", "4", "--payload", "--admin", clitest.Serve(t, fake.Register)}
			r := warren.Run(t, args...)
			if format == "json" || format == "yaml" { // what protojson writes varies in white space
				if r.Code != cli.ExitOK || strings.Count(r.Out, "order-17") != 3 || !strings.Contains(r.Out, "dead-letter") {
					t.Errorf("exit %d:\n%s", r.Code, r.Out)
				}
			} else {
				clitest.Golden(t, "tail-"+format, clitest.Transcript(r, args...))
			}
			if fake.Tapped.GetTopic() != "shop/orders" || fake.Tapped.GetMaxPayloadBytes() != 1024 || fake.Tapped.SamplePercent != nil {
				t.Errorf("asked for %v", fake.Tapped)
			}
		})
	}
}

func TestTailFindsOutWhatANameMeans(t *testing.T) {
	t.Parallel()
	both := clitest.Dump()
	both.Topics = append(both.Topics, &adminv1.TopicConfig{Name: "shop/billing"})
	tests := []struct {
		name                string
		dump                *adminv1.GetConfigDumpResponse
		arg                 string
		topic, subscription string
		code                int
		says                string
	}{
		{"nothing", clitest.Dump(), "", "", "", 0, "all events"},
		{"a topic in use", clitest.Dump(), "orders", "shop/orders", "", 0, "topic shop/orders"},
		{"a subscription", clitest.Dump(), "billing", "", "shop/billing", 0, "subscription shop/billing"},
		{"a topic that was never used", clitest.Dump(), "eu/audit", "eu/audit", "", 0, "has not used topic eu/audit yet"},
		{"a name that is both", both, "billing", "", "", 2, "say topic/billing or subscription/billing"},
		{"a topic by its kind", both, "topic/billing", "billing", "", 0, "topic billing"},
		{"a subscription by its kind", both, "subscription/shop/billing", "", "shop/billing", 0, "subscription shop/billing"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fake := &clitest.Admin{Dumped: tt.dump, Passing: passing()[:1]}
			args := []string{"tail", "--count", "1", "--sample", "12.5", "--admin", clitest.Serve(t, fake.Register)}
			if tt.arg != "" {
				args = append(args, tt.arg)
			}
			r := warren.Run(t, args...)
			if r.Code != tt.code || !strings.Contains(r.Err, tt.says) {
				t.Errorf("exit %d, want %d with %q:\n%s", r.Code, tt.code, tt.says, r.Err)
			}
			if fake.Tapped.GetTopic() != tt.topic || fake.Tapped.GetSubscription() != tt.subscription {
				t.Errorf("asked for %v", fake.Tapped)
			}
			if tt.code == 0 && fake.Tapped.GetSamplePercent() != 12.5 {
				t.Errorf("sample %g", fake.Tapped.GetSamplePercent())
			}
		})
	}
}

func TestTailSaysWhenTheSidecarEnds(t *testing.T) {
	t.Parallel()
	args := []string{"tail", "--admin", clitest.Serve(t, (&clitest.Admin{Passing: passing()[1:2]}).Register)}
	if r := warren.Run(t, args...); r.Code != cli.ExitFailure || !strings.Contains(r.Err, "the sidecar is shutting down") {
		t.Errorf("%+v", r)
	}
}

func TestDrainNamesItsPhase(t *testing.T) {
	t.Parallel()
	fake := &clitest.Admin{}
	address := clitest.Serve(t, fake.Register)
	r := warren.Run(t, "drain", "--admin", address)
	if r.Code != cli.ExitOK || fake.Drained.GetPhase() != adminv1.DrainPhase_DRAIN_PHASE_DELIVERY || !strings.Contains(r.Err, "no more deliveries") {
		t.Errorf("drain: %+v, asked for %v", r, fake.Drained)
	}
	r = warren.Run(t, "drain", "--phase=all", "--timeout=3s", "--admin", address)
	if r.Code != cli.ExitOK || fake.Drained.GetPhase() != adminv1.DrainPhase_DRAIN_PHASE_ALL || fake.Drained.GetTimeout().AsDuration() != 3*time.Second {
		t.Errorf("drain --phase=all: %+v, asked for %v", r, fake.Drained)
	}
	r = warren.Run(t, "drain", "--admin", clitest.Serve(t, (&clitest.Admin{Unclean: true}).Register))
	if r.Code != cli.ExitFailure || !strings.Contains(r.Err, "goes back to its queue") {
		t.Errorf("a drain that was not clean: %+v", r)
	}
}

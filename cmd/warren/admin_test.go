package main

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"sigs.k8s.io/yaml"

	corev1 "k8s.io/api/core/v1"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/xds"
)

// fakeAdmin is a sidecar's AdminService with fixed answers.
type fakeAdmin struct {
	adminv1.UnimplementedAdminServiceServer
	dump    *adminv1.GetConfigDumpResponse
	passing []*adminv1.TapResponse
	unclean bool

	tapped  *adminv1.TapRequest
	drained *adminv1.DrainRequest
}

func (f *fakeAdmin) register(g *grpc.Server) { adminv1.RegisterAdminServiceServer(g, f) }

func (f *fakeAdmin) GetConfigDump(context.Context, *adminv1.GetConfigDumpRequest) (*adminv1.GetConfigDumpResponse, error) {
	return f.dump, nil
}

func (f *fakeAdmin) Tap(req *adminv1.TapRequest, stream grpc.ServerStreamingServer[adminv1.TapResponse]) error {
	f.tapped = req
	for _, r := range append([]*adminv1.TapResponse{{}}, f.passing...) {
		if err := stream.Send(r); err != nil {
			return err
		}
	}
	return status.Error(codes.Unavailable, "the sidecar is shutting down")
}

func (f *fakeAdmin) Drain(_ context.Context, req *adminv1.DrainRequest) (*adminv1.DrainResponse, error) {
	f.drained = req
	return &adminv1.DrainResponse{Took: durationpb.New(3 * time.Millisecond), Clean: !f.unclean}, nil
}

func dumped() *adminv1.GetConfigDumpResponse {
	return &adminv1.GetConfigDumpResponse{
		Node: "billing.shop~1c20", Namespace: "shop", Workload: "billing", Version: "9d81c00f2b", AppliedAt: timestamppb.New(loaded), FromDisk: true,
		ControlPlane: &adminv1.ControlPlaneContact{Address: "10.0.0.1:17430", LastError: "connection refused"},
		Topics: []*adminv1.TopicConfig{{Name: "shop/orders", Rules: []*adminv1.RuleConfig{
			{Name: "orders-canary/eu", Filters: []string{`prefix(type, "com.shop.")`, `not(exact(source, "/test"))`}, Backends: []*adminv1.BackendConfig{
				{Topic: "shop/orders", Weight: 95, Broker: "shop/main", Exchange: "orders", ExchangeType: "topic", RoutingKey: "{type}"},
				{Topic: "shop/orders-next", Weight: 5, Broker: "shop/main", Exchange: "orders-next", ExchangeType: "topic", RoutingKey: "{type}", Partitions: &adminv1.PartitionsConfig{Count: 8, Key: "partitionkey"}},
			}},
			{Backends: []*adminv1.BackendConfig{{Topic: "shop/orders", Weight: 1, Broker: "shop/main", Exchange: "orders", ExchangeType: "topic", RoutingKey: "{type}"}}},
		}}},
		Subscriptions: []*adminv1.SubscriptionConfig{{
			Name: "shop/billing", Topic: "shop/orders", Broker: "shop/main", Queue: "shop.billing", Prefetch: 64, Attempts: 5,
			AckDeadline: durationpb.New(30 * time.Second), DeadLetterQueue: "orders.billing.dead",
		}, {
			Name: "shop/ledger", Topic: "shop/orders-next", Broker: "shop/main", Queue: "shop.ledger", Prefetch: 64, Attempts: 5,
			AckDeadline: durationpb.New(30 * time.Second), DeadLetterQueue: "shop.ledger.dead",
			Ordering: "PerKey", Partitions: &adminv1.PartitionsConfig{Count: 8, Key: "partitionkey"},
			DedupeWindow: durationpb.New(10 * time.Minute), DedupeMaxEntries: 100_000,
		}},
		Brokers: []*adminv1.BrokerConfig{{Name: "shop/main", Type: "RabbitMQ", Vhost: "/", Credentials: "rabbit", Topology: "Manage", Nodes: []*adminv1.BrokerNode{
			{Broker: "shop/main", Address: "127.0.0.1:5672", Server: "RabbitMQ 4.1.0", Publishing: true, Consuming: true},
			{Broker: "shop/main", Address: "127.0.0.1:5673", Reason: "connection refused", Priority: 1},
		}}},
		Resources: []*adminv1.ConfigResource{
			{TypeUrl: xds.TypeListener, Name: "subscription/shop/billing", State: "ACKED", Version: "aa11"},
			{TypeUrl: xds.TypeListener, Name: "topic/shop/orders", State: "ACKED", Version: "bb22"},
			{TypeUrl: xds.TypeRoute, Name: "topic/shop/orders", State: "NACKED", Version: "cc33", RejectedVersion: "dd44", Error: "regex is not supported"},
		},
	}
}

func TestADumpIsReadableAndComplete(t *testing.T) {
	t.Parallel()
	for _, wide := range []bool{false, true} {
		var out strings.Builder
		if err := (&dumpPage{wide: wide, now: loaded.Add(7 * time.Minute)}).write(&out, dumped()); err != nil {
			t.Fatal(err)
		}
		golden(t, map[bool]string{false: "dump-table", true: "dump-wide"}[wide], out.String())
		for line := range strings.Lines(out.String()) {
			if !wide && len(line) > 81 { // with its line break
				t.Errorf("over 80 columns: %s", line)
			}
		}
	}
}

func TestADumpIsTheSameMessageForScripts(t *testing.T) {
	t.Parallel()
	admin := serve(t, (&fakeAdmin{dump: dumped()}).register)
	r := invocation{env: map[string]string{"WARREN_SIDECAR_ADMIN": admin}}.run(t, "config", "dump", "-o", "json")
	var back adminv1.GetConfigDumpResponse
	if err := protojson.Unmarshal([]byte(r.out), &back); err != nil || r.code != exitOK || len(back.GetTopics()[0].GetRules()) != 2 {
		t.Errorf("exit %d, %v:\n%s%s", r.code, err, r.out, r.err)
	}
	r = invocation{}.run(t, "config", "dump", "-o", "yaml", "--admin", admin)
	if asJSON, err := yaml.YAMLToJSON([]byte(r.out)); err != nil || protojson.Unmarshal(asJSON, &back) != nil {
		t.Errorf("yaml: %v\n%s", err, r.out)
	}
}

func TestASidecarThatIsAwayIsToldApartFromOneThatIsNone(t *testing.T) {
	t.Parallel()
	args := []string{"config", "dump", "--admin", nobody(t)}
	golden(t, "dump-nobody", transcript(invocation{}.run(t, args...), args...))
	args = []string{"config", "dump", "--admin", serve(t, (&fakeMesh{}).register)}
	golden(t, "dump-wrong-peer", transcript(invocation{}.run(t, args...), args...))
}

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
			fake := &fakeAdmin{dump: dumped(), passing: passing()}
			args := []string{"tail", "orders", "-o", format, "--count", "4", "--payload", "--admin", serve(t, fake.register)}
			r := invocation{}.run(t, args...)
			if format == "json" || format == "yaml" { // what protojson writes varies in white space
				if r.code != exitOK || strings.Count(r.out, "order-17") != 3 || !strings.Contains(r.out, "dead-letter") {
					t.Errorf("exit %d:\n%s", r.code, r.out)
				}
			} else {
				golden(t, "tail-"+format, transcript(r, args...))
			}
			if fake.tapped.GetTopic() != "shop/orders" || fake.tapped.GetMaxPayloadBytes() != 1024 || fake.tapped.SamplePercent != nil {
				t.Errorf("asked for %v", fake.tapped)
			}
		})
	}
}

func TestTailFindsOutWhatANameMeans(t *testing.T) {
	t.Parallel()
	both := dumped()
	both.Topics = append(both.Topics, &adminv1.TopicConfig{Name: "shop/billing"})
	tests := []struct {
		name                string
		dump                *adminv1.GetConfigDumpResponse
		arg                 string
		topic, subscription string
		code                int
		says                string
	}{
		{"nothing", dumped(), "", "", "", 0, "all events"},
		{"a topic in use", dumped(), "orders", "shop/orders", "", 0, "topic shop/orders"},
		{"a subscription", dumped(), "billing", "", "shop/billing", 0, "subscription shop/billing"},
		{"a topic that was never used", dumped(), "eu/audit", "eu/audit", "", 0, "has not used topic eu/audit yet"},
		{"a name that is both", both, "billing", "", "", 2, "say topic/billing or subscription/billing"},
		{"a topic by its kind", both, "topic/billing", "billing", "", 0, "topic billing"},
		{"a subscription by its kind", both, "subscription/shop/billing", "", "shop/billing", 0, "subscription shop/billing"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fake := &fakeAdmin{dump: tt.dump, passing: passing()[:1]}
			args := []string{"tail", "--count", "1", "--sample", "12.5", "--admin", serve(t, fake.register)}
			if tt.arg != "" {
				args = append(args, tt.arg)
			}
			r := invocation{}.run(t, args...)
			if r.code != tt.code || !strings.Contains(r.err, tt.says) {
				t.Errorf("exit %d, want %d with %q:\n%s", r.code, tt.code, tt.says, r.err)
			}
			if fake.tapped.GetTopic() != tt.topic || fake.tapped.GetSubscription() != tt.subscription {
				t.Errorf("asked for %v", fake.tapped)
			}
			if tt.code == 0 && fake.tapped.GetSamplePercent() != 12.5 {
				t.Errorf("sample %g", fake.tapped.GetSamplePercent())
			}
		})
	}
}

func TestTailSaysWhenTheSidecarEnds(t *testing.T) {
	t.Parallel()
	args := []string{"tail", "--admin", serve(t, (&fakeAdmin{passing: passing()[1:2]}).register)}
	if r := (invocation{}).run(t, args...); r.code != exitFailure || !strings.Contains(r.err, "the sidecar is shutting down") {
		t.Errorf("%+v", r)
	}
}

func TestDrainNamesItsPhase(t *testing.T) {
	t.Parallel()
	fake := &fakeAdmin{}
	address := serve(t, fake.register)
	r := invocation{}.run(t, "drain", "--admin", address)
	if r.code != exitOK || fake.drained.GetPhase() != adminv1.DrainPhase_DRAIN_PHASE_DELIVERY || !strings.Contains(r.err, "no more deliveries") {
		t.Errorf("drain: %+v, asked for %v", r, fake.drained)
	}
	r = invocation{}.run(t, "drain", "--phase=all", "--timeout=3s", "--admin", address)
	if r.code != exitOK || fake.drained.GetPhase() != adminv1.DrainPhase_DRAIN_PHASE_ALL || fake.drained.GetTimeout().AsDuration() != 3*time.Second {
		t.Errorf("drain --phase=all: %+v, asked for %v", r, fake.drained)
	}
	r = invocation{}.run(t, "drain", "--admin", serve(t, (&fakeAdmin{unclean: true}).register))
	if r.code != exitFailure || !strings.Contains(r.err, "goes back to its queue") {
		t.Errorf("a drain that was not clean: %+v", r)
	}
}

// The image holds /warren; what the manifest runs before a pod stops must be a
// command this program knows.
func TestThePreStopHookOfTheManifestIsACommandOfThisProgram(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../manifests/shop/billing.yaml")
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for doc := range strings.SplitSeq(string(text), "\n---\n") {
		var pod corev1.Pod
		if err := yaml.Unmarshal([]byte(doc), &pod); err != nil || pod.Kind != "Pod" {
			continue
		}
		for i := range pod.Spec.InitContainers {
			c := &pod.Spec.InitContainers[i]
			if c.Lifecycle == nil || c.Lifecycle.PreStop == nil || c.Lifecycle.PreStop.Exec == nil {
				t.Errorf("container %s has no preStop command", c.Name)
				continue
			}
			command := c.Lifecycle.PreStop.Exec.Command
			fake := &fakeAdmin{}
			r := invocation{env: map[string]string{"WARREN_SIDECAR_ADMIN": serve(t, fake.register)}}.run(t, command[1:]...)
			if command[0] != "/warren" || r.code != exitOK || fake.drained.GetPhase() != adminv1.DrainPhase_DRAIN_PHASE_DELIVERY {
				t.Errorf("preStop %q: %+v, asked for %v", command, r, fake.drained)
			}
			ran++
		}
	}
	if ran != 1 {
		t.Errorf("%d preStop commands, want 1", ran)
	}
}

func TestTheTabulatorKnowsTheMesh(t *testing.T) {
	t.Parallel()
	state := troubled()
	state.Objects = append(state.Objects, &adminv1.Object{Kind: "EventTopic", Namespace: "shop", Name: "audit"})
	address := serve(t, (&fakeMesh{state: state}).register)
	complete := func(env string, args ...string) []string {
		t.Helper()
		r := invocation{env: map[string]string{"WARREN_CONTROL_PLANE_ADMIN": env}}.run(t, append([]string{"__complete"}, args...)...)
		var names []string
		for line := range strings.Lines(r.out) {
			if !strings.HasPrefix(line, ":") {
				names = append(names, strings.TrimSpace(line))
			}
		}
		return names
	}
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"publish", ""}, "audit orders"},
		{[]string{"publish", "o"}, "orders"},
		{[]string{"subscribe", ""}, "billing"},
		{[]string{"tail", ""}, "audit billing orders"},
		{[]string{"deadletter", "redrive", ""}, "billing"},
		{[]string{"status", "billing"}, "billing.shop~1c20"},
		{[]string{"publish", "orders", ""}, ""},
	}
	for _, tt := range tests {
		if got := strings.Join(complete(address, tt.args...), " "); got != tt.want {
			t.Errorf("warren %s<TAB>: %q, want %q", strings.Join(tt.args, " "), got, tt.want)
		}
	}
	if got := complete(nobody(t), "publish", ""); len(got) > 0 {
		t.Errorf("without a control plane: %q", got)
	}
}

package controlplane

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	reportv1 "github.com/warrenmesh/warren/api/report/v1"
	"github.com/warrenmesh/warren/xds"
)

type reports = grpc.BidiStreamingClient[reportv1.ReportRequest, reportv1.ReportResponse]

func reporting(t *testing.T, conn *grpc.ClientConn) reports {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	stream, err := reportv1.NewReportServiceClient(conn).Report(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

// refused returns how a stream of reports ends after those reports.
func refused(t *testing.T, stream reports, requests ...*reportv1.ReportRequest) codes.Code {
	t.Helper()
	for _, req := range requests {
		if err := stream.Send(req); err != nil {
			break // Recv has the reason
		}
	}
	for {
		if _, err := stream.Recv(); err != nil {
			return status.Code(err)
		}
	}
}

// brokerDown is a report of a sidecar whose broker is down and whose topic cannot be
// declared.
func brokerDown() *reportv1.ReportRequest {
	return &reportv1.ReportRequest{Instance: 1, Sequence: 1, Complete: true, State: &reportv1.State{
		Nodes:         []*reportv1.BrokerNode{{Broker: "shop/main", Address: "127.0.0.1:5672", Reason: "connection refused"}},
		Undeclared:    []*reportv1.Undeclared{{Kind: "EventTopic", Object: "shop/orders", Reason: "TOPOLOGY_CONFLICT", Message: "exchange exists with type direct, wanted topic"}},
		ConfigVersion: "abc",
	}, Published: []*reportv1.Published{{Topic: "shop/orders", Confirmed: 3}}}
}

func TestAReportSpeaksForTheNodeOfItsConnection(t *testing.T) {
	t.Parallel()
	cp := launch(t, shopDir(t), nil)
	wait(t, "ready", cp.Ready())
	s := connect(t, cp, "billing")
	if code := refused(t, reporting(t, s.conn)); code != codes.FailedPrecondition {
		t.Errorf("before the xDS stream has said who it is: %v, want FailedPrecondition", code)
	}
	s.readAll("billing")
	silent := connect(t, cp, "audit")
	silent.readAll("audit")
	stream := reporting(t, s.conn)
	if err := stream.Send(brokerDown()); err != nil {
		t.Fatal(err)
	}
	states := func() map[string]*adminv1.Sidecar {
		out := map[string]*adminv1.Sidecar{}
		for _, s := range getStatus(t, cp, "").GetSidecars() {
			out[s.GetId()] = s
		}
		return out
	}
	eventually(t, "the sidecar reports", func() bool { return states()["billing"].GetReports() == "REPORTING" })
	now := states()
	if now["billing"].GetConfigVersion() != "abc" || now["billing"].GetLastReport() == nil || now["audit"].GetReports() != "NOT_REPORTING" {
		t.Errorf("got %v", now)
	}
	if code := refused(t, reporting(t, s.conn)); code != codes.AlreadyExists {
		t.Errorf("a second stream of reports: %v, want AlreadyExists", code)
	}
	if err := s.stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the xDS stream has ended", func() bool { return states()["billing"] == nil })
	if code := refused(t, stream, &reportv1.ReportRequest{Instance: 1, Sequence: 2}); code != codes.Unavailable {
		t.Errorf("after the end of the xDS stream: %v, want Unavailable", code)
	}
}

func TestReportsAreBounded(t *testing.T) {
	t.Parallel()
	cp := launch(t, shopDir(t), nil)
	wait(t, "ready", cp.Ready())
	large := &reportv1.ReportRequest{Instance: 1, Sequence: 1, State: &reportv1.State{ConfigVersion: strings.Repeat("x", 600<<10)}}
	var fast []*reportv1.ReportRequest
	for i := range uint64(1000) {
		fast = append(fast, &reportv1.ReportRequest{Instance: 1, Sequence: i + 1, Complete: i == 0})
	}
	for what, c := range map[string]struct {
		requests []*reportv1.ReportRequest
		want     codes.Code
	}{
		"large":            {[]*reportv1.ReportRequest{large}, codes.ResourceExhausted},
		"too many":         {fast, codes.ResourceExhausted},
		"without a number": {[]*reportv1.ReportRequest{{Instance: 1}}, codes.InvalidArgument},
		"of two processes": {[]*reportv1.ReportRequest{{Instance: 1, Sequence: 1, Complete: true}, {Instance: 2, Sequence: 2}}, codes.InvalidArgument},
	} {
		s := connect(t, cp, "billing")
		s.readAll("billing")
		if code := refused(t, reporting(t, s.conn), c.requests...); code != c.want {
			t.Errorf("reports that are %s: %v, want %v", what, code, c.want)
		}
	}
}

func TestStatusIsWhatSidecarsReport(t *testing.T) {
	t.Parallel()
	cp := launch(t, shopDir(t), nil)
	wait(t, "ready", cp.Ready())
	broker := func() *adminv1.Condition {
		return condition(object(t, getStatus(t, cp, ""), "EventBroker", "main"), "Healthy")
	}
	if c := broker(); c.GetStatus() != "Unknown" || c.GetReason() != "NoReports" {
		t.Errorf("without reports: %v", c)
	}
	s := connect(t, cp, "billing")
	s.readAll("billing")
	stream := reporting(t, s.conn)
	if err := stream.Send(brokerDown()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the broker is not healthy", func() bool { return broker().GetStatus() == "False" })
	if c := broker(); c.GetReason() != "Down" || !strings.Contains(c.GetMessage(), "connection refused") {
		t.Errorf("got %v", c)
	}
	got := getStatus(t, cp, "")
	c := condition(object(t, got, "EventTopic", "orders"), "Programmed")
	if c.GetStatus() != "False" || c.GetReason() != "TopologyConflict" || !strings.Contains(c.GetMessage(), "wanted topic (billing)") {
		t.Errorf("the topic that cannot be declared: %v", c)
	}
	if c := condition(object(t, got, "EventTopic", "orders-next"), "Programmed"); c.GetStatus() != "True" {
		t.Errorf("another topic: %v", c)
	}
	if condition(object(t, got, "EventTopic", "orders"), "Healthy") != nil {
		t.Error("a topic has a condition that only brokers have")
	}
	if n := got.GetTraffic().GetNodes(); len(n) != 1 || n[0].GetDown() != 1 {
		t.Errorf("nodes: %v", n)
	}
	next := &reportv1.ReportRequest{Instance: 1, Sequence: 2, State: &reportv1.State{
		Nodes: []*reportv1.BrokerNode{{Broker: "shop/main", Address: "127.0.0.1:5672", Publishing: true, Consuming: true}},
	}}
	if err := stream.Send(next); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all is well", func() bool {
		return broker().GetStatus() == "True" && condition(object(t, getStatus(t, cp, ""), "EventTopic", "orders"), "Programmed").GetStatus() == "True"
	})
	if ask, err := stream.Recv(); err != nil || len(ask.GetAssignment().GetBrokers()) != 1 {
		t.Errorf("the one sidecar is asked %v, %v", ask, err)
	}
	mesh := adminv1.NewMeshServiceClient(dial(t, cp.AdminAddr()))
	series, err := mesh.GetSeries(t.Context(), &adminv1.GetSeriesRequest{Topic: "shop/orders"})
	if err != nil || len(series.GetPoints()) == 0 {
		t.Errorf("series: %v, %v", series, err)
	}
	if _, err := mesh.GetSeries(t.Context(), &adminv1.GetSeriesRequest{Topic: "shop/nothing"}); status.Code(err) != codes.NotFound {
		t.Errorf("series of nothing: %v", err)
	}
}

func TestAControlPlaneThatTakesNoReportsSaysSo(t *testing.T) {
	t.Parallel()
	cp := launch(t, shopDir(t), func(o *Options) { o.NoReports = true })
	wait(t, "ready", cp.Ready())
	s := connect(t, cp, "billing")
	s.ack(s.subscribe(xds.TypeCluster, "broker/shop/main"))
	if code := refused(t, reporting(t, s.conn)); code != codes.Unimplemented {
		t.Errorf("got %v, want Unimplemented", code)
	}
	got := getStatus(t, cp, "")
	if got.GetTraffic() != nil || condition(object(t, got, "EventBroker", "main"), "Healthy") != nil || got.GetSidecars()[0].GetReports() != "" {
		t.Errorf("got %v", got)
	}
}

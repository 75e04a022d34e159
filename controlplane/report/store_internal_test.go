package report

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	reportv1 "github.com/warrenmesh/warren/api/report/v1"
	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/server"
)

// rig is a store with a clock of its own.
type rig struct {
	t     *testing.T
	store *Store
	now   time.Time
}

func newRig(t *testing.T, limits Limits) *rig {
	t.Helper()
	r := &rig{t: t, now: time.Unix(1_800_000_000, 0)}
	r.store = New(Options{Now: func() time.Time { return r.now }, Limits: limits})
	r.store.Configure(shop())
	return r
}

func name(s string) mesh.Name { return mesh.Name{Namespace: "shop", Name: s} }

// shop has a broker, two topics, and a subscription that retries after 1 s and 2 s.
func shop() *Mesh {
	return &Mesh{
		Brokers: []mesh.Name{name("main")}, Topics: []mesh.Name{name("orders"), name("audit")},
		Subscriptions: []*mesh.Subscription{{
			Name: name("billing"), Topic: name("orders"), Broker: name("main"), Queue: mesh.Queue{Name: "q"}, DeadLetterQueue: "q.dead",
			Attempts: 3, Backoff: mesh.Backoff{Base: time.Second, Max: time.Minute},
		}},
	}
}

// teller is a sidecar.
type teller struct {
	rig      *rig
	session  *session
	instance uint64
	sequence uint64
}

func (r *rig) connect(id string, stream int64, instance uint64) *teller {
	return &teller{rig: r, instance: instance, session: &session{who: server.Speaker{
		Node: xds.Node{ID: id, Namespace: "shop", Workload: strings.TrimRight(id, "0123456789")}, Stream: stream,
	}}}
}

// again is the same process on another stream.
func (s *teller) again(stream int64) *teller {
	next := *s
	next.session = &session{who: s.session.who}
	next.session.who.Stream = stream
	return &next
}

// tell sends the next report.
func (s *teller) tell(req *reportv1.ReportRequest) *reportv1.ReportResponse {
	s.rig.t.Helper()
	s.sequence++
	return s.send(s.sequence, req)
}

func (s *teller) send(sequence uint64, req *reportv1.ReportRequest) *reportv1.ReportResponse {
	s.rig.t.Helper()
	req.Instance, req.Sequence = s.instance, sequence
	out, err := s.rig.store.take(s.session, req)
	if err != nil {
		s.rig.t.Fatal(err)
	}
	return out
}

func published(topic string, confirmed uint64) *reportv1.ReportRequest {
	return &reportv1.ReportRequest{Published: []*reportv1.Published{{Topic: topic, Confirmed: confirmed}}}
}

func complete(req *reportv1.ReportRequest) *reportv1.ReportRequest {
	req.Complete = true
	return req
}

// total is everything in the series of a topic.
func (r *rig) total(topic string) (n uint64) {
	series := r.store.Series(&adminv1.GetSeriesRequest{Topic: topic})
	for _, p := range series.GetPoints() {
		n += p.GetEvents()
	}
	return n
}

func up(address string) *reportv1.State {
	return &reportv1.State{Nodes: []*reportv1.BrokerNode{{Broker: "shop/main", Address: address, Publishing: true, Consuming: true, Server: "RabbitMQ 4.0"}}}
}

func down(address, reason string) *reportv1.State {
	return &reportv1.State{Nodes: []*reportv1.BrokerNode{{Broker: "shop/main", Address: address, Reason: reason}}}
}

var main = v1alpha1.ObjectName{Kind: v1alpha1.KindEventBroker, Namespace: "shop", Name: "main"}

func TestAReportThatIsLostLosesNoEvent(t *testing.T) {
	t.Parallel()
	r := newRig(t, Limits{})
	s := r.connect("checkout1", 1, 7)
	s.tell(complete(published("shop/orders", 0)))
	s.tell(published("shop/orders", 10))
	s.sequence++ // the report with 25 did not come
	r.now = r.now.Add(Interval)
	if ask := s.tell(published("shop/orders", 40)); !ask.GetResend() {
		t.Errorf("after a gap the sidecar is told %v, want to send everything", ask)
	}
	if got := r.total("shop/orders"); got != 40 {
		t.Errorf("counted %d, want 40", got)
	}
	// What changed in the lost report and not since comes with the complete one.
	all := complete(published("shop/orders", 40))
	all.Published = append(all.Published, &reportv1.Published{Topic: "shop/audit", Confirmed: 3})
	if ask := s.tell(all); ask != nil {
		t.Errorf("after a complete report the sidecar is asked %v", ask)
	}
	if got := r.total("shop/audit"); got != 3 {
		t.Errorf("counted %d of the other topic, want 3", got)
	}
	if got := r.store.Traffic("").GetLosses(); got.GetMissed() != 1 {
		t.Errorf("missed %d, want 1", got.GetMissed())
	}
}

func TestAReportThatComesTwiceOrLateCountsOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, Limits{})
	s := r.connect("checkout1", 1, 7)
	s.tell(complete(published("shop/orders", 0)))
	s.tell(published("shop/orders", 10))
	s.send(2, published("shop/orders", 10)) // again
	s.tell(published("shop/orders", 30))
	s.send(2, published("shop/orders", 10)) // late, after a newer one
	s.tell(published("shop/orders", 31))
	if got := r.total("shop/orders"); got != 31 {
		t.Errorf("counted %d, want 31", got)
	}
	if got := r.store.Traffic("").GetLosses().GetDuplicates(); got != 2 {
		t.Errorf("%d duplicates, want 2", got)
	}
}

func TestCountersGoOnWhenASidecarComesBack(t *testing.T) {
	t.Parallel()
	r := newRig(t, Limits{})
	s := r.connect("checkout1", 1, 7)
	s.tell(complete(published("shop/orders", 10)))
	r.store.end(s.session)
	r.now = r.now.Add(time.Minute)
	s = s.again(2)
	s.tell(complete(published("shop/orders", 50)))
	if got := r.total("shop/orders"); got != 50 {
		t.Errorf("counted %d over two streams, want 50", got)
	}
	// Another process with the same node id begins at 0.
	r.connect("checkout1", 3, 8).tell(complete(published("shop/orders", 5)))
	if got := r.total("shop/orders"); got != 55 {
		t.Errorf("counted %d after a restart, want 55", got)
	}
}

func TestWhatWasBeforeTheControlPlaneIsNotCounted(t *testing.T) {
	t.Parallel()
	r := newRig(t, Limits{})
	r.now = r.now.Add(time.Minute)
	old := complete(published("shop/orders", 1_000_000))
	old.RunningFor = durationpb.New(time.Hour)
	s := r.connect("checkout1", 1, 7)
	s.tell(old)
	s.tell(published("shop/orders", 1_000_005))
	young := complete(published("shop/orders", 100))
	young.RunningFor = durationpb.New(10 * time.Second)
	r.connect("checkout2", 2, 8).tell(young)
	if got := r.total("shop/orders"); got != 105 {
		t.Errorf("counted %d, want the 5 that are new and the 100 of the process that is", got)
	}
}

func TestAnIncompleteFirstReportIsNotTakenForAllThereIs(t *testing.T) {
	t.Parallel()
	r := newRig(t, Limits{})
	r.now = r.now.Add(time.Minute)
	s := r.connect("checkout1", 1, 7)
	s.sequence = 8
	first := published("shop/orders", 500)
	first.RunningFor = durationpb.New(time.Hour)
	if ask := s.tell(first); !ask.GetResend() {
		t.Errorf("the sidecar is told %v, want to send everything", ask)
	}
	all := complete(published("shop/orders", 501))
	all.Published = append(all.Published, &reportv1.Published{Topic: "shop/audit", Confirmed: 900})
	s.tell(all)
	if orders, audit := r.total("shop/orders"), r.total("shop/audit"); orders != 1 || audit != 0 {
		t.Errorf("counted %d and %d, want what is new: 1 and 0", orders, audit)
	}
}

func TestTrafficHasRatesAndTheGraph(t *testing.T) {
	t.Parallel()
	r := newRig(t, Limits{})
	producer, consumer := r.connect("checkout1", 1, 7), r.connect("billing1", 2, 8)
	producer.tell(complete(published("shop/orders", 0)))
	consumer.tell(complete(&reportv1.ReportRequest{}))
	for i := range uint64(12) { // a minute with 100 events every 5 s, of which 10 fail once
		r.now = r.now.Add(Interval)
		n := i + 1
		producer.tell(published("shop/orders", 100*n))
		consumer.tell(&reportv1.ReportRequest{Delivered: []*reportv1.Delivered{{
			Subscription: "shop/billing", Topic: "shop/orders", Publisher: "checkout",
			Delivered: 110 * n, Failed: 10 * n, Retried: 10 * n, DeadLettered: n,
		}}})
	}
	got := r.store.Traffic("shop")
	near := func(what string, got, want float64) {
		t.Helper()
		if got < want*0.95 || got > want*1.2 {
			t.Errorf("%s: %v a second, want about %v", what, got, want)
		}
	}
	if len(got.GetTopics()) != 1 || len(got.GetSubscriptions()) != 1 || len(got.GetEdges()) != 2 {
		t.Fatalf("got %v", got)
	}
	near("topic", got.GetTopics()[0].GetRate(), 20)
	sub := got.GetSubscriptions()[0]
	near("deliveries", sub.GetRate(), 22)
	near("failures", sub.GetFailed(), 2)
	near("retries", sub.GetRetried(), 2)
	near("dead letters", sub.GetDeadLettered(), 0.2)
	first, second := got.GetEdges()[0], got.GetEdges()[1]
	if first.GetPublisher() != "shop/checkout" || first.GetTopic() != "shop/orders" || first.GetSubscription() != "" {
		t.Errorf("first edge %v, want checkout to its topic", first)
	}
	if second.GetPublisher() != "checkout" || second.GetSubscription() != "shop/billing" {
		t.Errorf("second edge %v, want checkout to billing", second)
	}
	near("edge", second.GetRate(), 22)
	if other := r.store.Traffic("other"); len(other.GetTopics())+len(other.GetSubscriptions())+len(other.GetEdges())+len(other.GetNodes()) > 0 {
		t.Errorf("another namespace shows %v", other)
	}
	r.now = r.now.Add(time.Minute)
	if rate := r.store.Traffic("").GetTopics()[0].GetRate(); rate != 0 {
		t.Errorf("%v a second a minute after the last report, want 0", rate)
	}
}

func TestASeriesHasTheLastHour(t *testing.T) {
	t.Parallel()
	r := newRig(t, Limits{})
	s := r.connect("checkout1", 1, 7)
	s.tell(complete(published("shop/orders", 0)))
	for i := range uint64(800) { // more than an hour
		s.tell(published("shop/orders", i+1))
		r.now = r.now.Add(Step)
	}
	series := r.store.Series(&adminv1.GetSeriesRequest{Topic: "shop/orders"})
	points := series.GetPoints()
	if len(points) != 360 || series.GetStep().AsDuration() != Step {
		t.Fatalf("%d points, a step of %v", len(points), series.GetStep().AsDuration())
	}
	for i, p := range points[:359] {
		if p.GetEvents() != 1 {
			t.Errorf("point %d has %d events, want 1", i, p.GetEvents())
		}
	}
	edge := r.store.Series(&adminv1.GetSeriesRequest{Publisher: "shop/checkout", Topic: "shop/orders"})
	if len(edge.GetPoints()) != 360 {
		t.Errorf("the edge has %d points", len(edge.GetPoints()))
	}
	if nothing := r.store.Series(&adminv1.GetSeriesRequest{Topic: "shop/nothing"}); nothing != nil {
		t.Errorf("of a topic without reports: %v", nothing)
	}
	r.now = r.now.Add(2 * time.Hour)
	r.store.Sweep()
	if left := len(r.store.shelf.all); left != 0 {
		t.Errorf("%d series left two hours later", left)
	}
}

func TestWhatIsKeptIsBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t, Limits{Reporters: 3, Series: 6, Entries: 4})
	s := r.connect("checkout1", 1, 7)
	req := complete(&reportv1.ReportRequest{})
	for i := range 20 {
		req.Delivered = append(req.Delivered, &reportv1.Delivered{Subscription: "shop/billing", Topic: "shop/orders", Publisher: fmt.Sprint(i), Delivered: 1})
	}
	req.Delivered = append(req.Delivered,
		&reportv1.Delivered{Subscription: "shop/made-up", Topic: "shop/orders", Delivered: 1},
		&reportv1.Delivered{Subscription: "shop/billing", Topic: "shop/orders", Publisher: strings.Repeat("x", 1000), Delivered: 1},
		&reportv1.Delivered{Subscription: "shop/billing", Topic: "shop/orders", Publisher: "\x1b[31m", Delivered: 1})
	req.Published = []*reportv1.Published{{Topic: "shop/made-up", Confirmed: 1}}
	s.tell(req)
	if got := r.store.Traffic("").GetLosses().GetEntries(); got != 20 {
		t.Errorf("%d entries left out, want 16 and 4 that are no names", got)
	}
	for i := range 10 { // each with two series of its own
		id := r.connect(fmt.Sprintf("p%d", i), int64(10+i), uint64(100+i))
		id.session.who.Node.Workload = fmt.Sprintf("w%d", i)
		id.tell(complete(published("shop/orders", 1)))
		r.store.end(id.session)
	}
	if n, series := len(r.store.reporters), len(r.store.shelf.all); n > 3 || series > 6 {
		t.Errorf("%d reporters and %d series, want at most 3 and 6", n, series)
	}
	if r.store.Traffic("").GetLosses().GetSeries() == 0 {
		t.Error("series were dropped and not counted")
	}
	r.connect("a1", 31, 31).tell(complete(&reportv1.ReportRequest{}))
	r.connect("a2", 32, 32).tell(complete(&reportv1.ReportRequest{}))
	one := r.connect("a3", 33, 33)
	if _, err := r.store.take(one.session, &reportv1.ReportRequest{Instance: 33, Sequence: 1}); err != errTooMany { //nolint:errorlint // it is returned as it is
		t.Errorf("one more live reporter than may be: %v", err)
	}
}

func TestDroppedSeriesBeginAnew(t *testing.T) {
	t.Parallel()
	r := newRig(t, Limits{Series: 2})
	s := r.connect("checkout1", 1, 7)
	s.tell(complete(published("shop/orders", 1)))
	r.connect("audit1", 2, 8).tell(complete(published("shop/audit", 1))) // takes the places
	s.tell(published("shop/orders", 4))
	if got := r.total("shop/orders"); got != 3 {
		t.Errorf("counted %d since it came again, want 3", got)
	}
}

func TestABrokerIsAsHealthyAsItsSidecarsSay(t *testing.T) {
	t.Parallel()
	r := newRig(t, Limits{})
	a, b := r.connect("a1", 1, 1), r.connect("b1", 2, 2)
	a.tell(complete(&reportv1.ReportRequest{State: up("10.0.0.1:5672")}))
	b.tell(complete(&reportv1.ReportRequest{State: up("10.0.0.1:5672")}))
	finding := func(status v1alpha1.ConditionStatus, reason, words string) {
		t.Helper()
		f := r.store.Findings()[main]
		if f.Health != status || f.HealthReason != reason || !strings.Contains(f.HealthMessage, words) {
			t.Errorf("got %+v, want %s %s %q", f, status, reason, words)
		}
	}
	finding(v1alpha1.ConditionTrue, v1alpha1.ReasonUp, "1 of 1 nodes are up")
	b.tell(&reportv1.ReportRequest{State: down("10.0.0.1:5672", "connection refused")})
	finding(v1alpha1.ConditionFalse, v1alpha1.ReasonDegraded, "1 of 2 sidecars cannot use it: connection refused")
	a.tell(&reportv1.ReportRequest{State: down("10.0.0.1:5672", "connection refused")})
	finding(v1alpha1.ConditionFalse, v1alpha1.ReasonDown, "2 of 2 sidecars")
	a.tell(&reportv1.ReportRequest{State: &reportv1.State{Nodes: []*reportv1.BrokerNode{
		{Broker: "shop/main", Address: "10.0.0.1:5672", Consuming: true, Blocked: true, Reason: "memory alarm"},
	}}})
	finding(v1alpha1.ConditionFalse, v1alpha1.ReasonAlarm, "memory alarm")
	n := r.store.Traffic("").GetNodes()[0]
	if n.GetBlocked() != 1 || n.GetDown() != 1 || n.GetUp() != 0 || n.GetReason() != "memory alarm" {
		t.Errorf("node: %v", n)
	}
	r.store.end(a.session)
	r.store.end(b.session)
	if f, ok := r.store.Findings()[main]; ok {
		t.Errorf("without a sidecar: %+v", f)
	}
}

func TestALateSidecarCountsNoMoreUntilItReportsAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, Limits{})
	s := r.connect("a1", 1, 1)
	s.tell(complete(&reportv1.ReportRequest{State: down("10.0.0.1:5672", "refused")}))
	sidecar := func() *adminv1.Sidecar {
		var out adminv1.Sidecar
		r.store.Sidecar(1, &out)
		return &out
	}
	if got := sidecar(); got.GetReports() != Reporting {
		t.Errorf("got %v", got)
	}
	r.now = r.now.Add(Late + time.Second)
	r.store.Sweep()
	if got := sidecar(); got.GetReports() != IsLate || got.GetLastReport().AsDuration() != Late+time.Second {
		t.Errorf("got %v, want it to be late", got)
	}
	if f, ok := r.store.Findings()[main]; ok {
		t.Errorf("a late sidecar counts: %+v", f)
	}
	s.tell(&reportv1.ReportRequest{}) // nothing has changed
	if f := r.store.Findings()[main]; f.Health != v1alpha1.ConditionFalse {
		t.Errorf("after its next report: %+v", f)
	}
	var old adminv1.Sidecar // a stream of xDS that has never reported
	r.store.Sidecar(99, &old)
	if old.GetReports() != NotReporting || old.GetLastReport() != nil {
		t.Errorf("a sidecar of an older version: %v", &old)
	}
}

func TestWhatCannotBeDeclaredNamesTheSidecars(t *testing.T) {
	t.Parallel()
	r := newRig(t, Limits{})
	billing := v1alpha1.ObjectName{Kind: v1alpha1.KindEventSubscription, Namespace: "shop", Name: "billing"}
	for i := range 5 {
		r.connect(fmt.Sprintf("b%d", i), int64(i+1), uint64(i+1)).tell(complete(&reportv1.ReportRequest{State: &reportv1.State{
			Undeclared: []*reportv1.Undeclared{
				{Kind: billing.Kind, Object: "shop/billing", Reason: "TOPOLOGY_CONFLICT", Message: "queue \"q\" exists\n with type classic"},
				{Kind: billing.Kind, Object: "shop/billing", Reason: "TWICE"},
				{Kind: billing.Kind, Object: "shop/made-up", Reason: "TOPOLOGY_CONFLICT"},
			},
			QueuesWithoutBackstop: []string{"q", "made-up"},
		}}))
	}
	f := r.store.Findings()[billing]
	want := `5 of the sidecars that use it cannot declare it: queue "q" exists  with type classic (b0, b1, b2 and 2 more)`
	if f.Undeclared != 5 || f.Reason != "TopologyConflict" || f.Message != want {
		t.Errorf("got %+v", f)
	}
	if len(r.store.Findings()) != 1 {
		t.Errorf("findings of objects that are not declared: %v", r.store.Findings())
	}
	if got := r.store.Traffic("").GetQueuesWithoutBackstop(); !slices.Equal(got, []string{"q"}) {
		t.Errorf("queues without a backstop: %v", got)
	}
}

func TestOneSidecarMeasuresABroker(t *testing.T) {
	t.Parallel()
	r := newRig(t, Limits{})
	a, b := r.connect("a1", 1, 1), r.connect("b1", 2, 2)
	first := b.tell(complete(&reportv1.ReportRequest{State: up("10.0.0.1:5672")}))
	want := []string{"q", "q.dead", "q.retry.1000ms", "q.retry.2000ms"}
	if got := first.GetAssignment().GetBrokers(); len(got) != 1 || !slices.Equal(got[0].GetQueues(), want) {
		t.Fatalf("the first sidecar is asked to measure %v, want %v", got, want)
	}
	if ask := a.tell(complete(&reportv1.ReportRequest{State: up("10.0.0.1:5672")})); ask != nil {
		t.Errorf("the second is asked for %v too", ask)
	}
	// It stays the one, over reports and changes of its state.
	if ask := b.tell(&reportv1.ReportRequest{State: up("10.0.0.1:5672")}); ask != nil {
		t.Errorf("after a new state it is asked %v", ask)
	}
	measure := func(s *teller, n uint64) *reportv1.ReportResponse {
		req := &reportv1.ReportRequest{}
		for i, q := range want {
			req.Measured = append(req.Measured, &reportv1.Measured{Broker: "shop/main", Queue: q, Messages: n * uint64(i+1), Consumers: 2})
		}
		return s.tell(req)
	}
	measure(b, 10)
	measure(a, 1000) // nobody asked
	d := r.store.Traffic("").GetSubscriptions()[0].GetDepth()
	if d.GetBacklog() != 10 || d.GetDeadLetters() != 20 || d.GetRetrying() != 70 || d.GetReceivers() != 2 || d.GetError() != "" {
		t.Errorf("depth: %v", d)
	}
	points := r.store.Series(&adminv1.GetSeriesRequest{Subscription: "shop/billing"}).GetPoints()
	if last := points[len(points)-1].GetDepth(); last.GetBacklog() != 10 || last.GetReceivers() != 2 {
		t.Errorf("series: %v", points)
	}
	// It loses its broker: the other one takes over, and it is told.
	ask := b.tell(&reportv1.ReportRequest{State: down("10.0.0.1:5672", "gone")})
	if ask.GetAssignment() == nil || len(ask.GetAssignment().GetBrokers()) != 0 {
		t.Errorf("the sidecar without a connection is told %v, want that it measures nothing", ask)
	}
	if ask := a.tell(&reportv1.ReportRequest{}); len(ask.GetAssignment().GetBrokers()) != 1 {
		t.Errorf("the other is told %v, want to measure", ask)
	}
	if m := r.store.Traffic("").GetMeasurers(); len(m) != 1 || m[0].GetSidecar() != "a1" || m[0].GetQueues() != 4 {
		t.Errorf("measurers: %v", m)
	}
	// It goes; the first has come back.
	b.tell(&reportv1.ReportRequest{State: up("10.0.0.1:5672")})
	r.store.end(a.session)
	if ask := b.tell(&reportv1.ReportRequest{}); len(ask.GetAssignment().GetBrokers()) != 1 {
		t.Errorf("after the other has left it is told %v", ask)
	}
}

func TestTheMeasurerIsToldOfNewQueuesAndKeepsItsPlace(t *testing.T) {
	t.Parallel()
	r := newRig(t, Limits{Queues: 5})
	a := r.connect("a1", 1, 1)
	a.tell(complete(&reportv1.ReportRequest{State: up("10.0.0.1:5672")}))
	a.tell(&reportv1.ReportRequest{Measured: []*reportv1.Measured{{Broker: "shop/main", Queue: "q", Messages: 7}}})
	m := shop()
	m.Subscriptions = append(m.Subscriptions, &mesh.Subscription{
		Name: name("ordered"), Topic: name("orders"), Broker: name("main"), Queue: mesh.Queue{Name: "o"}, DeadLetterQueue: "o.dead",
		Ordering: mesh.PerKey, Partitions: mesh.Partitions{Count: 2},
	})
	r.store.Configure(m)
	ask := a.tell(&reportv1.ReportRequest{})
	if got := ask.GetAssignment().GetBrokers(); len(got) != 1 || len(got[0].GetQueues()) != 5 {
		t.Errorf("the measurer is told %v, want the 5 queues that may be measured", got)
	}
	measurer := r.store.Traffic("").GetMeasurers()[0]
	if measurer.GetLeftOut() != 3 || measurer.GetSidecar() != "a1" {
		t.Errorf("measurer: %v", measurer)
	}
	if q := r.store.brokers["shop/main"].queues["q"]; q.messages != 7 {
		t.Errorf("what was measured before is %v", q)
	}
	r.store.Configure(&Mesh{})
	if ask := a.tell(&reportv1.ReportRequest{}); ask.GetAssignment() == nil || len(ask.GetAssignment().GetBrokers()) != 0 {
		t.Errorf("when the broker is gone: %v", ask)
	}
	r.store.Configure(shop()) // and again, with what the sidecar said before
	if ask := a.tell(&reportv1.ReportRequest{}); len(ask.GetAssignment().GetBrokers()) != 1 {
		t.Errorf("when the broker is there again: %v", ask)
	}
}

func TestADepthSaysWhyItIsMissing(t *testing.T) {
	t.Parallel()
	r := newRig(t, Limits{})
	a := r.connect("a1", 1, 1)
	a.tell(complete(&reportv1.ReportRequest{State: up("10.0.0.1:5672")}))
	measured := []*reportv1.Measured{
		{Broker: "shop/main", Queue: "q", Messages: 4},
		{Broker: "shop/main", Queue: "q.dead", Error: "access refused: wants configure"},
		{Broker: "shop/main", Queue: "q.retry.1000ms", Missing: true, Error: "not found"},
	}
	a.tell(&reportv1.ReportRequest{Measured: measured})
	if d := r.store.Traffic("").GetSubscriptions()[0].GetDepth(); d != nil {
		t.Errorf("one queue was not asked for yet: %v", d)
	}
	a.tell(&reportv1.ReportRequest{Measured: []*reportv1.Measured{{Broker: "shop/main", Queue: "q.retry.2000ms", Messages: 1}}})
	d := r.store.Traffic("").GetSubscriptions()[0].GetDepth()
	if d.GetBacklog() != 4 || d.GetRetrying() != 1 || d.DeadLetters != nil || d.Receivers == nil || d.GetError() != "access refused: wants configure" {
		t.Errorf("got %v, want what is known and why the rest is not", d)
	}
	if s := r.store.Series(&adminv1.GetSeriesRequest{Subscription: "shop/billing"}); s != nil {
		t.Errorf("half a depth is in the series: %v", s)
	}
}

package deliver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/durationpb"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/internal/brokertest/one"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/membroker"
	"github.com/warrenmesh/warren/proxy/broker/membroker/faulty"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/deliver"
	door "github.com/warrenmesh/warren/proxy/door/grpc"
	"github.com/warrenmesh/warren/proxy/door/rpcerr"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/refusal"
	"github.com/warrenmesh/warren/proxy/snapshot"
	"github.com/warrenmesh/warren/proxy/tap"
	"github.com/warrenmesh/warren/tracing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var billing = mesh.Name{Namespace: "shop", Name: "billing"}

func subscription() mesh.Subscription {
	return mesh.Subscription{
		Name: billing, Topic: mesh.Name{Namespace: "shop", Name: "orders"}, Broker: mesh.Name{Namespace: "shop", Name: "main"},
		Exchange:    mesh.Exchange{Name: "orders", Type: "topic"},
		Queue:       mesh.Queue{Name: "shop.billing", Prefetch: 8},
		AckDeadline: time.Minute, Attempts: 3, DeadLetterQueue: "shop.billing.dead",
	}
}

// rig is a deliver.Service behind a real gRPC server, on one membroker node.
type rig struct {
	t       *testing.T
	broker  *faulty.Broker
	driver  queueing.Driver
	brokers single // with a node of driver
	service *deliver.Service
	client  eventsv1.EventServiceClient
	config  *config
	tap     *tap.Bus
}

// config is a session.Subscriptions that can change.
type config struct {
	mu      sync.Mutex
	subs    map[mesh.Name]*snapshot.Subscription
	changed chan struct{}
}

func (c *config) Subscription(name mesh.Name) (*snapshot.Subscription, <-chan struct{}, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, ok := c.subs[name]
	if !ok {
		return nil, nil, refusal.Missing(refusal.SubscriptionUnknown, "EventSubscription", name.String(), "no such subscription")
	}
	return s, c.changed, nil
}

func (c *config) set(subs ...mesh.Subscription) {
	compiled := map[mesh.Name]*mesh.Subscription{}
	for i := range subs {
		compiled[subs[i].Name] = &subs[i]
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.subs = snapshot.Subscriptions(&mesh.Config{Subscriptions: compiled})
	close(c.changed)
	c.changed = make(chan struct{})
}

// one is a intake.Brokers with one node.
type single struct{ node *queueing.Node }

func only(d queueing.Driver) single { return single{queueing.NewNode(d)} }

func (o single) Ready(context.Context, mesh.Name, string) error { return nil }

func (o single) PickConsumer(mesh.Name) (broker.Driver, error) { return o.node, nil }

func (o single) Changed() <-chan struct{} { return nil } // there is no other node

func newRig(t *testing.T, change func(*mesh.Subscription)) *rig {
	t.Helper()
	sub := subscription()
	if change != nil {
		change(&sub)
	}
	b := faulty.New(membroker.Options{})
	t.Cleanup(b.Close)
	node := b.Node(membroker.NodeOptions{})
	run(t, node.Run)
	r := &rig{t: t, broker: b, driver: node, brokers: only(node), config: &config{changed: make(chan struct{})}, tap: &tap.Bus{}}
	r.ensure(&sub)
	r.config.set(sub)
	r.service = deliver.New(deliver.Options{
		Namespace: "shop", Workload: "billing", Subscriptions: r.config, Brokers: r.brokers,
		Tracing: tracing.Disabled().Messaging(), Logger: slog.New(slog.DiscardHandler), Heartbeat: time.Second, Tap: r.tap,
		ShareEvery: 20 * time.Millisecond,
	})
	server := grpc.NewServer(door.Codec())
	eventsv1.RegisterEventServiceServer(server, door.New(nil, r.service, 0, nil))
	l := bufconn.Listen(1 << 20)
	run(t, func(context.Context) error { return server.Serve(l) })
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient("passthrough:///bufconn", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	r.client = eventsv1.NewEventServiceClient(conn)
	return r
}

// ensure declares what a subscription needs.
func (r *rig) ensure(sub *mesh.Subscription) {
	r.t.Helper()
	if err := r.brokers.node.Ensure(r.t.Context(), broker.Object{Subscription: sub, Policy: mesh.Manage}); err != nil {
		r.t.Fatal(err)
	}
}

func run(t *testing.T, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = f(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
}

func (r *rig) publish(ids ...string) {
	r.t.Helper()
	for _, id := range ids {
		r.put(&event.Event{ID: id, Source: "/shop", Type: "com.shop.order.placed", Data: []byte("order " + id)})
	}
}

func (r *rig) put(e *event.Event) {
	r.t.Helper()
	receipt, err := one.Publish(r.t.Context(), r.driver.Publish, queueing.Message{Exchange: "orders", RoutingKey: e.Type, Event: e, Mandatory: true, AppID: "checkout"})
	if err == nil {
		err = receipt.Wait(r.t.Context())
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// stream is a service's end of a Subscribe stream.
type stream struct {
	eventsv1.EventService_SubscribeClient
	t      *testing.T
	cancel context.CancelFunc
	ready  *eventsv1.SubscribeReady
	rest   []*eventsv1.Delivery // of the last message
}

// Recv returns a message for each delivery, however many the sidecar put into one.
func (s *stream) Recv() (*eventsv1.SubscribeResponse, error) {
	if len(s.rest) == 0 {
		res, err := s.EventService_SubscribeClient.Recv()
		if len(res.GetDeliveries().GetDeliveries()) < 2 {
			return res, err
		}
		s.rest = res.GetDeliveries().GetDeliveries()
	}
	d := s.rest[0]
	s.rest = s.rest[1:]
	return &eventsv1.SubscribeResponse{Response: &eventsv1.SubscribeResponse_Deliveries{
		Deliveries: &eventsv1.SubscribeDeliveries{Deliveries: []*eventsv1.Delivery{d}},
	}}, nil
}

func (r *rig) subscribe(init *eventsv1.SubscribeInit) *stream {
	r.t.Helper()
	if init.Subscription == "" {
		init.Subscription = "billing"
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), 30*time.Second)
	r.t.Cleanup(cancel)
	s, err := r.client.Subscribe(ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	out := &stream{EventService_SubscribeClient: s, t: r.t, cancel: cancel}
	out.say(&eventsv1.SubscribeRequest{Request: &eventsv1.SubscribeRequest_Init{Init: init}})
	out.ready = out.hear().GetReady()
	if out.ready == nil {
		r.t.Fatal("the first answer is not ready")
	}
	return out
}

func (s *stream) say(req *eventsv1.SubscribeRequest) {
	s.t.Helper()
	if err := s.Send(req); err != nil {
		s.t.Fatal(err)
	}
}

// hear returns the next message that is no heartbeat.
func (s *stream) hear() *eventsv1.SubscribeResponse {
	s.t.Helper()
	for {
		res, err := s.Recv()
		if err != nil {
			s.t.Fatal(err)
		}
		if res.GetHeartbeat() == nil {
			return res
		}
	}
}

func (s *stream) delivery() *eventsv1.Delivery {
	s.t.Helper()
	d := s.hear().GetDeliveries().GetDeliveries()
	if len(d) != 1 {
		s.t.Fatalf("%d deliveries in a message, want 1", len(d))
	}
	return d[0]
}

func (s *stream) credit(n uint32) {
	s.t.Helper()
	s.say(&eventsv1.SubscribeRequest{Request: &eventsv1.SubscribeRequest_Credit{Credit: &eventsv1.SubscribeCredit{Messages: n}}})
}

func (s *stream) settle(settlements ...*eventsv1.Settlement) {
	s.t.Helper()
	s.say(&eventsv1.SubscribeRequest{Request: &eventsv1.SubscribeRequest_Settle{Settle: &eventsv1.SubscribeSettle{Settlements: settlements}}})
}

func (s *stream) ack(d *eventsv1.Delivery) {
	s.t.Helper()
	s.settle(&eventsv1.Settlement{Token: d.GetToken(), Outcome: eventsv1.Outcome_OUTCOME_ACK})
}

// end waits for the stream's end and returns its error.
func (s *stream) end() error {
	for {
		if _, err := s.Recv(); err != nil {
			return err
		}
	}
}

// eventually waits for a condition of the broker that no message announces.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(20 * time.Second); !ok(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never happened: %s", what)
		}
	}
}

func (r *rig) empty(queue string) {
	r.t.Helper()
	eventually(r.t, queue+" is empty", func() bool {
		ready, unsettled := r.broker.Len(queue)
		return ready == 0 && unsettled == 0
	})
}

func TestReadySaysWhatIsInForce(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	s := r.subscribe(&eventsv1.SubscribeInit{MaxOutstandingMessages: 1000, AckDeadline: durationpb.New(5 * time.Second)})
	if got := s.ready; got.GetSubscription() != "shop/billing" || got.GetTopic() != "shop/orders" ||
		got.GetMaxOutstandingMessages() != 8 || got.GetAckDeadline().AsDuration() != 5*time.Second {
		t.Errorf("ready %v", got)
	}
}

func TestADeliveryCarriesTheEventAndAnAckRemovesIt(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.publish("1")
	s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 1})
	d := s.delivery()
	if d.GetEvent().GetId() != "1" || string(d.GetEvent().GetBinaryData()) != "order 1" || d.GetAttempt() != 1 ||
		d.GetRedelivered() || d.GetTopic() != "shop/orders" || d.GetToken() == "" {
		t.Errorf("delivery %v", d)
	}
	s.ack(d)
	r.empty("shop.billing")
}

func TestNothingIsDeliveredWithoutCredit(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.publish("1", "2", "3")
	s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 1})
	first := s.hear()
	if first.GetRemainingCredit() != 0 {
		t.Errorf("remaining credit %d, want 0", first.GetRemainingCredit())
	}
	// The heartbeat is the next thing to come, though two events are waiting.
	res, err := s.Recv()
	if err != nil || res.GetHeartbeat() == nil {
		t.Fatalf("without credit came %v, %v", res, err)
	}
	s.credit(2)
	if a, b := s.delivery(), s.delivery(); a.GetEvent().GetId() != "2" || b.GetEvent().GetId() != "3" {
		t.Errorf("delivered %s, %s; want 2, 3", a.GetEvent().GetId(), b.GetEvent().GetId())
	}
}

func TestUnsettledDeliveriesAreBounded(t *testing.T) {
	t.Parallel()
	t.Run("by count", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, nil)
		r.publish("1", "2", "3")
		s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 100, MaxOutstandingMessages: 2})
		first := s.delivery()
		s.delivery()
		if res, err := s.Recv(); err != nil || res.GetHeartbeat() == nil {
			t.Fatalf("beyond the bound came %v, %v", res, err)
		}
		s.ack(first)
		if d := s.delivery(); d.GetEvent().GetId() != "3" {
			t.Errorf("then came %s, want 3", d.GetEvent().GetId())
		}
	})
	t.Run("by bytes, but one always passes", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, nil)
		r.publish("1", "2")
		s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 100, MaxOutstandingBytes: 1})
		first := s.delivery()
		if res, err := s.Recv(); err != nil || res.GetHeartbeat() == nil {
			t.Fatalf("beyond the bound came %v, %v", res, err)
		}
		s.ack(first)
		s.delivery()
	})
}

func TestRetryDeliversAgainWithTheNextAttemptThenDeadLetters(t *testing.T) {
	t.Parallel()
	for _, strategy := range []mesh.RetryStrategy{mesh.DelayQueues, mesh.BrokerDelay} {
		t.Run(strategy.String(), func(t *testing.T) {
			t.Parallel()
			retriedThenDeadLettered(t, strategy)
		})
	}
}

func retriedThenDeadLettered(t *testing.T, strategy mesh.RetryStrategy) {
	r := newRig(t, func(s *mesh.Subscription) {
		s.Strategy, s.Backoff = strategy, mesh.Backoff{Base: time.Millisecond, Max: 2 * time.Millisecond}
	})
	r.publish("1")
	s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 10})
	var second time.Time
	for attempt := uint32(1); attempt <= 3; attempt++ {
		d := s.delivery()
		if d.GetAttempt() != attempt || d.GetRedelivered() != (attempt > 1) {
			t.Errorf("attempt %d, redelivered %v; want attempt %d", d.GetAttempt(), d.GetRedelivered(), attempt)
		}
		if attempt == 2 {
			second = time.Now()
		}
		s.settle(&eventsv1.Settlement{Token: d.GetToken(), Outcome: eventsv1.Outcome_OUTCOME_RETRY, Reason: "database is away"})
	}
	letter := r.letter()
	if dl := letter.DeadLetter; dl.Reason != "attempts-exhausted" || dl.Detail != "database is away" || dl.Attempts != 3 ||
		dl.Origin.Name != "orders" || dl.Origin.Key != "com.shop.order.placed" || dl.Subscription != "shop/billing" {
		t.Errorf("dead letter %+v", dl)
	}
	if dl := letter.DeadLetter; !dl.FirstFailure.Before(second) || dl.Time.Before(second) {
		t.Errorf("failed first at %v and last at %v, the second attempt began at %v", dl.FirstFailure, dl.Time, second)
	}
	if letter.Event.ID != "1" || letter.AppID != "checkout" {
		t.Errorf("dead letter of event %q by %q", letter.Event.ID, letter.AppID)
	}
	r.empty("shop.billing")
}

// An attempt that ended with the stream is counted here, one that failed by the
// broker, and neither twice.
func TestAttemptsAreCountedThoughTheBrokerMakesThemWait(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(s *mesh.Subscription) {
		s.Strategy, s.Backoff, s.Attempts = mesh.BrokerDelay, mesh.Backoff{Base: time.Millisecond, Max: time.Millisecond}, 4
	})
	r.publish("1")
	var s *stream
	for attempt := uint32(1); attempt <= 4; attempt++ {
		if s == nil {
			s = r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 10})
		}
		d := s.delivery()
		if d.GetAttempt() != attempt {
			t.Errorf("attempt %d, want %d", d.GetAttempt(), attempt)
		}
		if attempt%2 == 0 {
			s.settle(&eventsv1.Settlement{Token: d.GetToken(), Outcome: eventsv1.Outcome_OUTCOME_RETRY})
			continue
		}
		s.cancel()
		_ = s.end()
		s = nil
	}
	if dl := r.letter().DeadLetter; dl.Attempts != 4 {
		t.Errorf("dead letter after %d attempts, want 4", dl.Attempts)
	}
}

// letter waits for one dead letter.
func (r *rig) letter() *queueing.Message {
	r.t.Helper()
	var letters []*queueing.Message
	eventually(r.t, "a dead letter", func() bool {
		letters = r.broker.Peek("shop.billing.dead", 2)
		return len(letters) > 0
	})
	if len(letters) != 1 || letters[0].DeadLetter == nil {
		r.t.Fatalf("%d dead letters, the first %+v", len(letters), letters[0])
	}
	return letters[0]
}

func TestDeadLetterOutcomeGoesThereAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.publish("1")
	s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 10})
	s.settle(&eventsv1.Settlement{Token: s.delivery().GetToken(), Outcome: eventsv1.Outcome_OUTCOME_DEAD_LETTER, Reason: "no such customer"})
	if dl := r.letter().DeadLetter; dl.Reason != "rejected" || dl.Detail != "no such customer" || dl.Attempts != 1 {
		t.Errorf("dead letter %+v", dl)
	}
	r.empty("shop.billing")
}

func TestADeadLetterIsConfirmedBeforeTheOriginalIsAcked(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.publish("1")
	s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 10})
	d := s.delivery()
	release := r.broker.HoldConfirms()
	s.settle(&eventsv1.Settlement{Token: d.GetToken(), Outcome: eventsv1.Outcome_OUTCOME_DEAD_LETTER})
	eventually(t, "the letter is written", func() bool { return len(r.broker.Peek("shop.billing.dead", 1)) == 1 })
	if _, unsettled := r.broker.Len("shop.billing"); unsettled != 1 {
		t.Errorf("%d unsettled originals while the letter is unconfirmed, want 1", unsettled)
	}
	release()
	r.empty("shop.billing")
}

func TestAPassedAckDeadlineCountsAsAFailedAttempt(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(s *mesh.Subscription) { s.Attempts = 2 })
	r.publish("1")
	s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 10, AckDeadline: durationpb.New(20 * time.Millisecond)})
	first, second := s.delivery(), s.delivery()
	if first.GetAttempt() != 1 || second.GetAttempt() != 2 {
		t.Errorf("attempts %d, %d; want 1, 2", first.GetAttempt(), second.GetAttempt())
	}
	if dl := r.letter().DeadLetter; dl.Reason != "ack-deadline" {
		t.Errorf("dead letter %+v", dl)
	}
	s.ack(first)
	if res := s.hear().GetSettled().GetResults(); len(res) != 1 || res[0].GetToken() != first.GetToken() || res[0].GetStatus() == nil {
		t.Errorf("a late ack was answered with %v", res)
	}
}

func TestExtendMovesTheAckDeadline(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.publish("1", "2")
	s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 2, AckDeadline: durationpb.New(300 * time.Millisecond), SettleResults: true})
	extended, left := s.delivery(), s.delivery()
	s.say(&eventsv1.SubscribeRequest{Request: &eventsv1.SubscribeRequest_Extend{Extend: &eventsv1.SubscribeExtend{
		Tokens: []string{extended.GetToken(), "nonsense"}, AckDeadline: durationpb.New(time.Minute),
	}}})
	res := s.hear().GetSettled().GetResults()
	if len(res) != 2 || res[0].GetStatus() != nil || res[1].GetStatus() == nil {
		t.Fatalf("extend answered %v", res)
	}
	s.credit(1)
	if again := s.delivery(); again.GetEvent().GetId() != left.GetEvent().GetId() {
		t.Errorf("event %s came again, want %s, whose deadline was not moved", again.GetEvent().GetId(), left.GetEvent().GetId())
	}
	s.ack(extended)
	if res := s.hear().GetSettled().GetResults(); len(res) != 1 || res[0].GetStatus() != nil {
		t.Errorf("ack within the extended deadline answered %v", res)
	}
}

func TestSettlementsThatMeanNothingAreAnsweredAndTheStreamStaysUp(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.publish("1")
	s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 1})
	d := s.delivery()
	s.settle(
		&eventsv1.Settlement{Token: "nonsense", Outcome: eventsv1.Outcome_OUTCOME_ACK},
		&eventsv1.Settlement{Token: d.GetToken()},
	)
	res := s.hear().GetSettled().GetResults()
	if len(res) != 2 || res[0].GetStatus().GetCode() == 0 || res[1].GetStatus().GetCode() == 0 {
		t.Fatalf("answered %v", res)
	}
	s.ack(d)
	r.empty("shop.billing")
}

func TestFiltersHideEventsAndFollowTheConfiguration(t *testing.T) {
	t.Parallel()
	wants := func(source string) []mesh.Filter {
		return []mesh.Filter{{Op: mesh.Exact, Attr: "source", Value: source}}
	}
	r := newRig(t, func(s *mesh.Subscription) { s.Filters = wants("/eu") })
	put := func(id, source string) {
		r.put(&event.Event{ID: id, Source: source, Type: "com.shop.order.placed"})
	}
	put("1", "/us")
	put("2", "/eu")
	s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 10})
	if d := s.delivery(); d.GetEvent().GetId() != "2" {
		t.Errorf("delivered %s, want 2", d.GetEvent().GetId())
	}
	changed := subscription()
	changed.Filters = wants("/us")
	r.config.set(changed)
	// Events from before the change may still be hidden, so they keep coming until
	// one arrives.
	arrived, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for tick := time.NewTicker(5 * time.Millisecond); ; {
			select {
			case <-tick.C:
				put("3", "/us")
			case <-arrived:
				tick.Stop()
				return
			}
		}
	}()
	defer func() { close(arrived); <-stopped }()
	if d := s.delivery(); d.GetEvent().GetSource() != "/us" {
		t.Errorf("delivered an event from %s, want /us", d.GetEvent().GetSource())
	}
}

// TestADeliveryMeetsOneConfiguration has the dead-letter queue changed while the service
// has an event in its hands: that one goes where the configuration said by which it was
// handed out, and those that come afterwards go to the other.
func TestADeliveryMeetsOneConfiguration(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	changed := subscription()
	changed.DeadLetterQueue = "shop.billing.other"
	other := queueing.Topology{Policy: mesh.Manage, Queues: []queueing.Queue{{Name: changed.DeadLetterQueue}}}
	if err := r.driver.EnsureTopology(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 1000})
	r.publish("before")
	before := s.delivery()
	r.config.set(changed)
	bury := func(d *eventsv1.Delivery) {
		s.settle(&eventsv1.Settlement{Token: d.GetToken(), Outcome: eventsv1.Outcome_OUTCOME_DEAD_LETTER})
	}
	for n := 1; len(r.broker.Peek("shop.billing.other", 1)) == 0; n++ {
		r.publish(fmt.Sprint("after", n))
		bury(s.delivery())
		eventually(t, "its letter is written", func() bool {
			return len(r.broker.Peek("shop.billing.dead", n))+len(r.broker.Peek("shop.billing.other", n)) == n
		})
	}
	bury(before)
	r.empty("shop.billing")
	for queue, want := range map[string]bool{"shop.billing.dead": true, "shop.billing.other": false} {
		letters := r.broker.Peek(queue, 1000)
		if slices.ContainsFunc(letters, func(m *queueing.Message) bool { return m.Event.ID == "before" }) != want {
			t.Errorf("%s has the event that was handed out before the change: %v, want %v", queue, !want, want)
		}
	}
}

func TestTheStreamEndsWhenItsSubscription(t *testing.T) {
	t.Parallel()
	t.Run("is deleted", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, nil)
		s := r.subscribe(&eventsv1.SubscribeInit{})
		r.config.set()
		if err := s.end(); rpcerr.Reason(err) != refusal.SubscriptionUnknown {
			t.Errorf("ended with %v", err)
		}
	})
	t.Run("moves to another queue", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, nil)
		s := r.subscribe(&eventsv1.SubscribeInit{})
		moved := subscription()
		moved.Queue.Name = "elsewhere"
		r.config.set(moved)
		if err := s.end(); rpcerr.Reason(err) != refusal.SubscriptionChanged {
			t.Errorf("ended with %v", err)
		}
	})
	t.Run("never existed", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, nil)
		s, err := r.client.Subscribe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Send(&eventsv1.SubscribeRequest{Request: &eventsv1.SubscribeRequest_Init{Init: &eventsv1.SubscribeInit{Subscription: "other"}}}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Recv(); rpcerr.Reason(err) != refusal.SubscriptionUnknown {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestWhatIsUnsettledGoesBackInOrderWhenTheStreamEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.publish("1", "2", "3")
	s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 2})
	s.delivery()
	s.delivery()
	s.cancel()
	eventually(t, "all are ready again", func() bool {
		ready, unsettled := r.broker.Len("shop.billing")
		return ready == 3 && unsettled == 0
	})
	again := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 3})
	for i, want := range []string{"1", "2", "3"} {
		d := again.delivery()
		if d.GetEvent().GetId() != want {
			t.Errorf("delivery %d is event %s, want %s", i, d.GetEvent().GetId(), want)
		}
		if want != "3" && (!d.GetRedelivered() || d.GetAttempt() != 2) {
			t.Errorf("event %s: redelivered %v, attempt %d; want true, 2", want, d.GetRedelivered(), d.GetAttempt())
		}
	}
}

func TestAnEventThatCrashesItsServiceIsDeadLettered(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.publish("poison")
	for range 3 {
		s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 1})
		s.delivery()
		s.cancel() // the service dies with the event in its hands
		_ = s.end()
	}
	r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 1})
	if dl := r.letter().DeadLetter; dl.Reason != "attempts-exhausted" || dl.Attempts != 3 {
		t.Errorf("dead letter %+v", dl)
	}
}

func TestALostConnectionMakesOldTokensInvalidAndLosesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.publish("1", "2")
	s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 10})
	first := s.delivery()
	s.delivery()
	r.broker.Interrupt()
	again := s.delivery()
	if again.GetEvent().GetId() != "1" || !again.GetRedelivered() || again.GetToken() == first.GetToken() {
		t.Errorf("after the cut came %v", again)
	}
	second := s.delivery()
	s.ack(first)
	if res := s.hear().GetSettled().GetResults(); len(res) != 1 || res[0].GetStatus() == nil {
		t.Errorf("an ack with an old token was answered with %v", res)
	}
	if r.service.StaleSettlements() == 0 {
		t.Error("the stale settlement was not counted")
	}
	s.ack(again)
	s.ack(second)
	r.empty("shop.billing")
}

func TestAMessageThatIsNoEventIsDeadLetteredWithItsBytes(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	inner := r.driver
	service := deliver.New(deliver.Options{
		Namespace: "shop", Subscriptions: r.config, Brokers: only(malformer{inner}), Tracing: tracing.Disabled().Messaging(), Logger: slog.New(slog.DiscardHandler),
	})
	r.publish("1")
	serve(t, service, func(c eventsv1.EventServiceClient) {
		other := &rig{t: t, client: c}
		other.subscribe(&eventsv1.SubscribeInit{InitialCredit: 1})
		letter := r.letter()
		if letter.DeadLetter.Reason != "invalid-event" || letter.DeadLetter.Detail != "no id" || string(letter.Event.Data) != "order 1" {
			t.Errorf("dead letter %+v with data %q", letter.DeadLetter, letter.Event.Data)
		}
	})
}

// malformer makes every delivery one that cannot be decoded.
type malformer struct{ queueing.Driver }

func (m malformer) Consume(ctx context.Context, opts queueing.ConsumeOptions, sink func([]*queueing.Delivery)) (func(), error) {
	return m.Driver.Consume(ctx, opts, func(batch []*queueing.Delivery) {
		for i, d := range batch {
			broken := *d
			broken.Raw, broken.Event, broken.Malformed = d.Event.Data, nil, fmt.Errorf("no id")
			batch[i] = &broken
		}
		sink(batch)
	})
}

func serve(t *testing.T, service *deliver.Service, use func(eventsv1.EventServiceClient)) {
	t.Helper()
	server := grpc.NewServer(door.Codec())
	eventsv1.RegisterEventServiceServer(server, door.New(nil, service, 0, nil))
	l := bufconn.Listen(1 << 20)
	run(t, func(context.Context) error { return server.Serve(l) })
	defer server.Stop()
	conn, err := grpc.NewClient("passthrough:///bufconn", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	use(eventsv1.NewEventServiceClient(conn))
}

func TestDrain(t *testing.T) {
	t.Parallel()
	t.Run("lets the service settle what it holds", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, nil)
		r.publish("1", "2")
		s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 1})
		d := s.delivery()
		drained := make(chan struct{})
		go func() { r.service.Drain(context.Background()); close(drained) }()
		s.ack(d)
		if err := s.end(); rpcerr.Reason(err) != refusal.Draining {
			t.Errorf("stream ended with %v", err)
		}
		<-drained
		if ready, unsettled := r.broker.Len("shop.billing"); ready != 1 || unsettled != 0 {
			t.Errorf("left %d ready and %d unsettled, want 1 and 0", ready, unsettled)
		}
	})
	t.Run("is bounded, and gives back what is held too long", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, nil)
		r.publish("1")
		s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 1})
		s.delivery()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		r.service.Drain(ctx)
		if ready, _ := r.broker.Len("shop.billing"); ready != 1 {
			t.Errorf("%d ready, want the event back", ready)
		}
		if err := s.end(); rpcerr.Reason(err) != refusal.Draining {
			t.Errorf("stream ended with %v", err)
		}
	})
	t.Run("refuses new streams", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, nil)
		r.service.Drain(t.Context())
		s, err := r.client.Subscribe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_ = s.Send(&eventsv1.SubscribeRequest{Request: &eventsv1.SubscribeRequest_Init{Init: &eventsv1.SubscribeInit{Subscription: "billing"}}})
		if _, err := s.Recv(); rpcerr.Reason(err) != refusal.Draining {
			t.Errorf("refused with %v", err)
		}
	})
}

func TestAHalfCloseEndsTheStreamAfterWhatWasSaid(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.publish("1")
	s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 1})
	s.ack(s.delivery())
	if err := s.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if err := s.end(); !errors.Is(err, io.EOF) {
		t.Errorf("stream ended with %v, want EOF", err)
	}
	r.empty("shop.billing")
}

func TestProtocolErrorsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	s, err := r.client.Subscribe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(&eventsv1.SubscribeRequest{Request: &eventsv1.SubscribeRequest_Credit{Credit: &eventsv1.SubscribeCredit{Messages: 1}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); rpcerr.Reason(err) != refusal.InvalidRequest {
		t.Errorf("credit before init: %v", status.Convert(err).Message())
	}
}

func TestWhatWasOnlyPrefetchedSpendsNoAttempt(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.publish("poison", "neighbour")
	for range 3 {
		s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 1})
		if d := s.delivery(); d.GetEvent().GetId() != "poison" {
			t.Fatalf("delivered %s first", d.GetEvent().GetId())
		}
		s.cancel() // the service dies with one event in its hands and one behind it
		eventually(t, "both are back", func() bool {
			ready, unsettled := r.broker.Len("shop.billing")
			return ready == 2 && unsettled == 0
		})
	}
	s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 1})
	d := s.delivery()
	if d.GetEvent().GetId() != "neighbour" || d.GetAttempt() != 1 || !d.GetRedelivered() {
		t.Errorf("then came %v; want the neighbour's first attempt, flagged as redelivered", d)
	}
	if dl := r.letter().DeadLetter; dl.Reason != "attempts-exhausted" {
		t.Errorf("dead letter %+v", dl)
	}
}

func TestAStreamTheSidecarEndsSpendsNoAttempt(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.publish("1")
	s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 1})
	s.delivery()
	moved := subscription()
	moved.Queue.Prefetch = 4
	r.config.set(moved)
	_ = s.end()
	if d := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 1}).delivery(); d.GetAttempt() != 1 || !d.GetRedelivered() {
		t.Errorf("delivery %v; want a first attempt, flagged as redelivered", d)
	}
}

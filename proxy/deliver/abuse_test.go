package deliver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/internal/bell"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/membroker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/deliver"
	"github.com/warrenmesh/warren/proxy/deliver/push"
	"github.com/warrenmesh/warren/proxy/deliver/session"
	door "github.com/warrenmesh/warren/proxy/door/grpc"
	"github.com/warrenmesh/warren/proxy/door/rpcerr"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/refusal"
	"github.com/warrenmesh/warren/proxy/snapshot"
	"github.com/warrenmesh/warren/tracing"
)

// backlog publishes events that do not fit the stream's window together, so that
// sending them blocks while the client does not read.
func (r *rig) backlog(n int) {
	r.t.Helper()
	for i := range n {
		r.put(&event.Event{ID: fmt.Sprint(i), Source: "/shop", Type: "com.shop.order.placed", Data: make([]byte, 100<<10)})
	}
}

func within(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatalf("%s did not return", what)
	}
}

func TestAClientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	t.Run("does not keep ack deadlines from passing", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, func(s *mesh.Subscription) { s.Attempts = 1 })
		r.backlog(8)
		r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 8, AckDeadline: durationpb.New(50 * time.Millisecond)})
		eventually(t, "all are dead-lettered", func() bool { return len(r.broker.Peek("shop.billing.dead", 10)) == 8 })
	})
	t.Run("does not hold up a drain", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, nil)
		r.backlog(8)
		r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 8})
		eventually(t, "all are handed out", func() bool { _, unsettled := r.broker.Len("shop.billing"); return unsettled == 8 })
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		within(t, "Drain", func() { r.service.Drain(ctx) })
		if ready, unsettled := r.broker.Len("shop.billing"); ready != 8 || unsettled != 0 {
			t.Errorf("%d ready, %d unsettled; want everything back", ready, unsettled)
		}
	})
	t.Run("gets everything once it reads", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, func(s *mesh.Subscription) { s.Queue.Prefetch = 64 })
		r.backlog(40) // more than window and outbox hold
		s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 64})
		for i := range 40 {
			d := s.delivery()
			if want := fmt.Sprint(i); d.GetEvent().GetId() != want || d.GetAttempt() != 1 {
				t.Fatalf("delivered %s, attempt %d; want %s, the first", d.GetEvent().GetId(), d.GetAttempt(), want)
			}
			s.ack(d)
		}
		r.empty("shop.billing")
	})
}

func TestAStreamThatSaysNothingDoesNotHoldUpADrain(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	s, err := r.client.Subscribe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(&eventsv1.SubscribeRequest{}); err != nil { // so that the sidecar has seen the stream when it is refused
		t.Fatal(err)
	}
	if _, err := s.Recv(); rpcerr.Reason(err) != refusal.InvalidRequest {
		t.Fatal(err)
	}
	silent, err := r.client.Subscribe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	within(t, "Drain", func() { r.service.Drain(context.Background()) })
	within(t, "the stream", func() {
		if _, err := silent.Recv(); rpcerr.Reason(err) != refusal.Draining {
			t.Errorf("ended with %v", err)
		}
	})
}

func reasonOf(t *testing.T, r *eventsv1.SettleResult) string {
	t.Helper()
	for _, detail := range r.GetStatus().GetDetails() {
		var info errdetails.ErrorInfo
		if detail.UnmarshalTo(&info) == nil {
			return info.GetReason()
		}
	}
	return ""
}

func TestADeadLetterIsAnsweredOnlyWhenItIsDurable(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.publish("1")
	s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 1, SettleResults: true})
	d := s.delivery()
	release := r.broker.HoldConfirms()
	s.settle(&eventsv1.Settlement{Token: d.GetToken(), Outcome: eventsv1.Outcome_OUTCOME_DEAD_LETTER})
	eventually(t, "the letter is written", func() bool { return len(r.broker.Peek("shop.billing.dead", 1)) == 1 })
	s.ack(&eventsv1.Delivery{Token: "nonsense"})
	if res := s.hear().GetSettled().GetResults(); len(res) != 1 || res[0].GetToken() != "nonsense" {
		t.Fatalf("while the letter is unconfirmed came %v", res)
	}
	release()
	if res := s.hear().GetSettled().GetResults(); len(res) != 1 || res[0].GetToken() != d.GetToken() || res[0].GetStatus() != nil {
		t.Errorf("then came %v", res)
	}
}

func TestAnOutcomeThatCannotBeCarriedOutIsAnsweredAndTheEventComesAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.publish("1")
	s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 2})
	d := s.delivery()
	end := r.broker.Alarm()
	s.settle(&eventsv1.Settlement{Token: d.GetToken(), Outcome: eventsv1.Outcome_OUTCOME_DEAD_LETTER})
	// The answer and the next delivery come from two goroutines, in either order.
	var again *eventsv1.Delivery
	answered := ""
	for again == nil || answered == "" {
		res := s.hear()
		for _, r := range res.GetSettled().GetResults() {
			answered = reasonOf(t, r)
		}
		for _, d := range res.GetDeliveries().GetDeliveries() {
			again = d
		}
	}
	if answered != refusal.BrokerBlocked {
		t.Errorf("answered with reason %q, want %q", answered, refusal.BrokerBlocked)
	}
	end()
	if again.GetEvent().GetId() != "1" || !again.GetRedelivered() {
		t.Errorf("then came %v", again)
	}
	s.settle(&eventsv1.Settlement{Token: again.GetToken(), Outcome: eventsv1.Outcome_OUTCOME_DEAD_LETTER})
	r.letter()
	r.empty("shop.billing")
}

// unwilling takes no publishes and notes when it was asked.
type unwilling struct {
	malformer
	mu    sync.Mutex
	asked []time.Time // guarded by mu
}

func (u *unwilling) Publish(_ context.Context, batch []queueing.Message, told broker.Told) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.asked = append(u.asked, time.Now())
	told(0, len(batch), &broker.Error{Kind: broker.Blocked, Op: "publish"})
}

func TestWhatCannotBeSettledRestsBeforeItComesAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.publish("1")
	driver := &unwilling{malformer: malformer{r.driver}}
	r.serving(driver, func(*stream) {
		asked := func() []time.Time {
			driver.mu.Lock()
			defer driver.mu.Unlock()
			return driver.asked
		}
		eventually(t, "two tries", func() bool { return len(asked()) >= 2 })
		if got := asked(); got[1].Sub(got[0]) < 900*time.Millisecond {
			t.Errorf("tried again after %v, want a rest of a second", got[1].Sub(got[0]))
		}
	})
	if ready, _ := r.broker.Len("shop.billing"); ready != 1 {
		t.Errorf("%d ready, want the event back", ready)
	}
}

// serving subscribes to a service of its own on another driver.
func (r *rig) serving(d queueing.Driver, use func(*stream)) {
	r.t.Helper()
	service := deliver.New(deliver.Options{
		Namespace: "shop", Subscriptions: r.config, Brokers: only(d), Tracing: tracing.Disabled().Messaging(), Logger: slog.New(slog.DiscardHandler),
	})
	serve(r.t, service, func(c eventsv1.EventServiceClient) {
		other := &rig{t: r.t, client: c}
		s := other.subscribe(&eventsv1.SubscribeInit{InitialCredit: 10})
		use(s)
		s.cancel()
		within(r.t, "Drain", func() { service.Drain(context.Background()) })
	})
}

// refuser has a queue that cannot be consumed.
type refuser struct {
	queueing.Driver
	kind broker.Kind
}

func (f refuser) Consume(context.Context, queueing.ConsumeOptions, func([]*queueing.Delivery)) (func(), error) {
	return func() {}, &broker.Error{Kind: f.kind, Op: `consume from queue "shop.billing"`}
}

func TestAQueueThatCannotBeConsumedEndsTheStreamWithTheReason(t *testing.T) {
	t.Parallel()
	for kind, want := range map[broker.Kind]struct {
		code   codes.Code
		reason string
	}{
		broker.NotFound:    {codes.NotFound, refusal.ExchangeNotFound},
		broker.Conflict:    {codes.FailedPrecondition, refusal.TopologyConflict},
		broker.Refused:     {codes.PermissionDenied, refusal.AccessRefused},
		broker.Unavailable: {codes.Unavailable, refusal.BrokerUnavailable},
	} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil)
			r.serving(refuser{r.driver, kind}, func(s *stream) {
				if err := s.end(); status.Code(err) != want.code || rpcerr.Reason(err) != want.reason {
					t.Errorf("ended with %v", err)
				}
			})
		})
	}
}

func TestAnAckOnALostConnectionIsAnsweredAsInvalid(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.publish("1")
	s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 1})
	d := s.delivery()
	r.broker.Interrupt()
	s.ack(d)
	res := s.hear().GetSettled().GetResults()
	if len(res) != 1 || reasonOf(t, res[0]) != refusal.AckIDInvalid {
		t.Fatalf("answered with %v", res)
	}
	s.credit(1)
	if again := s.delivery(); again.GetEvent().GetId() != "1" || again.GetAttempt() != 1 {
		t.Errorf("then came %v", again)
	}
}

func TestAFloodOfTokensIsAnsweredInPiecesAndHasABound(t *testing.T) {
	t.Parallel()
	nonsense := func(n int) []*eventsv1.Settlement {
		out := make([]*eventsv1.Settlement, n)
		for i := range out {
			out[i] = &eventsv1.Settlement{Token: "nonsense", Outcome: eventsv1.Outcome_OUTCOME_ACK}
		}
		return out
	}
	t.Run("in pieces", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, nil)
		s := r.subscribe(&eventsv1.SubscribeInit{})
		s.settle(nonsense(3000)...)
		for left := 3000; left > 0; {
			n := len(s.hear().GetSettled().GetResults())
			if n == 0 || n > 1024 {
				t.Fatalf("%d results in a message", n)
			}
			left -= n
		}
	})
	t.Run("up to a bound", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, nil)
		s := r.subscribe(&eventsv1.SubscribeInit{})
		s.settle(nonsense(1<<16 + 1)...)
		if err := s.end(); rpcerr.Reason(err) != refusal.InvalidRequest {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestAHalfCloseEndsTheStreamAfterItsAnswers(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.publish("1")
	s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 1, SettleResults: true})
	d := s.delivery()
	s.settle(&eventsv1.Settlement{Token: d.GetToken(), Outcome: eventsv1.Outcome_OUTCOME_DEAD_LETTER})
	if err := s.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if res := s.hear().GetSettled().GetResults(); len(res) != 1 || res[0].GetStatus() != nil {
		t.Errorf("answered with %v", res)
	}
	if err := s.end(); !errors.Is(err, io.EOF) {
		t.Errorf("ended with %v", err)
	}
}

func TestRequestsThatMakeNoSenseEndTheStream(t *testing.T) {
	t.Parallel()
	for name, req := range map[string]*eventsv1.SubscribeRequest{
		"init twice":        {Request: &eventsv1.SubscribeRequest_Init{Init: &eventsv1.SubscribeInit{Subscription: "billing"}}},
		"an empty request":  {},
		"a negative extend": {Request: &eventsv1.SubscribeRequest_Extend{Extend: &eventsv1.SubscribeExtend{AckDeadline: durationpb.New(-time.Second)}}},
		"a long extend":     {Request: &eventsv1.SubscribeRequest_Extend{Extend: &eventsv1.SubscribeExtend{AckDeadline: durationpb.New(time.Hour)}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil)
			s := r.subscribe(&eventsv1.SubscribeInit{})
			s.say(req)
			if err := s.end(); rpcerr.Reason(err) != refusal.InvalidRequest {
				t.Errorf("ended with %v", err)
			}
		})
	}
}

func TestCreditDoesNotOverflow(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 1<<32 - 1})
	s.credit(1<<32 - 1)
	r.publish("1")
	if res := s.hear(); res.GetRemainingCredit() < 1<<29 {
		t.Errorf("credit of %d is left", res.GetRemainingCredit())
	}
}

// either is a intake.Brokers with two nodes that prefers the first that is up.
type either struct {
	nodes  [2]*queueing.Node
	states *bell.Bell
}

func (e either) Ready(context.Context, mesh.Name, string) error { return nil }

func (e either) PickConsumer(mesh.Name) (broker.Driver, error) {
	if e.nodes[0].State().Consuming {
		return e.nodes[0], nil
	}
	return e.nodes[1], nil
}

func (e either) Changed() <-chan struct{} { return e.states.Rung() }

func TestPushLeavesANodeThatIsGone(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	var states bell.Bell
	first := r.broker.Node(membroker.NodeOptions{OnState: states.Ring})
	ctx, kill := context.WithCancel(t.Context())
	defer kill()
	run(t, func(context.Context) error { return first.Run(ctx) })
	eventually(t, "the first node is up", func() bool { return first.State().Consuming })
	service := deliver.New(deliver.Options{
		Namespace: "shop", Subscriptions: r.config, Brokers: either{[2]*queueing.Node{queueing.NewNode(first), queueing.NewNode(r.driver)}, &states}, Tracing: tracing.Disabled().Messaging(), Logger: slog.New(slog.DiscardHandler),
	})
	l, port := listenLoopback(t, "127.0.0.1:0")
	calls := make(chan string, 2)
	serviceOf(t, l, calls)
	sub := subscription()
	sub.PushPort = port
	p := deliver.NewPusher(service, push.Options{Dial: door.Push(door.PushOptions{})})
	t.Cleanup(func() { p.Stop(context.Background()) })
	p.Apply(snapshot.Subscriptions(&mesh.Config{Subscriptions: map[mesh.Name]*mesh.Subscription{sub.Name: &sub}}))
	r.publish("1")
	<-calls
	r.empty("shop.billing")
	kill()
	r.publish("2")
	within(t, "the push by the other node", func() {
		if id := <-calls; id != "2" {
			t.Errorf("pushed %s, want 2", id)
		}
	})
	r.empty("shop.billing")
}

// told is a client that only listens.
type told struct {
	acking
	ready chan struct{}
}

func (c *told) Send(r session.Response) error {
	if r.Ready != nil {
		close(c.ready)
	}
	return nil
}

func TestAStreamThatIsSilentLeavesANodeThatIsGone(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	var states bell.Bell
	first := r.broker.Node(membroker.NodeOptions{OnState: states.Ring})
	ctx, kill := context.WithCancel(t.Context())
	defer kill()
	run(t, func(context.Context) error { return first.Run(ctx) })
	eventually(t, "the first node is up", func() bool { return first.State().Consuming })
	service := deliver.New(deliver.Options{
		Namespace: "shop", Subscriptions: r.config, Brokers: either{[2]*queueing.Node{queueing.NewNode(first), queueing.NewNode(r.driver)}, &states}, Tracing: tracing.Disabled().Messaging(), Logger: slog.New(slog.DiscardHandler),
	})
	says := make(chan session.Request, 1)
	says <- session.Init{Subscription: "billing", Credit: 1}
	client := &told{acking: acking{ctx: t.Context(), says: says}, ready: make(chan struct{})}
	go func() { <-client.ready; kill() }()
	if err := service.Subscribe(client); refusal.Reason(err) != refusal.ConnectionLost {
		t.Errorf("the stream ended with %v", err)
	}
}

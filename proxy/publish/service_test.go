package publish_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/membroker"
	"github.com/warrenmesh/warren/proxy/broker/membroker/faulty"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	door "github.com/warrenmesh/warren/proxy/door/grpc"
	"github.com/warrenmesh/warren/proxy/door/rpcerr"
	"github.com/warrenmesh/warren/proxy/pool"
	"github.com/warrenmesh/warren/proxy/publish"
	"github.com/warrenmesh/warren/proxy/refusal"
	"github.com/warrenmesh/warren/proxy/route"
	"github.com/warrenmesh/warren/proxy/tap"
	"github.com/warrenmesh/warren/tracing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	orders = mesh.Name{Namespace: "shop", Name: "orders"}
	main   = mesh.Name{Namespace: "shop", Name: "main"}
)

// rig is a service on one membroker node, with one topic "orders" whose
// events go to queue "q".
type rig struct {
	*service
	broker *faulty.Broker
	driver *queueing.Node
	topics topics
	tap    *tap.Bus
}

type topics map[mesh.Name]*route.Topic

func (ts topics) Lookup(name mesh.Name) (*route.Topic, bool) {
	t, ok := ts[name]
	return t, ok
}

func (ts topics) Await(_ context.Context, name mesh.Name) (*route.Topic, error) {
	if t, ok := ts[name]; ok {
		return t, nil
	}
	return nil, refusal.Missing(refusal.TopicNotFound, "EventTopic", name.String(), "not declared")
}

// one is a passage.Brokers with one node.
type one struct{ broker.Driver }

// service is a publish.Service as gRPC clients see it.
type service struct {
	*door.Door
	room *publish.Service
}

func enter(o publish.Options) *service {
	room := publish.New(o)
	return &service{door.New(room, nil, 0, nil), room}
}

func (s *service) Drain() { s.room.Drain() }

func (o one) Claim(context.Context, mesh.Name, string, []pool.Node) (pool.Node, error) {
	return node(o), nil
}

// node is a pool.Node that nobody asks how it went.
type node struct{ broker.Driver }

func (n node) Address() string { return n.State().Address }

func (n node) Answered(error) {}

func destination() mesh.Destination {
	return mesh.Destination{
		Topic: orders, Broker: main, Exchange: mesh.Exchange{Name: "orders", Type: "topic"}, RoutingKey: "{type}",
		Mandatory: true, Persistent: true, ConfirmTimeout: 5 * time.Second, MaxEventBytes: 1000,
	}
}

func newRig(t *testing.T, change func(*mesh.Rule)) *rig {
	t.Helper()
	return newRigOf(t, 10, change)
}

// newRigOf is newRig with a queue for so many messages.
func newRigOf(t *testing.T, length int, change func(*mesh.Rule)) *rig {
	t.Helper()
	b := faulty.New(membroker.Options{MaxQueueLength: length})
	t.Cleanup(b.Close)
	node := b.Node(membroker.NodeOptions{})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- node.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	err := node.EnsureTopology(ctx, queueing.Topology{
		Policy:    mesh.Manage,
		Exchanges: []mesh.Exchange{{Name: "orders", Type: "topic"}},
		Queues:    []queueing.Queue{{Name: "q"}},
		Bindings:  []queueing.Binding{{Exchange: "orders", Queue: "q", Key: "com.shop.#"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	rule := mesh.Rule{
		Name:     "canary/all",
		Backends: []mesh.Backend{{Destination: destination(), Weight: 1}},
		Retry: mesh.Retry{
			Attempts: 3, Backoff: mesh.Backoff{Base: time.Millisecond, Max: 2 * time.Millisecond},
			On: []mesh.RetryOn{mesh.OnNack, mesh.OnConfirmTimeout, mesh.OnConnectFailure, mesh.OnChannelClosed},
		},
	}
	if change != nil {
		change(&rule)
	}
	table := route.Compile(&mesh.Config{Topics: map[mesh.Name]*mesh.Topic{orders: {Name: orders, Rules: []mesh.Rule{rule}}}})
	topic, _ := table.Topic(orders)
	r := &rig{broker: b, driver: queueing.NewNode(node), topics: topics{orders: topic}, tap: &tap.Bus{}}
	r.service = enter(publish.Options{
		Namespace: "shop", Workload: "checkout", Topics: r.topics, Brokers: one{r.driver}, Tracing: tracing.Disabled().Messaging(), Tap: r.tap,
	})
	return r
}

func event() *eventsv1.CloudEvent {
	return &eventsv1.CloudEvent{Id: "1", Source: "/shop", SpecVersion: "1.0", Type: "com.shop.order.placed"}
}

func attr(s string) *eventsv1.CloudEvent_CloudEventAttributeValue {
	return &eventsv1.CloudEvent_CloudEventAttributeValue{Attr: &eventsv1.CloudEvent_CloudEventAttributeValue_CeString{CeString: s}}
}

func (r *rig) send(t *testing.T, e *eventsv1.CloudEvent) (*eventsv1.PublishResponse, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	return r.Publish(ctx, &eventsv1.PublishRequest{Topic: "orders", Event: e})
}

func TestPublishAnswersAfterTheConfirm(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	res, err := r.send(t, event())
	if err != nil {
		t.Fatal(err)
	}
	if res.GetEventId() != "1" || res.GetRoute() != "canary/all" || res.GetTopic() != "shop/orders" || res.GetAttempts() != 1 {
		t.Errorf("answer %v", res)
	}
	queued := r.broker.Peek("q", 10)
	if len(queued) != 1 {
		t.Fatalf("%d messages in the queue, want 1", len(queued))
	}
	m := queued[0]
	if m.RoutingKey != "com.shop.order.placed" || m.AppID != "checkout" || !m.Persistent || m.Republished {
		t.Errorf("queued message %+v", m)
	}
}

// verdict is what a service sees.
type verdict struct {
	code    codes.Code
	reason  string
	outcome string
	field   string
}

func check(t *testing.T, err error, want verdict) {
	t.Helper()
	got := verdict{status.Code(err), rpcerr.Reason(err), rpcerr.Metadata(err, "outcome"), rpcerr.Metadata(err, "field")}
	if got != want {
		t.Errorf("refused with %+v, want %+v (%v)", got, want, err)
	}
	if n := len(status.Convert(err).Details()); n == 0 {
		t.Error("no ErrorInfo")
	}
}

func TestBadEventsAreRefusedWithTheirField(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	invalid := func(field string) verdict {
		return verdict{code: codes.InvalidArgument, reason: refusal.InvalidEvent, outcome: "not_sent", field: field}
	}
	for name, test := range map[string]struct {
		spoil func(*eventsv1.CloudEvent)
		want  verdict
	}{
		"an empty id":              {func(e *eventsv1.CloudEvent) { e.Id = "" }, invalid("event.id")},
		"an empty source":          {func(e *eventsv1.CloudEvent) { e.Source = "" }, invalid("event.source")},
		"an empty type":            {func(e *eventsv1.CloudEvent) { e.Type = "" }, invalid("event.type")},
		"another specversion":      {func(e *eventsv1.CloudEvent) { e.SpecVersion = "0.3" }, invalid("event.specversion")},
		"a line break in the type": {func(e *eventsv1.CloudEvent) { e.Type = "a\r\nb" }, invalid("event.type")},
		"an attribute in capitals": {func(e *eventsv1.CloudEvent) {
			e.Attributes = map[string]*eventsv1.CloudEvent_CloudEventAttributeValue{"Region": attr("eu")}
		}, invalid("event.Region")},
		"an attribute named data": {func(e *eventsv1.CloudEvent) {
			e.Attributes = map[string]*eventsv1.CloudEvent_CloudEventAttributeValue{"data": attr("x")}
		}, invalid("event.data")},
		"an attribute without value": {func(e *eventsv1.CloudEvent) {
			e.Attributes = map[string]*eventsv1.CloudEvent_CloudEventAttributeValue{"region": {}}
		}, invalid("event.region")},
		"a required attribute among the optional": {func(e *eventsv1.CloudEvent) {
			e.Attributes = map[string]*eventsv1.CloudEvent_CloudEventAttributeValue{"type": attr("x")}
		}, invalid("event.type")},
		"a time that is none": {func(e *eventsv1.CloudEvent) {
			e.Attributes = map[string]*eventsv1.CloudEvent_CloudEventAttributeValue{"time": attr("yesterday")}
		}, invalid("event.time")},
		"an event that has expired": {func(e *eventsv1.CloudEvent) {
			e.Attributes = map[string]*eventsv1.CloudEvent_CloudEventAttributeValue{"expirytime": {
				Attr: &eventsv1.CloudEvent_CloudEventAttributeValue_CeTimestamp{CeTimestamp: timestamppb.New(time.Now().Add(-time.Hour))},
			}}
		}, verdict{code: codes.InvalidArgument, reason: refusal.EventExpired, outcome: "not_sent", field: "event.expirytime"}},
		"data over the topic's limit": {func(e *eventsv1.CloudEvent) {
			e.Data = &eventsv1.CloudEvent_BinaryData{BinaryData: make([]byte, 1001)}
		}, verdict{code: codes.InvalidArgument, reason: refusal.EventTooLarge, outcome: "not_sent", field: "event.data"}},
		"a routing key over 255 bytes": {func(e *eventsv1.CloudEvent) { e.Type = "com.shop." + strings.Repeat("x", 250) }, invalid("event")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := event()
			test.spoil(e)
			_, err := r.send(t, e)
			check(t, err, test.want)
		})
	}
	t.Run("no event at all", func(t *testing.T) {
		t.Parallel()
		_, err := r.send(t, nil)
		check(t, err, invalid("event"))
	})
}

func TestWhatTheBrokerSaysReachesTheService(t *testing.T) {
	t.Parallel()
	t.Run("no queue takes the event", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, nil)
		e := event()
		e.Type = "org.other.thing"
		_, err := r.send(t, e)
		check(t, err, verdict{code: codes.FailedPrecondition, reason: refusal.Unroutable, outcome: "failed"})
	})
	t.Run("a topic nobody declared", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, nil)
		_, err := r.Publish(t.Context(), &eventsv1.PublishRequest{Topic: "other", Event: event()})
		check(t, err, verdict{code: codes.NotFound, reason: refusal.TopicNotFound, outcome: "not_sent"})
	})
	t.Run("a topic name that is none", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, nil)
		_, err := r.Publish(t.Context(), &eventsv1.PublishRequest{Topic: "a/b/c", Event: event()})
		check(t, err, verdict{code: codes.InvalidArgument, reason: refusal.InvalidRequest, outcome: "not_sent", field: "topic"})
	})
	t.Run("an exchange that does not exist", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, func(rule *mesh.Rule) { rule.Backends[0].Destination.Exchange.Name = "nowhere" })
		_, err := r.send(t, event())
		check(t, err, verdict{code: codes.NotFound, reason: refusal.ExchangeNotFound, outcome: "not_sent"})
	})
	t.Run("a full queue nacks, and the outcome is unknown", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, nil)
		for range 10 {
			if _, err := r.send(t, event()); err != nil {
				t.Fatal(err)
			}
		}
		_, err := r.send(t, event())
		check(t, err, verdict{code: codes.Unavailable, reason: refusal.PublishNacked, outcome: "unknown"})
	})
	t.Run("a broker that is down means not sent", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, nil)
		defer r.broker.Outage()()
		_, err := r.send(t, event())
		check(t, err, verdict{code: codes.Unavailable, reason: refusal.BrokerUnavailable, outcome: "not_sent"})
	})
	t.Run("an alarm is not waited for", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, nil)
		defer r.broker.Alarm()()
		_, err := r.send(t, event())
		check(t, err, verdict{code: codes.ResourceExhausted, reason: refusal.BrokerBlocked, outcome: "not_sent"})
	})
	t.Run("a sidecar that drains refuses", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, nil)
		r.Drain()
		_, err := r.send(t, event())
		check(t, err, verdict{code: codes.Unavailable, reason: refusal.Draining, outcome: "not_sent"})
	})
}

func TestAMissingConfirmIsUnknown(t *testing.T) {
	t.Parallel()
	t.Run("when the confirm timeout passes", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, func(rule *mesh.Rule) {
			rule.Retry.Attempts = 1
			rule.Backends[0].Destination.ConfirmTimeout = 20 * time.Millisecond
		})
		defer r.broker.HoldConfirms()()
		_, err := r.send(t, event())
		check(t, err, verdict{code: codes.Unavailable, reason: refusal.ConfirmTimeout, outcome: "unknown"})
	})
	t.Run("when the caller's deadline comes first, and the answer is in time", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, nil)
		defer r.broker.HoldConfirms()()
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		_, err := r.Publish(ctx, &eventsv1.PublishRequest{Topic: "orders", Event: event()})
		check(t, err, verdict{code: codes.DeadlineExceeded, reason: refusal.DeadlineNear, outcome: "unknown"})
	})
	t.Run("and its repeat is flagged and carries the same id", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, func(rule *mesh.Rule) { rule.Backends[0].Destination.ConfirmTimeout = 20 * time.Millisecond })
		release := r.broker.HoldConfirms()
		_, err := r.send(t, event())
		release()
		check(t, err, verdict{code: codes.Unavailable, reason: refusal.ConfirmTimeout, outcome: "unknown"})
		queued := r.broker.Peek("q", 10)
		if len(queued) != 3 {
			t.Fatalf("%d copies, want 3 for 3 attempts", len(queued))
		}
		for i, m := range queued {
			if m.Event.ID != "1" || m.Republished != (i > 0) {
				t.Errorf("copy %d: id %q, republished %v", i, m.Event.ID, m.Republished)
			}
		}
	})
}

// flaky fails the first publishes without writing anything.
type flaky struct {
	broker.Driver
	failures int
}

func (f *flaky) Publish(ctx context.Context, batch []*broker.Message, told broker.Told) {
	for i := range batch {
		if f.failures > 0 {
			f.failures--
			told(i, i+1, &broker.Error{Kind: broker.Unavailable, Op: "publish", Err: errors.New("down")})
			continue
		}
		f.Driver.Publish(ctx, batch[i:i+1], func(_, _ int, err error) { told(i, i+1, err) })
	}
}

func TestARetryThatWorksIsASuccess(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	service := enter(publish.Options{
		Namespace: "shop", Topics: r.topics, Brokers: one{&flaky{r.driver, 2}}, Tracing: tracing.Disabled().Messaging(),
	})
	res, err := service.Publish(t.Context(), &eventsv1.PublishRequest{Topic: "shop/orders", Event: event()})
	if err != nil {
		t.Fatal(err)
	}
	if res.GetAttempts() != 3 {
		t.Errorf("%d attempts, want 3", res.GetAttempts())
	}
	if m := r.broker.Peek("q", 1); len(m) != 1 || m[0].Republished {
		t.Error("a repeat of what was never written was flagged as republished")
	}
}

func TestDataOfEveryFormArrivesAsItsBytes(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	e := event()
	e.Data = &eventsv1.CloudEvent_TextData{TextData: "zażółć"}
	if _, err := r.send(t, e); err != nil {
		t.Fatal(err)
	}
	if got := string(r.broker.Peek("q", 1)[0].Event.Data); got != "zażółć" {
		t.Errorf("data %q", got)
	}
}

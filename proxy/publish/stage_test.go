package publish_test

import (
	"context"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/door/rpcerr"
	warrenevent "github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/limit"
	"github.com/warrenmesh/warren/proxy/publish"
	"github.com/warrenmesh/warren/proxy/refusal"
	"github.com/warrenmesh/warren/proxy/route"
	"github.com/warrenmesh/warren/tracing"
)

// gate is a stage that lets events with ids other than "no" pass, and stamps them.
type gate struct {
	seen  atomic.Int32
	stamp string
}

func (g *gate) Pass(_ context.Context, p *route.Passage) error {
	g.seen.Add(1)
	if p.Event.ID == "no" {
		return refusal.Field(refusal.InvalidRequest, "event.id", "the stage says no to "+p.Rule.Name+" on the way to "+p.Backend.TopicName)
	}
	p.Event.Set("stamp", warrenevent.String(p.Event.Text("stamp")+g.stamp))
	return nil
}

// TestStagesActOnceBetweenTheMatchAndTheBroker has an event that is tried three times,
// and by each way in one that passes and one that is refused.
func TestStagesActOnceBetweenTheMatchAndTheBroker(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	rule := mesh.Rule{
		Name: "canary/all", Backends: []mesh.Backend{{Destination: destination(), Weight: 1}},
		Retry: mesh.Retry{Attempts: 3, On: []mesh.RetryOn{mesh.OnConnectFailure}},
	}
	first, second := &gate{stamp: "a"}, &gate{stamp: "b"}
	none := func(mesh.Name, *mesh.Rule) route.Stage { return nil }
	table := route.Compile(&mesh.Config{Topics: map[mesh.Name]*mesh.Topic{orders: {Name: orders, Rules: []mesh.Rule{rule}}}},
		func(mesh.Name, *mesh.Rule) route.Stage { return first }, none, func(mesh.Name, *mesh.Rule) route.Stage { return second })
	topic, _ := table.Topic(orders)
	inFlight := limit.NewBudget(10, 1<<20)
	s := enter(publish.Options{
		Namespace: "shop", Topics: topics{orders: topic}, Brokers: one{&flaky{r.driver, 2}}, Tracing: tracing.Disabled().Messaging(), InFlight: inFlight,
	})
	no := event()
	no.Id = "no"
	refused := func(how string, code codes.Code, reason string) {
		t.Helper()
		if code != codes.InvalidArgument || reason != refusal.InvalidRequest {
			t.Errorf("%s: refused with %v, %q", how, code, reason)
		}
	}

	answer, err := s.Publish(t.Context(), &eventsv1.PublishRequest{Topic: "orders", Event: event()})
	if err != nil || answer.GetAttempts() != 3 {
		t.Fatalf("%v, %v", answer, err)
	}
	_, err = s.Publish(t.Context(), &eventsv1.PublishRequest{Topic: "orders", Event: no})
	refused("unary", status.Code(err), rpcerr.Reason(err))

	res, err := s.PublishBatch(t.Context(), &eventsv1.PublishBatchRequest{
		Topic: "orders", Entries: []*eventsv1.PublishBatchEntry{{Event: no}, {Event: numbered(2)}},
	})
	if err != nil || res.GetResults()[1].GetStatus() != nil {
		t.Fatalf("batch: %v, %v", res, err)
	}
	refused("batch", codes.Code(res.GetResults()[0].GetStatus().GetCode()), refusal.InvalidRequest) //nolint:gosec // a code

	stream, _ := openStream(t, s)
	put(t, stream, &eventsv1.PublishStreamEntry{RequestId: 1, Event: no}, &eventsv1.PublishStreamEntry{RequestId: 2, Event: numbered(3)})
	got, err := results(t, stream, 2)
	if err != nil || got[2].GetStatus() != nil {
		t.Fatalf("stream: %v, %v", got, err)
	}
	refused("stream", codes.Code(got[1].GetStatus().GetCode()), refusal.InvalidRequest) //nolint:gosec // a code

	queued := r.broker.Peek("q", 10)
	if len(queued) != 3 || first.seen.Load() != 6 || second.seen.Load() != 3 {
		t.Fatalf("%d in the queue, the stages saw %d and %d; want 3, 6 and 3", len(queued), first.seen.Load(), second.seen.Load())
	}
	for _, m := range queued {
		if m.Event.Text("stamp") != "ab" {
			t.Errorf("event %s has the stamp %q, want what both stages wrote", m.Event.ID, m.Event.Text("stamp"))
		}
	}
	if count, bytes := inFlight.InUse(); count != 0 || bytes != 0 {
		t.Errorf("%d events of %d bytes are in flight still", count, bytes)
	}
}

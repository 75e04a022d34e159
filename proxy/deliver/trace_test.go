package deliver_test

import (
	"log/slog"
	"testing"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/deliver"
	"github.com/warrenmesh/warren/proxy/snapshot"
	"github.com/warrenmesh/warren/tracing"
	"github.com/warrenmesh/warren/tracing/tracingtest"
)

// traced serves the rig's subscription with a service that records its spans.
func traced(t *testing.T, r *rig, use func(*stream)) *tracingtest.Recorder {
	t.Helper()
	provider, recorder := tracingtest.New(t, tracing.Options{})
	sub := subscription()
	subs := &config{changed: make(chan struct{})}
	subs.subs = snapshot.Subscriptions(&mesh.Config{
		Subscriptions: map[mesh.Name]*mesh.Subscription{sub.Name: &sub},
		Brokers:       map[mesh.Name]*mesh.Broker{sub.Broker: {Name: sub.Broker, Type: mesh.Memory}},
	})
	service := deliver.New(deliver.Options{
		Namespace: "shop", Subscriptions: subs, Brokers: only(r.driver), Tracing: provider.Messaging(), Logger: slog.New(slog.DiscardHandler),
	})
	serve(t, service, func(c eventsv1.EventServiceClient) {
		s := (&rig{t: t, client: c}).subscribe(&eventsv1.SubscribeInit{InitialCredit: 10})
		use(s)
		s.cancel()
		within(t, "Drain", func() { service.Drain(t.Context()) })
	})
	return recorder
}

func TestEachDeliveryHasOneProcessSpanThatTellsItsEnd(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		settle  *eventsv1.Settlement // nil leaves it to the end of the stream
		outcome any
		failed  bool
	}{
		"ack":         {&eventsv1.Settlement{Outcome: eventsv1.Outcome_OUTCOME_ACK}, "ack", false},
		"retry":       {&eventsv1.Settlement{Outcome: eventsv1.Outcome_OUTCOME_RETRY}, "retry", true},
		"dead letter": {&eventsv1.Settlement{Outcome: eventsv1.Outcome_OUTCOME_DEAD_LETTER}, "dead-letter", true},
		"never":       {nil, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil)
			r.publish("1")
			recorder := traced(t, r, func(s *stream) {
				d := s.delivery()
				if test.settle == nil {
					return
				}
				test.settle.Token = d.GetToken()
				s.settle(test.settle)
				if err := s.CloseSend(); err != nil {
					t.Fatal(err)
				}
				_ = s.end()
			})
			var spans []tracingtest.Span
			for _, span := range recorder.Spans() {
				if span.Name == "process orders" && span.Attrs["warren.attempt"] == int64(1) {
					spans = append(spans, span)
				}
			}
			if len(spans) != 1 {
				t.Fatalf("%d process spans of the first attempt, want 1", len(spans))
			}
			got := spans[0]
			if got.Attrs["messaging.system"] != "warren.memory" || got.Attrs["warren.outcome"] != test.outcome || got.Failed != test.failed {
				t.Errorf("system %v, outcome %v, failed %v; want warren.memory, %v, %v",
					got.Attrs["messaging.system"], got.Attrs["warren.outcome"], got.Failed, test.outcome, test.failed)
			}
		})
	}
}

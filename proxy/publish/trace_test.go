package publish_test

import (
	"testing"

	"go.opentelemetry.io/otel/trace"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/publish"
	"github.com/warrenmesh/warren/proxy/route"
	"github.com/warrenmesh/warren/tracing"
	"github.com/warrenmesh/warren/tracing/tracingtest"
)

// traced is a service on the rig's broker that records its spans; brokerType is
// what the configuration says about the broker.
func traced(t *testing.T, r *rig, brokerType mesh.BrokerType) (*service, *tracingtest.Recorder) {
	t.Helper()
	provider, recorder := tracingtest.New(t, tracing.Options{})
	topic, _ := route.Compile(&mesh.Config{
		Topics: map[mesh.Name]*mesh.Topic{orders: {Name: orders, Rules: []mesh.Rule{{
			Backends: []mesh.Backend{{Destination: destination(), Weight: 1}},
		}}}},
		Brokers: map[mesh.Name]*mesh.Broker{main: {Name: main, Type: brokerType}},
	}).Topic(orders)
	return enter(publish.Options{
		Namespace: "shop", Topics: topics{orders: topic}, Brokers: one{r.driver}, Tracing: provider.Messaging(),
	}), recorder
}

func TestASpanNamesTheSystemOfItsBroker(t *testing.T) {
	t.Parallel()
	for brokerType, want := range map[mesh.BrokerType]string{mesh.RabbitMQ: "rabbitmq", mesh.Memory: "warren.memory"} {
		t.Run(brokerType.String(), func(t *testing.T) {
			t.Parallel()
			s, recorder := traced(t, newRig(t, nil), brokerType)
			if _, err := s.Publish(t.Context(), &eventsv1.PublishRequest{Topic: "orders", Event: event()}); err != nil {
				t.Fatal(err)
			}
			if got := recorder.Only("publish orders").Attrs["messaging.system"]; got != want {
				t.Errorf("messaging.system is %v, want %s", got, want)
			}
		})
	}
}

func TestAFailedPublishEndsItsSpanOnce(t *testing.T) {
	t.Parallel()
	s, recorder := traced(t, newRig(t, nil), mesh.Memory)
	e := event()
	e.Type = "org.other.thing" // no queue takes it
	if _, err := s.Publish(t.Context(), &eventsv1.PublishRequest{Topic: "orders", Event: e}); err == nil {
		t.Fatal("it was published")
	}
	got := recorder.Only("publish orders")
	if !got.Failed || got.Attrs["error.type"] != "no-route" || got.Kind != trace.SpanKindProducer {
		t.Errorf("span %+v", got)
	}
}

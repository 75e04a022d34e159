package rabbit

import (
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/internal/brokertest"
	"github.com/warrenmesh/warren/internal/queueingtest"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
)

// testDriver is a node of the seam that the suite can hurt.
type testDriver struct {
	*queueing.Node
	proxy *queueingtest.Proxy
}

func TestTheSeam(t *testing.T) {
	t.Parallel()
	u := server(t)
	brokertest.Run(t, brokertest.Harness{
		Name:      "rabbit",
		QueueType: "quorum",
		New: func(t *testing.T) broker.Driver {
			proxy := queueingtest.NewProxy(t, hostPort(u))
			n := New(options(t, u, proxy.Addr()))
			runNode(t, n)
			return testDriver{queueing.NewNode(n), proxy}
		},
		Interrupt: func(_ *testing.T, d broker.Driver) { d.(testDriver).proxy.Cut() },
		Strange: func(t *testing.T, _ broker.Driver, to *mesh.Destination, body []byte) {
			conn, err := amqp.Dial(u.String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			ch, err := conn.Channel()
			if err != nil {
				t.Fatal(err)
			}
			if err := ch.Confirm(false); err != nil {
				t.Fatal(err)
			}
			// Content that says it is an event, and is not one.
			confirm, err := ch.PublishWithDeferredConfirm(to.Exchange.Name, "a.key", true, false,
				amqp.Publishing{ContentType: "application/cloudevents+json", Body: body})
			if err != nil || !confirm.Wait() {
				t.Fatalf("publish: %v", err)
			}
		},
		Delete: func(t *testing.T, s *mesh.Subscription) { deleteTopology(t, queueing.Layout(s, mesh.Manage)) },
	})
}

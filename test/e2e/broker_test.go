package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/warrenmesh/warren/internal/localbroker"
)

func TestEverythingConfirmedIsDeliveredThoughTheBrokerIsKilled(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("needs a RabbitMQ; not with -short")
	}
	const events = 2000
	broker := privateBroker(t)
	r := &rig{T: t}
	r.connect(broker.URL)
	r.start(r.topic("orders"), r.subscription(subscription{name: "billing", topic: "orders", app: "billing", attempts: 20, backoff: 200 * time.Millisecond}))
	checkout, billing := r.service("checkout"), r.service("billing")
	in := billing.consume("billing")
	load := checkout.load(&producer{topic: "orders", series: "order", count: events, repeat: true})
	load.await(events / 4)
	if err := broker.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	load.wait()
	r.wantAll(ids("order", events, func(int) bool { return true }), in)
	repeats, silent := in.repeats()
	t.Logf("%d events, %d delivered again, %d of them unmarked: repeats by the service", events, repeats, silent)
	if checkout.Ended() || billing.Ended() {
		t.Error("a sidecar ended")
	}
}

// privateBroker starts a RabbitMQ for this test alone. It restarts when it dies.
func privateBroker(t *testing.T) *localbroker.Broker {
	t.Helper()
	broker := startBroker(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- broker.Supervise(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("supervise the broker: %v", err)
		}
	})
	return broker
}

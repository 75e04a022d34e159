package e2e

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/internal/localbroker"
	"github.com/warrenmesh/warren/test/internal/product"
)

func TestStatusShowsTrafficAndQueuesAndThatTheBrokerIsDown(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("needs a RabbitMQ; not with -short")
	}
	broker := startBroker(t)
	r := &rig{T: t}
	r.connect(broker.URL)
	r.start(r.topic("orders"),
		r.subscription(subscription{name: "billing", topic: "orders", app: "billing", attempts: 5, backoff: time.Hour}),
		r.subscription(subscription{name: "archive", topic: "orders", app: "billing"}))
	checkout, billing := r.service("checkout"), r.service("billing")
	r.wantStatus("up     1/1", r.namespace+"/archive") // checkout uses no broker before it publishes
	in := billing.subscribe("billing")
	for _, id := range []string{"1", "2", "3", "4"} {
		checkout.mustPublish("orders", id)
	}
	for _, outcome := range []eventsv1.Outcome{eventsv1.Outcome_OUTCOME_ACK, eventsv1.Outcome_OUTCOME_DEAD_LETTER, eventsv1.Outcome_OUTCOME_RETRY, eventsv1.Outcome_OUTCOME_ACK} {
		in.settle(in.next(), outcome, "")
	}
	// One event was dead-lettered and one waits for an hour; nobody takes from the archive.
	r.wantRow("billing", "backlog 0, retrying 1, dead 1, receivers 1")
	r.wantRow("archive", "backlog 4, retrying 0, dead 0, receivers 0")
	r.wantStatus("up     2/2", r.namespace+"/archive has no receiver: 4 events wait", "PUBLISHED")

	if err := broker.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.wantStatus("EventBroker "+r.namespace+"/main is not Healthy: Down", "2 of 2 sidecars cannot use it", "down", "0/2")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- broker.Supervise(ctx) }() // starts it again
	defer func() {
		cancel()
		<-done
	}()
	r.wantStatus("up     2/2")
	if out := r.status(); strings.Contains(out, "is not Healthy") {
		t.Errorf("after the broker has come back:\n%s", out)
	}
}

// wantRow waits until the figures of a subscription's queues are as wanted.
func (r *rig) wantRow(subscription, want string) {
	r.Helper()
	product.Eventually(r, "figures of "+subscription, func() error {
		out := r.status()
		_, table, _ := strings.Cut(out, "RECEIVERS")
		for line := range strings.Lines(table) {
			f := strings.Fields(line)
			if len(f) != 7 || f[0] != r.namespace+"/"+subscription {
				continue
			}
			if got := fmt.Sprintf("backlog %s, retrying %s, dead %s, receivers %s", f[3], f[4], f[5], f[6]); got != want {
				return fmt.Errorf("it has %s, want %s", got, want)
			}
			return nil
		}
		return fmt.Errorf("no row in\n%s", out)
	})
}

// startBroker starts a RabbitMQ for this test alone. It stays dead when it dies.
func startBroker(t *testing.T) *localbroker.Broker {
	t.Helper()
	dir, err := os.MkdirTemp("", "warren-rabbit")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	broker, err := localbroker.Start(t.Context(), localbroker.Options{
		Dir: dir, Want: localbroker.WantFrom(os.Getenv), Skip: []localbroker.Step{localbroker.Given, localbroker.Running}, Report: func(line string) { t.Log(line) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stopping, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := broker.Stop(stopping); err != nil {
			t.Errorf("stop the broker: %v", err)
		}
	})
	return broker
}

func TestStatusNamesWhatCannotBeDeclaredAndTheSidecar(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	objects := []string{r.topic("orders"), r.subscription(subscription{name: "billing", topic: "orders", app: "billing"})}
	if _, err := r.plain.QueueDeclare(r.name("billing"), true, false, false, false, nil); err != nil { // classic
		t.Fatal(err)
	}
	r.start(objects...)
	r.run(product.Sidecar{Workload: "billing"})
	r.wantStatus("EventSubscription "+r.namespace+"/billing is not Programmed: TopologyConflict",
		"exists with type classic, wanted quorum", "(billing."+r.namespace+"~")
	if _, err := r.plain.QueueDelete(r.name("billing"), false, false, false); err != nil {
		t.Fatal(err)
	}
	product.Eventually(r, "it is programmed", func() error {
		if out := r.status(); strings.Contains(out, "is not Programmed") {
			return fmt.Errorf("it says\n%s", out)
		}
		return nil
	})
}

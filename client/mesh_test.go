package client_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/client"
	"github.com/warrenmesh/warren/controlplane"
	"github.com/warrenmesh/warren/proxy"
	"github.com/warrenmesh/warren/proxy/broker/membroker"
	"github.com/warrenmesh/warren/tracing"
	"github.com/warrenmesh/warren/xds"
)

const meshYAML = `apiVersion: warrenmesh.io/v1alpha1
kind: EventBroker
metadata: {name: main, namespace: shop}
spec: {type: Memory}
---
apiVersion: warrenmesh.io/v1alpha1
kind: EventTopic
metadata: {name: orders, namespace: shop}
spec: {brokerRef: {name: main}}
---
apiVersion: warrenmesh.io/v1alpha1
kind: EventSubscription
metadata: {name: billing, namespace: shop}
spec:
  topicRef: {name: orders}
  selector: {matchLabels: {app: shop}}
  retry: {attempts: 3, backoff: {baseInterval: 10ms, maxInterval: 10ms}}
`

// startMesh runs a control plane and a sidecar in this process, with a broker in
// memory. It returns the sidecar's address and what ends it all.
func startMesh(ctx context.Context) (address string, stop func(), err error) {
	dir, err := os.MkdirTemp("", "warren-client")
	if err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	memory := membroker.New(membroker.Options{})
	var running sync.WaitGroup
	stop = func() {
		cancel()
		running.Wait()
		memory.Close()
		_ = os.RemoveAll(dir)
	}
	if err := os.WriteFile(filepath.Join(dir, "mesh.yaml"), []byte(meshYAML), 0o600); err != nil {
		return "", stop, err
	}
	log := slog.New(slog.DiscardHandler)
	plane, err := controlplane.New(controlplane.Options{
		Dir: dir, XDSListen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", StatusListen: "127.0.0.1:0", Logger: log,
	})
	if err != nil {
		return "", stop, err
	}
	running.Go(func() { _ = plane.Run(ctx) })
	<-plane.Ready()
	p, err := proxy.New(proxy.Options{
		Node:         xds.Node{ID: "shop.shop~test", Namespace: "shop", Workload: "shop", Labels: map[string]string{"app": "shop"}},
		ControlPlane: plane.XDSAddr(), Listen: []string{"127.0.0.1:0"}, AdminListen: "127.0.0.1:0",
		Memory: memory, MemoryOnly: true, Tracing: tracing.Disabled(), Logger: log,
	})
	if err != nil {
		return "", stop, err
	}
	running.Go(func() { _ = p.Run(ctx) })
	<-p.Started()
	return p.EventAddresses()[0], stop, nil
}

// A service that publishes an order and one that receives it, through a sidecar in
// this process.
func Example() {
	ctx, done := context.WithTimeout(context.Background(), 30*time.Second)
	defer done()
	address, stop, err := startMesh(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stop()
	c, err := client.Dial(address)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = c.Close() }()

	order := client.NewEvent("order-17", "/checkout", "com.shop.order.placed", "application/json", []byte(`{"total": 42}`))
	_, _, err = client.Retry{}.Publish(ctx, c, "parcels", order)
	var failure *client.Error
	if errors.As(err, &failure) {
		fmt.Println(failure.Reason, failure.Outcome)
	}

	receiving, end := context.WithCancel(ctx)
	ready := func(*eventsv1.SubscribeReady) { // the queue is there
		answer, tries, err := client.Retry{}.Publish(ctx, c, "orders", order)
		fmt.Println("confirmed by", answer.GetTopic(), "tries", tries, err)
	}
	err = c.Subscribe(receiving, "billing", func(_ context.Context, d *eventsv1.Delivery) error {
		fmt.Printf("attempt %d: %s %s\n", d.GetAttempt(), d.GetEvent().GetId(), d.GetEvent().GetBinaryData())
		if d.GetAttempt() == 1 {
			return errors.New("the printer is out of paper")
		}
		end()
		return nil
	}, client.SubscribeOptions{Ready: ready})
	fmt.Println(err)
	// Output:
	// TOPIC_NOT_FOUND not_sent
	// confirmed by shop/orders tries 1 <nil>
	// attempt 1: order-17 {"total": 42}
	// attempt 2: order-17 {"total": 42}
	// <nil>
}

func TestABatchHasAResultForEachEvent(t *testing.T) {
	t.Parallel()
	address, stop, err := startMesh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	c, err := client.Dial(address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	receiving, end := context.WithCancel(t.Context())
	defer end()
	bad := client.NewEvent("", "/s", "t", "", nil)
	good := client.NewEvent("a", "/s", "t", "text/plain", []byte("x"))
	good.Attributes["subject"] = client.Text("s")
	good.Attributes["time"] = client.Time(time.Unix(1_700_000_000, 0))
	var results []client.Result
	err = c.Subscribe(receiving, "shop/billing", func(_ context.Context, d *eventsv1.Delivery) error {
		defer end()
		if e := d.GetEvent(); e.GetAttributes()["subject"].GetCeString() != "s" || e.GetAttributes()["time"].GetCeTimestamp().GetSeconds() != 1_700_000_000 {
			t.Errorf("received %v", e)
		}
		return client.Reject(errors.New("not ours"))
	}, client.SubscribeOptions{Ready: func(*eventsv1.SubscribeReady) {
		if results, err = c.PublishBatch(t.Context(), "orders", good, bad); err != nil {
			t.Errorf("PublishBatch: %v", err)
			end()
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	var failure *client.Error
	if len(results) != 2 || results[0].Err != nil || results[0].Response.GetTopic() != "shop/orders" || !errors.As(results[1].Err, &failure) {
		t.Fatalf("results %+v", results)
	}
	if failure.Reason != "INVALID_EVENT" || failure.Outcome != client.NotSent || len(failure.Violations) == 0 {
		t.Errorf("failure %+v", failure)
	}
}

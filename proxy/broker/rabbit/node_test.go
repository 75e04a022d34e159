package rabbit

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warrenmesh/warren/internal/brokertest/one"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/fault"
)

func TestChangesOfStateAreTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		told := make(chan struct{}, 100)
		n := New(Options{
			Address: "broker:5672", OnState: func() { told <- struct{}{} },
			Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no route to host") },
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- n.Run(ctx) }()
		for !strings.Contains(n.State().Reason, "no route") {
			<-told
		}
		cancel()
		<-done
		for !strings.Contains(n.State().Reason, fault.ErrStopped.Error()) {
			<-told
		}
	})
}

func TestAPublishRightAfterTheFirstTopologyIsNotTooEarly(t *testing.T) {
	t.Parallel()
	u := server(t)
	topology := queueing.Topology{Policy: mesh.Manage, Exchanges: []mesh.Exchange{{Name: "rabbit." + strings.ToLower(rand.Text()[:10]), Type: "topic"}}}
	t.Cleanup(func() { deleteTopology(t, topology) })
	for range 10 {
		n := New(options(t, u, hostPort(u)))
		stop := runNode(t, n)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		if err := n.EnsureTopology(ctx, topology); err != nil {
			t.Errorf("ensure topology: %v", err)
		}
		_, err := one.Publish(ctx, n.Publish, queueing.Message{Exchange: topology.Exchanges[0].Name, RoutingKey: "k", Event: orderPlaced()})
		if err != nil {
			t.Errorf("publish: %v", err)
		}
		cancel()
		stop()
	}
}

func TestADriverThatIsDownSaysWhyAndRefusesPublishes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := New(Options{
			Address: "broker:5672", Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no route to host") },
		})
		if s := n.State(); s.Publishing || s.Consuming || s.Address != "broker:5672" || !strings.Contains(s.Reason, "not started") {
			t.Errorf("state before Run is %+v", s)
		}
		_, err := one.Publish(t.Context(), n.Publish, *toQueue("q", "1"))
		wantKind(t, err, broker.Unavailable, broker.NotSent)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); _ = n.Run(ctx) }()
		synctest.Wait()
		if s := n.State(); !strings.Contains(s.Reason, "no route to host") {
			t.Errorf("state while down is %+v", s)
		}
		_, err = one.Publish(t.Context(), n.Publish, *toQueue("q", "1"))
		wantKind(t, err, broker.Unavailable, broker.NotSent)

		short, end := context.WithTimeout(t.Context(), time.Second)
		defer end()
		err = n.EnsureTopology(short, queueing.Topology{})
		wantKind(t, err, broker.Unavailable, broker.NotSent)
		if drain, err := n.Consume(short, queueing.ConsumeOptions{Queue: "q", Prefetch: 1}, nil); err != nil || drain == nil {
			t.Errorf("Consume whose context ended while the node was down: %v", err)
		}
		cancel()
		<-ended
		if _, err := n.Consume(t.Context(), queueing.ConsumeOptions{Queue: "q", Prefetch: 1}, nil); broker.KindOf(err) != broker.Unavailable {
			t.Errorf("Consume after Run: %v, want unavailable", err)
		}
		if s := n.State(); !strings.Contains(s.Reason, "stopped") {
			t.Errorf("the state after Run is %+v, want that it is stopped", s)
		}
	})
}

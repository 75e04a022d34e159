package proxy

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker/membroker"
	"github.com/warrenmesh/warren/proxy/broker/membroker/faulty"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/client"
)

// probed is a proxy in a bubble: all of it but its listeners, which would tie it to the
// clock of the machine.
type probed struct {
	*Proxy
	t      *testing.T
	memory *faulty.Broker
}

func newProbed(t *testing.T, requiresBroker bool) *probed {
	t.Helper()
	r := &probed{t: t, memory: faulty.New(membroker.Options{})}
	p, err := New(Options{
		Node: xds.Node{ID: "a", Namespace: "shop", Workload: "a"}, ControlPlane: "127.0.0.1:1", Listen: []string{"127.0.0.1:0"},
		Memory: r.memory.Broker, MemoryOnly: true, ReadyRequiresBroker: requiresBroker, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	r.Proxy = p
	ctx, stop := context.WithCancel(t.Context())
	p.pool.Start(ctx)
	close(p.started)
	watched := make(chan error, 1)
	go func() { watched <- p.watchHealth(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-watched; err != nil {
			t.Error(err)
		}
		p.pusher.Stop(ctx)
		p.watcher.Stop()
		if err := p.pool.Stop(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
		r.memory.Close()
	})
	return r
}

var mainBroker = mesh.Name{Namespace: "shop", Name: "main"}

func named(name string) mesh.Name { return mesh.Name{Namespace: "shop", Name: name} }

// configure puts topics and the subscription billing of orders in force.
func (r *probed) configure(topics ...string) {
	r.t.Helper()
	cfg := &mesh.Config{
		Version: strings.Join(topics, "+"), Topics: map[mesh.Name]*mesh.Topic{},
		Brokers: map[mesh.Name]*mesh.Broker{mainBroker: {Name: mainBroker, Type: mesh.Memory, Topology: mesh.Manage}},
		Subscriptions: map[mesh.Name]*mesh.Subscription{named("billing"): {
			Name: named("billing"), Topic: named("orders"), Broker: mainBroker, Exchange: mesh.Exchange{Name: "orders", Type: "topic"},
			Queue: mesh.Queue{Name: "billing", Type: "quorum", Prefetch: 10}, DeadLetterQueue: "billing.dead", Attempts: 3, AckDeadline: time.Minute,
		}},
	}
	for _, t := range topics {
		cfg.Topics[named(t)] = &mesh.Topic{Name: named(t), Rules: []mesh.Rule{{Backends: []mesh.Backend{{Weight: 1, Destination: mesh.Destination{
			Topic: named(t), Broker: mainBroker, Exchange: mesh.Exchange{Name: t, Type: "topic"},
		}}}}}}
	}
	if refused := r.apply(&client.Snapshot{Config: cfg, Version: cfg.Version, At: time.Now()}); refused != nil {
		r.t.Fatal(refused)
	}
}

// probe is what a probe of the kubelet gets.
func (r *probed) probe(path string) int {
	w := httptest.NewRecorder()
	r.statusHandler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code
}

// serves is what gRPC's health service says of a name.
func (r *probed) serves(name string) string {
	answer, err := r.health.Check(r.t.Context(), &healthv1.HealthCheckRequest{Service: name})
	if err != nil {
		return "NOT_FOUND"
	}
	return answer.GetStatus().String()
}

// check waits for a moment and compares what is said of the sidecar, its topic and its
// subscription.
func (r *probed) check(when string, ready int, sidecar, topic, subscription string) {
	r.t.Helper()
	<-time.After(time.Second) // of the bubble: a change is mirrored after a pause
	synctest.Wait()
	if got := r.probe("/startupz"); got != http.StatusOK {
		r.t.Errorf("%s: /startupz is %d: a service container would not be started", when, got)
	}
	if got := r.probe("/readyz"); got != ready {
		r.t.Errorf("%s: /readyz is %d, want %d", when, got, ready)
	}
	for name, want := range map[string]string{
		"": sidecar, "warren.events.v1.EventService": sidecar,
		"topic/shop/orders": topic, "subscription/shop/billing": subscription,
	} {
		if got := r.serves(name); got != want {
			r.t.Errorf("%s: health of %q is %s, want %s", when, name, got, want)
		}
	}
}

// connections counts what metrics say of connections to brokers, by state.
func (r *probed) connections() (up, down int) {
	for _, c := range r.state().Connections {
		if c.Publishing && c.Consuming {
			up++
		} else {
			down++
		}
	}
	return up, down
}

const (
	yes     = "SERVING"
	no      = "NOT_SERVING"
	unheard = "NOT_FOUND"
)

func TestABrokerThatIsDownIsReportedAndTakesNoPodOutOfItsService(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newProbed(t, false)
		up := r.memory.Outage()
		r.check("before the configuration", http.StatusServiceUnavailable, no, unheard, unheard)
		r.configure("orders")
		r.check("down at the start", http.StatusOK, yes, no, no)
		if up, down := r.connections(); up != 0 || down != 1 {
			t.Errorf("down at the start: metrics count %d connections up, %d down", up, down)
		}
		up()
		r.check("up", http.StatusOK, yes, yes, yes)
		up = r.memory.Outage()
		for hour := range 6 {
			<-time.After(time.Hour) // of the bubble
			r.check("down for hours: "+time.Duration(hour).String(), http.StatusOK, yes, no, no)
		}
		if up, down := r.connections(); up != 0 || down != 1 {
			t.Errorf("down for hours: metrics count %d connections up, %d down", up, down)
		}
		up()
		r.check("up again", http.StatusOK, yes, yes, yes)
		end := r.memory.Alarm()
		r.check("during an alarm", http.StatusOK, yes, no, yes)
		end()
		r.check("after the alarm", http.StatusOK, yes, yes, yes)
	})
}

func TestReadinessCanRequireTheBroker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newProbed(t, true)
		up := r.memory.Outage()
		r.configure("orders")
		r.check("down at the start", http.StatusServiceUnavailable, no, no, no)
		up()
		r.check("up", http.StatusOK, yes, yes, yes)
		defer r.memory.Outage()()
		<-time.After(3 * time.Hour) // of the bubble
		r.check("down for hours", http.StatusServiceUnavailable, no, no, no)
	})
}

func TestTheHealthOfATopicFollowsTheConfiguration(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newProbed(t, false)
		r.configure("orders")
		r.check("one topic", http.StatusOK, yes, yes, yes)
		if got := r.serves("topic/shop/parcels"); got != unheard {
			t.Errorf("a topic that nobody used: %s", got)
		}
		r.configure("orders", "parcels")
		r.check("two topics", http.StatusOK, yes, yes, yes)
		if got := r.serves("topic/shop/parcels"); got != yes {
			t.Errorf("a topic that was used first: %s", got)
		}
		r.configure("orders")
		r.check("one topic again", http.StatusOK, yes, yes, yes)
		if got := r.serves("topic/shop/parcels"); got != "SERVICE_UNKNOWN" {
			t.Errorf("a topic that was removed: %s", got)
		}
	})
}

func TestStartedMeansThatTheListenersAreOpen(t *testing.T) {
	t.Parallel()
	p, err := New(Options{
		Node: xds.Node{ID: "a", Namespace: "shop", Workload: "a"}, ControlPlane: "127.0.0.1:1", Listen: []string{"127.0.0.1:0"},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.opts.Memory.Close()
	r := &probed{Proxy: p, t: t}
	if got := r.probe("/startupz"); got != http.StatusServiceUnavailable {
		t.Errorf("before: /startupz is %d", got)
	}
	close(p.started)
	if got := r.probe("/startupz"); got != http.StatusOK {
		t.Errorf("after: /startupz is %d", got)
	}
}

package client

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/server"
	"github.com/warrenmesh/warren/xds/wire"
)

// plane is our own control plane's server, in a bubble.
type plane struct {
	*server.Server
	dial grpc.DialOption
	stop func()
}

func startPlane(t *testing.T) *plane {
	t.Helper()
	l := bufconn.Listen(1 << 20)
	g := grpc.NewServer(server.ServerOptions()...)
	p := &plane{Server: server.New(server.Options{})}
	p.Register(g)
	done := make(chan error, 1)
	go func() { done <- g.Serve(l) }()
	p.dial = grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) })
	p.stop = func() {
		p.Close()
		g.Stop()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	}
	return p
}

// view is a topic on a broker, and a subscription of the workload billing.
func view(t *testing.T, topics ...string) server.View {
	t.Helper()
	main := name(t, "shop/main")
	var v server.View
	add := func(rs []wire.Resource, err error) []wire.Resource {
		if err != nil {
			t.Fatal(err)
		}
		return rs
	}
	for _, topic := range topics {
		v.Resources = append(v.Resources, add(wire.EncodeTopic(topicTo(name(t, topic), main)))...)
	}
	v.Resources = append(v.Resources, add(wire.EncodeBroker(brokerAt(main, mesh.RabbitMQ, "10.0.0.1:5672")))...)
	for _, r := range add(wire.EncodeSubscription(subscriptionOn(name(t, "shop/billing"), name(t, "shop/orders"), main))) {
		v.Scoped = append(v.Scoped, server.Scoped{Resource: r, Namespace: "shop", Match: func(labels map[string]string) bool {
			return labels["app"] == "billing"
		}})
	}
	return v
}

// inForce says whether the plane has seen its view ACKed, all of it, by the one
// sidecar there is.
func (p *plane) inForce(t *testing.T, want int) {
	t.Helper()
	synctest.Wait()
	sidecars := p.Sidecars()
	if len(sidecars) != 1 {
		t.Fatalf("%d sidecars, want 1", len(sidecars))
	}
	acked := 0
	for _, r := range sidecars[0].Resources {
		if r.State == server.Acked && r.Version == r.Acked && r.Version != "" {
			acked++
		}
	}
	if acked != want {
		t.Errorf("%d resources are ACKed, want %d: %+v", acked, want, sidecars[0].Resources)
	}
}

func TestOurOwnControlPlane(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := startPlane(t)
		defer p.stop()
		p.Update(view(t, "shop/orders"))

		applied := 0
		c := newClient(t, options(func(o *Options) {
			o.DialOptions, o.Node.Labels = []grpc.DialOption{p.dial}, map[string]string{"app": "billing"}
			o.StateFile = filepath.Join(t.TempDir(), "last-good.json")
			o.Apply = func(*Snapshot) Refusals { applied++; return nil }
		}))
		stop := run(t, c)
		defer stop()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()

		if err := c.Await(ctx, name(t, "shop/orders")); err != nil {
			t.Fatal(err)
		}
		p.inForce(t, 5) // two Listeners, a RouteConfiguration, a Cluster, its endpoints

		start := time.Now()
		if err := c.Await(ctx, name(t, "shop/returns")); !errors.Is(err, ErrNotFound) || time.Since(start) > 0 {
			t.Errorf("a missing topic: %v after %v, want ErrNotFound at once", err, time.Since(start))
		}
		p.Update(view(t, "shop/orders", "shop/returns"))
		synctest.Wait()
		if err := c.Await(ctx, name(t, "shop/returns")); err != nil {
			t.Errorf("the topic was declared since: %v", err)
		}
		p.inForce(t, 7)

		// What the sidecar refuses is known to the plane by name, and nothing moves.
		before := applied
		p.Update(spoiled(view(t, "shop/orders", "shop/returns")))
		p.inForce(t, 6)
		if !c.refuses("topic/shop/orders") || applied != before {
			t.Errorf("applied %d times since, status %+v", applied-before, c.Status().Resources)
		}
		p.Update(view(t, "shop/orders", "shop/returns"))
		p.inForce(t, 7)

		// A quiet hour of keepalive pings does no harm.
		pass(time.Hour)
		if st := c.Status(); !st.Connected || st.LastError != "" {
			t.Errorf("after a quiet hour: connected=%v, last error %q", st.Connected, st.LastError)
		}

		// The subscription goes.
		v := view(t, "shop/orders", "shop/returns")
		v.Scoped = nil
		p.Update(v)
		p.inForce(t, 6)
		if n := len(c.snapshot.Config.Subscriptions); n != 0 {
			t.Errorf("%d subscriptions after its deletion", n)
		}
	})
}

// spoiled makes the first route's content something no sidecar can read.
func spoiled(v server.View) server.View {
	for i, r := range v.Resources {
		if r.TypeURL == xds.TypeRoute {
			v.Resources[i].Version += "-bad"
			v.Resources[i].Any = &anypb.Any{TypeUrl: r.TypeURL, Value: []byte{0xff}}
			return v
		}
	}
	return v
}

func (c *Client) refuses(resource string) bool {
	for _, r := range c.Status().Resources {
		if r.Name == resource && r.State == Nacked && strings.HasSuffix(r.RejectedVersion, "-bad") {
			return true
		}
	}
	return false
}

func TestOurOwnControlPlaneSendsNothingTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		state := filepath.Join(t.TempDir(), "last-good.json")
		var snapshots []*Snapshot
		start := func(p *plane) (c *Client, stop func()) {
			c = newClient(t, options(func(o *Options) {
				o.DialOptions, o.Node.Labels = []grpc.DialOption{p.dial}, map[string]string{"app": "billing"}
				o.StateFile = state
				o.Apply = func(s *Snapshot) Refusals { snapshots = append(snapshots, s); return nil }
			}))
			return c, run(t, c)
		}
		first := startPlane(t)
		first.Update(view(t, "shop/orders"))
		c, stop := start(first)
		if err := c.Await(t.Context(), name(t, "shop/orders")); err != nil {
			t.Fatal(err)
		}
		stop()
		first.stop()

		// Both processes are new; the sidecar starts from disk, the plane has what it
		// had, and counts the sidecar as in step without sending a resource.
		second := startPlane(t)
		defer second.stop()
		second.Update(view(t, "shop/orders"))
		snapshots = nil
		c, stop = start(second)
		defer stop()
		second.inForce(t, 5)
		if len(snapshots) != 1 || !snapshots[0].FromDisk {
			t.Errorf("%d snapshots, want the one from disk", len(snapshots))
		}
		if st := c.Status(); st.FromDisk || !st.Connected {
			t.Errorf("fromDisk=%v connected=%v, want the plane to have confirmed it", st.FromDisk, st.Connected)
		}
	})
}

func TestAnotherServiceIsSpokenBesideTheStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := startPlane(t)
		began, ended := 0, 0
		c := newClient(t, options(func(o *Options) {
			o.DialOptions = []grpc.DialOption{p.dial}
			o.Backoff = func(int) time.Duration { return time.Second }
			o.Beside = func(ctx context.Context, conn grpc.ClientConnInterface) {
				began++
				if conn == nil {
					t.Error("no connection")
				}
				<-ctx.Done()
				ended++
			}
		}))
		stop := run(t, c)
		synctest.Wait()
		if began != 0 {
			t.Error("it is spoken before the control plane has answered")
		}
		p.Update(view(t, "shop/orders"))
		<-time.After(2 * time.Second)
		synctest.Wait()
		if began != 1 || ended != 0 {
			t.Errorf("began %d times and ended %d times, want once and not at all", began, ended)
		}
		p.Close() // ends the stream
		<-time.After(time.Minute)
		synctest.Wait()
		if began != 1 || ended != 1 {
			t.Errorf("after the end of the stream: began %d times and ended %d times", began, ended)
		}
		stop()
		p.stop()
	})
}

package pool_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warrenmesh/warren/internal/budget"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/membroker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/pool"
)

// pick returns the address of the node that is chosen.
func (r *rig) pick(tried ...pool.Node) string {
	r.t.Helper()
	n, err := r.Claim(r.t.Context(), main, "", tried)
	if err != nil {
		r.t.Fatal(err)
	}
	return n.Address()
}

// claim claims until it is the node of a driver.
func (r *rig) claim(d *driver) pool.Node {
	r.t.Helper()
	for range 100 {
		n, err := r.Claim(r.t.Context(), main, "", nil)
		if err != nil {
			r.t.Fatal(err)
		}
		if n.Address() == d.address {
			return n
		}
	}
	r.t.Fatalf("node %s is never claimed", d.address)
	return nil
}

// picks returns the addresses of n choices, each once, in order.
func (r *rig) picks(n int) string {
	r.t.Helper()
	var all []string
	for range n {
		all = append(all, r.pick())
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), "")
}

// pickConsumers is picks for consumers.
func (r *rig) pickConsumers(n int) string {
	r.t.Helper()
	var all []string
	for range n {
		d, err := r.PickConsumer(main)
		if err != nil {
			r.t.Fatal(err)
		}
		all = append(all, d.(*driver).address)
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), "")
}

func (r *rig) fail(node, times int) {
	n := r.claim(r.built[node])
	for range times {
		n.Answered(&broker.Error{Kind: broker.ConfirmTimeout, Outcome: broker.Unknown, Op: "publish"})
	}
}

func TestPickTakesTurnsAndPassesOverWhatIsDownTriedOrSecond(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := rabbit("a", "b", "c")
	b.Nodes[2].Priority = 1
	r.apply(b)
	if first, second, third := r.pick(), r.pick(), r.pick(); first == second || first != third || first == "c" {
		t.Errorf("picked %s, %s, %s; want a and b in turn", first, second, third)
	}
	if got := r.pick(r.claim(r.built[0])); got != "b" {
		t.Errorf("with a tried: %s, want b", got)
	}
	if got := r.pick(r.claim(r.built[0]), r.claim(r.built[1])); got != "c" {
		t.Errorf("with a and b tried: %s, want c", got)
	}
	tried := r.claim(r.built[0])
	b = rabbit("a", "b", "c") // another configuration, of the same nodes
	b.Nodes[1].Priority = 1
	r.apply(b)
	if one, two := r.pick(tried), r.pick(tried); one != "c" || two != "c" {
		t.Errorf("with a tried under the configuration before: %s, %s; want c twice", one, two)
	}
	b.Nodes[1].Priority, b.Nodes[2].Priority = 0, 1
	r.apply(b)
	r.built[1].set(func(s *broker.State) { s.Publishing = false })
	if one, two := r.pick(), r.pick(); one != "a" || two != "a" {
		t.Errorf("with b down: %s, %s; want a twice", one, two)
	}
}

// Two topics on two brokers that are published to by turns are no reason to use
// half of the nodes only.
func TestEachBrokerTakesTurnsOfItsOwn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	other := mesh.Name{Namespace: "shop", Name: "other"}
	if err := r.Apply(map[mesh.Name]*mesh.Broker{main: rabbit("a", "b"), other: rabbit("c", "d")}, nil); err != nil {
		t.Fatal(err)
	}
	var picked []string
	for range 2 {
		for _, name := range []mesh.Name{main, other} {
			n, err := r.Claim(t.Context(), name, "", nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.PickConsumer(name); err != nil {
				t.Fatal(err)
			}
			picked = append(picked, n.Address())
		}
	}
	slices.Sort(picked)
	if got := strings.Join(picked, ""); got != "abcd" {
		t.Errorf("published to %s, want each node once", got)
	}
}

// zoned is a broker with nodes a and b in zone x, and c in zone y.
func zoned() *mesh.Broker {
	b := rabbit("a", "b", "c")
	b.Nodes[0].Zone, b.Nodes[1].Zone, b.Nodes[2].Zone = "x", "x", "y"
	return b
}

func TestNodesOfTheSidecarsZoneArePreferred(t *testing.T) {
	t.Parallel()
	for zone, want := range map[string]string{"x": "ab", "y": "c", "": "abc", "elsewhere": "abc"} {
		t.Run("in zone "+zone, func(t *testing.T) {
			t.Parallel()
			r := newRigIn(t, zone)
			r.apply(zoned())
			if got := r.picks(6); got != want {
				t.Errorf("published to %s, want %s", got, want)
			}
			if got := r.pickConsumers(6); got != want {
				t.Errorf("consumed from %s, want %s", got, want)
			}
		})
	}
	t.Run("and others stand in while none of them is up", func(t *testing.T) {
		t.Parallel()
		r := newRigIn(t, "x")
		r.apply(zoned())
		r.built[0].set(func(s *broker.State) { *s = broker.State{} })
		if got := r.picks(4) + r.pickConsumers(4); got != "bb" {
			t.Errorf("with a down: %s, want b twice", got)
		}
		r.built[1].set(func(s *broker.State) { *s = broker.State{} })
		if got := r.picks(4) + r.pickConsumers(4); got != "cc" {
			t.Errorf("with a and b down: %s, want c twice", got)
		}
		r.built[0].set(func(s *broker.State) { s.Publishing, s.Consuming = true, true })
		if got := r.picks(4) + r.pickConsumers(4); got != "aa" {
			t.Errorf("with a back: %s, want a twice", got)
		}
	})
	t.Run("but priority comes first, and follows the configuration", func(t *testing.T) {
		t.Parallel()
		r := newRigIn(t, "y")
		b := zoned()
		b.Nodes[2].Priority = 1
		r.apply(b)
		if got := r.picks(6); got != "ab" {
			t.Errorf("published to %s, want ab", got)
		}
		r.apply(zoned())
		if got := r.picks(6); got != "c" {
			t.Errorf("published to %s after priorities were given up, want c", got)
		}
	})
}

func TestABlockedNodeIsPassedOver(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.apply(rabbit("a", "b"))
	r.built[0].set(func(s *broker.State) { s.Publishing, s.Blocked = false, true })
	if got := r.picks(4); got != "b" {
		t.Errorf("published to %s, want b", got)
	}
	if got := r.pickConsumers(4); got != "ab" {
		t.Errorf("consumed from %s, want ab: an alarm does not stop consumers", got)
	}
	r.built[1].set(func(s *broker.State) { *s = broker.State{} })
	if got := r.picks(4); got != "a" {
		t.Errorf("with b down published to %s, want a, which tells of the alarm", got)
	}
}

func TestANodeThatKeepsFailingIsAvoidedForAWhile(t *testing.T) {
	t.Parallel()
	t.Run("after five failures in a row", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.apply(rabbit("a", "b"))
			r.fail(0, 4)
			r.claim(r.built[0]).Answered(nil)
			r.fail(0, 4)
			if got := r.picks(4); got != "ab" {
				t.Errorf("published to %s after 4 failures, want ab", got)
			}
			r.fail(0, 1)
			if got := r.picks(4) + r.pickConsumers(4); got != "bb" {
				t.Errorf("published and consumed from %s after 5 failures, want bb", got)
			}
			if got := r.Conditions()[0].Reason; !strings.HasPrefix(got, "avoided") {
				t.Errorf("its state says %q", got)
			}
			<-time.After(time.Second) // of the bubble
			if got := r.picks(4); got != "ab" {
				t.Errorf("published to %s a second later, want ab", got)
			}
		})
	})
	t.Run("over configurations", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		r.apply(rabbit("a", "b"))
		r.fail(0, 5)
		r.apply(rabbit("a", "b", "c"))
		if got := r.picks(6); got != "bc" {
			t.Errorf("published to %s, want bc", got)
		}
	})
	t.Run("but not when it is the last", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		r.apply(rabbit("a", "b"))
		r.built[1].set(func(s *broker.State) { *s = broker.State{} })
		r.fail(0, 50)
		if got := r.picks(4); got != "a" {
			t.Errorf("published to %s, want a: b is down", got)
		}
		r.apply(rabbit("a"))
		r.fail(0, 50)
		if got := r.picks(4); got != "a" {
			t.Errorf("published to %s, want a: there is no other", got)
		}
	})
	t.Run("and what is not known any more counts for nobody", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		r.apply(rabbit("a", "b"))
		gone := r.claim(r.built[0])
		r.apply(rabbit("b", "c"))
		gone.Answered(nil)
		gone.Answered(errors.New("closed"))
		if got := r.picks(4); got != "bc" {
			t.Errorf("published to %s, want bc", got)
		}
	})
}

// Budget: no allocation, for the claim and for what becomes of it.
func BenchmarkClaim(b *testing.B) {
	broke := membroker.New(membroker.Options{})
	defer broke.Close()
	p := pool.New(pool.Options{
		NewDriver: func(*mesh.Broker, mesh.Node) (broker.Driver, error) {
			return queueing.NewNode(broke.Node(membroker.NodeOptions{})), nil
		},
		Logger: slog.New(slog.DiscardHandler),
	})
	p.Start(b.Context())
	defer func() { _ = p.Stop(context.Background()) }()
	if err := p.Apply(map[mesh.Name]*mesh.Broker{main: rabbit("a", "b", "c")}, nil); err != nil {
		b.Fatal(err)
	}
	budget.Allocs(b, 0)
	for b.Loop() {
		n, err := p.Claim(b.Context(), main, "", nil)
		if err != nil {
			b.Fatal(err)
		}
		n.Answered(nil)
	}
}

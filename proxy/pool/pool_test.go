package pool_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/warrenmesh/warren/internal/brokertest/one"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/membroker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/pool"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var main = mesh.Name{Namespace: "shop", Name: "main"}

// driver is a node that does as it is told. Publishing and consuming are not its
// part here.
type driver struct {
	broker.Driver
	address string
	stopped chan struct{} // closed when Run has returned
	started atomic.Bool

	mu       sync.Mutex
	state    broker.State            // guarded by mu
	answers  map[string]func() error // guarded by mu; by subscription, what Ensure comes to; that of Keep by "keep"
	declared []string                // guarded by mu; subscriptions, in order
	kept     []string                // guarded by mu; what Keep was told, each time, in order
}

// keeps lists what Keep was told, and forgets it.
func (d *driver) keeps() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	kept := d.kept
	d.kept = nil
	return kept
}

func (d *driver) Run(ctx context.Context) error {
	d.started.Store(true)
	<-ctx.Done()
	close(d.stopped)
	return nil
}

// Ensure waits while the driver is down, as real ones do.
func (d *driver) Ensure(ctx context.Context, o broker.Object) error {
	for !d.State().Consuming {
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return &broker.Error{Kind: broker.Unavailable, Op: "declare", Err: ctx.Err()}
		}
	}
	name := o.Subscription.Name.Name
	if err := d.answered(name); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.declared = append(d.declared, name)
	return nil
}

func (d *driver) Keep(_ context.Context, objects []broker.Object) error {
	var names []string
	for _, o := range objects {
		names = append(names, o.Subscription.Name.Name)
	}
	slices.Sort(names)
	d.mu.Lock()
	d.kept = append(d.kept, strings.Join(names, " "))
	d.mu.Unlock()
	return d.answered("keep")
}

func (d *driver) Same(a, b broker.Object) bool { return reflect.DeepEqual(a, b) }

func (d *driver) answered(what string) error {
	d.mu.Lock()
	answer := d.answers[what]
	d.mu.Unlock()
	if answer == nil {
		return nil
	}
	return answer()
}

func (d *driver) State() broker.State {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state
}

func (d *driver) set(change func(*broker.State)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(&d.state)
}

// answer makes declaring queue come to what f says.
func (d *driver) answer(queue string, f func() error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.answers[queue] = f
}

func (d *driver) declarations(queue string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for _, q := range d.declared {
		if q == queue {
			n++
		}
	}
	return n
}

func (d *driver) runs() bool {
	select {
	case <-d.stopped:
		return false
	default:
		return true
	}
}

// rig is a pool of such drivers; built has them in order of construction. New
// drivers are up unless down says so.
type rig struct {
	*pool.Pool
	t     *testing.T
	built []*driver
	down  bool
}

func newRig(t *testing.T) *rig {
	t.Helper()
	return newRigIn(t, "")
}

// newRigIn is newRig for a sidecar in zone.
func newRigIn(t *testing.T, zone string) *rig {
	t.Helper()
	r := &rig{t: t}
	r.Pool = pool.New(pool.Options{
		Zone: zone,
		NewDriver: func(b *mesh.Broker, n mesh.Node) (broker.Driver, error) {
			if b.Type != mesh.RabbitMQ {
				return nil, errors.New("not supported")
			}
			d := &driver{address: n.Address, stopped: make(chan struct{}), answers: map[string]func() error{}}
			d.state = broker.State{Publishing: !r.down, Consuming: !r.down, Address: n.Address}
			if r.down {
				d.state.Reason = "connection refused"
			}
			r.built = append(r.built, d)
			return d, nil
		},
		Logger: slog.New(slog.DiscardHandler),
	})
	r.Start(t.Context())
	t.Cleanup(func() {
		if err := r.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *rig) apply(b *mesh.Broker, queues ...string) {
	r.t.Helper()
	if err := r.Apply(map[mesh.Name]*mesh.Broker{main: b}, map[mesh.Name][]pool.Declaration{main: declare(queues...)}); err != nil {
		r.t.Fatal(err)
	}
}

// object is a subscription of that name, and of a queue of that name and type.
func object(name, kind string) broker.Object {
	return broker.Object{Policy: mesh.Manage, Subscription: &mesh.Subscription{
		Name: mesh.Name{Namespace: "shop", Name: name}, Exchange: mesh.Exchange{Name: "orders", Type: "topic"},
		Queue: mesh.Queue{Name: name, Type: kind}, DeadLetterQueue: name + ".dead",
	}}
}

// declare makes a declaration for each queue, with the queue's name as its key.
func declare(queues ...string) []pool.Declaration {
	var out []pool.Declaration
	for _, q := range queues {
		out = append(out, pool.Declaration{Key: q, Object: object(q, "quorum")})
	}
	return out
}

func rabbit(addresses ...string) *mesh.Broker {
	b := &mesh.Broker{Name: main, Type: mesh.RabbitMQ, VHost: "/"}
	for _, a := range addresses {
		b.Nodes = append(b.Nodes, mesh.Node{Address: a})
	}
	return b
}

func conflict() error { return &broker.Error{Kind: broker.Conflict, Op: "declare queue"} }

func TestApplyKeepsWhatIsUnchangedAndStopsTheRest(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.apply(rabbit("a", "b"))
	a, b := r.built[0], r.built[1]
	raised := rabbit("c", "b")
	raised.Nodes[1].Priority = 1
	r.apply(raised)
	if len(r.built) != 3 {
		t.Fatalf("%d drivers were built, want 3: b is kept although its priority changed", len(r.built))
	}
	<-a.stopped
	if !b.runs() || !r.built[2].runs() {
		t.Error("a node that is in the configuration was stopped")
	}
	if err := r.Apply(nil, nil); err != nil {
		t.Fatal(err)
	}
	<-b.stopped
	<-r.built[2].stopped
	if _, err := r.Claim(t.Context(), main, "q", nil); broker.KindOf(err) != broker.Unavailable || broker.OutcomeOf(err) != broker.NotSent {
		t.Errorf("picked from a broker that is gone: %v", err)
	}
	if _, err := r.PickConsumer(main); broker.KindOf(err) != broker.Unavailable {
		t.Errorf("picked a consumer from a broker that is gone: %v", err)
	}
	if err := r.Ready(t.Context(), main, "q"); broker.KindOf(err) != broker.Unavailable {
		t.Errorf("a broker that is gone is ready: %v", err)
	}
}

func TestANodeIsRebuiltWhenItsConnectionMustBe(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*mesh.Broker){
		"the vhost":       func(b *mesh.Broker) { b.VHost = "other" },
		"the credentials": func(b *mesh.Broker) { b.Credentials = "rabbit" },
		"the heartbeat":   func(b *mesh.Broker) { b.Heartbeat = time.Second },
		"the address":     func(b *mesh.Broker) { b.Nodes[0].Address = "b" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.apply(rabbit("a"))
			changed := rabbit("a")
			change(changed)
			r.apply(changed)
			<-r.built[0].stopped
			if len(r.built) != 2 {
				t.Errorf("%d drivers were built, want 2", len(r.built))
			}
		})
	}
}

func TestABrokerWithoutDriverIsNamedAndEverythingStaysAsItIs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.apply(rabbit("a"), "q")
	odd := mesh.Name{Namespace: "shop", Name: "odd"}
	err := r.Apply(map[mesh.Name]*mesh.Broker{main: rabbit("b"), odd: {Name: odd, Type: mesh.Memory}}, nil)
	var bad pool.Unbuildable
	if !errors.As(err, &bad) || len(bad) != 1 || bad[odd] == nil {
		t.Errorf("error %v, want one that names shop/odd only", err)
	}
	if got := r.pick(); got != "a" {
		t.Errorf("claimed %s", got)
	}
	if !r.built[0].runs() {
		t.Error("the driver in use was stopped")
	}
	r.apply(rabbit("a"), "q") // Apply has no other way to tell that nothing is under way
	for _, d := range r.built[1:] {
		if d.started.Load() {
			t.Error("a driver of a refused configuration was started")
		}
	}
}

func TestStopEndsAllDriversAndLaterConfigurationsAreIgnored(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.apply(rabbit("a", "b"), "q")
	if err := r.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r.built[0].runs() || r.built[1].runs() {
		t.Error("a driver runs after Stop")
	}
	r.apply(rabbit("c"), "q")
	if len(r.built) != 2 {
		t.Error("Apply after Stop started a driver")
	}
}

func TestStopIsBounded(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	p := pool.New(pool.Options{
		NewDriver: func(*mesh.Broker, mesh.Node) (broker.Driver, error) { return stubborn{release: release}, nil },
		Logger:    slog.New(slog.DiscardHandler),
	})
	p.Start(t.Context())
	if err := p.Apply(map[mesh.Name]*mesh.Broker{main: rabbit("a")}, nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Stop(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Stop returned %v while a driver runs", err)
	}
	close(release)
	if err := p.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// stubborn ends when it wants to.
type stubborn struct {
	broker.Driver
	release chan struct{}
}

func (s stubborn) Run(context.Context) error { <-s.release; return nil }

func (stubborn) State() broker.State { return broker.State{} }

func (stubborn) Keep(context.Context, []broker.Object) error { return nil }

func TestADeclarationIsMadeOnceByEachNode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.apply(rabbit("a", "b"), "q")
		if err := r.Ready(t.Context(), main, "q"); err != nil {
			t.Fatal(err)
		}
		r.apply(rabbit("a", "b"), "q", "other")
		synctest.Wait()
		<-time.After(time.Hour)
		for _, d := range r.built {
			if q, other := d.declarations("q"), d.declarations("other"); q != 1 || other != 1 {
				t.Errorf("node %s declared q %d times and other %d times, want once each", d.address, q, other)
			}
		}
	})
}

func TestAConflictIsReturnedAtOnceAndHeals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.down = true
		r.apply(rabbit("a"), "q", "fine")
		r.built[0].answer("q", conflict)
		r.built[0].set(func(s *broker.State) { s.Publishing, s.Consuming = true, true })
		start := time.Now()
		if err := r.Ready(t.Context(), main, "q"); broker.KindOf(err) != broker.Conflict {
			t.Fatalf("Ready: %v, want the conflict", err)
		}
		if waited := time.Since(start); waited > 10*time.Millisecond {
			t.Errorf("the conflict was told after %v", waited)
		}
		if err := r.Ready(t.Context(), main, "fine"); err != nil {
			t.Errorf("the other declaration: %v", err)
		}
		if u := r.Undeclared(); len(u) != 1 || u[0].Broker != main || u[0].Key != "q" || broker.KindOf(u[0].Err) != broker.Conflict {
			t.Errorf("undeclared: %+v, want q with its conflict", u)
		}
		r.built[0].answer("q", nil) // somebody deleted the queue that was in the way
		<-time.After(6 * time.Second)
		if err := r.Ready(t.Context(), main, "q"); err != nil {
			t.Errorf("after it was healed: %v", err)
		}
		if u := r.Undeclared(); len(u) != 0 {
			t.Errorf("undeclared after it was healed: %+v", u)
		}
		if n := r.built[0].declarations("fine"); n != 1 {
			t.Errorf("what was declared already was declared %d times", n)
		}
	})
}

func TestOneNodeThatCanDeclareIsEnough(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.down = true
		r.apply(rabbit("a", "b"), "q")
		r.built[1].set(func(s *broker.State) { s.Consuming = true })
		if err := r.Ready(t.Context(), main, "q"); err != nil {
			t.Error(err)
		}
	})
}

// What nobody wants any more must not appear on the broker: an orphaned queue
// keeps events for ever.
func TestADeclarationThatIsDroppedIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	t.Run("after a conflict", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.down = true
			r.apply(rabbit("a"), "q")
			r.built[0].answer("q", conflict)
			r.built[0].set(func(s *broker.State) { s.Consuming = true })
			if err := r.Ready(t.Context(), main, "q"); broker.KindOf(err) != broker.Conflict {
				t.Fatal(err)
			}
			r.apply(rabbit("a"))
			r.built[0].answer("q", nil)
			<-time.After(time.Hour)
			if n := r.built[0].declarations("q"); n != 0 {
				t.Errorf("declared %d times", n)
			}
		})
	})
	t.Run("while the broker was away", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.down = true
			r.apply(rabbit("a"), "q")
			synctest.Wait()
			r.apply(rabbit("a"), "new")
			r.built[0].set(func(s *broker.State) { s.Consuming = true })
			if err := r.Ready(t.Context(), main, "new"); err != nil {
				t.Fatal(err)
			}
			if n := r.built[0].declarations("q"); n != 0 {
				t.Errorf("declared %d times", n)
			}
		})
	})
}

func TestANodeIsToldWhatIsWantedUntilItHasKeptIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.apply(rabbit("a"), "p", "q")
		synctest.Wait()
		d := r.built[0]
		if got := slices.Compact(d.keeps()); !slices.Equal(got, []string{"p q"}) {
			t.Errorf("kept %q", got)
		}
		d.answer("keep", func() error { return errors.New("not now") })
		r.apply(rabbit("a"), "q")
		<-time.After(12 * time.Second)
		d.answer("keep", nil)
		<-time.After(time.Hour)
		if got := d.keeps(); len(got) < 3 || slices.ContainsFunc(got, func(s string) bool { return s != "q" }) {
			t.Errorf("after failures and a success it was told %q", got)
		}
		if n := d.declarations("q"); n != 1 {
			t.Errorf("what stayed was declared %d times", n)
		}
	})
}

func TestReadyFollowsAChangeOfTheDeclarationItWaitsFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.down = true
		r.apply(rabbit("a"), "q")
		ready := make(chan error, 1)
		go func() { ready <- r.Ready(t.Context(), main, "q") }()
		synctest.Wait()
		classic := []pool.Declaration{{Key: "q", Object: object("q", "classic")}}
		r.down = false
		if err := r.Apply(map[mesh.Name]*mesh.Broker{main: rabbit("b")}, map[mesh.Name][]pool.Declaration{main: classic}); err != nil {
			t.Fatal(err)
		}
		if err := <-ready; err != nil {
			t.Error(err)
		}
	})
}

// Another address may be another broker altogether.
func TestWhatTheOldNodesDeclaredIsNotTakenForTheNewOnes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.apply(rabbit("a"), "q")
		if err := r.Ready(t.Context(), main, "q"); err != nil {
			t.Fatal(err)
		}
		r.down = true
		r.apply(rabbit("b"), "q")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Ready(ctx, main, "q"); broker.KindOf(err) != broker.Unavailable {
			t.Errorf("Ready: %v, though the new node is down and has declared nothing", err)
		}
	})
}

func TestReadyWaitsForABrokerAndSaysWhyItCannotBeReached(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.down = true
		r.apply(rabbit("a", "b"), "q")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := r.Ready(ctx, main, "q")
		if broker.KindOf(err) != broker.Unavailable || broker.OutcomeOf(err) != broker.NotSent {
			t.Fatalf("Ready: %v, want Unavailable and not sent", err)
		}
		for _, want := range []string{"q", "shop/main", "node a: connection refused", "node b: connection refused"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q does not say %q", err, want)
			}
		}
		r.built[0].set(func(s *broker.State) { *s = broker.State{Publishing: true, Consuming: true} })
		if err := r.Ready(t.Context(), main, "q"); err != nil {
			t.Errorf("once it is back: %v", err)
		}
	})
}

func TestStopEndsThoseWhoWaitForADeclaration(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.down = true
		r.apply(rabbit("a"), "q")
		ready := make(chan error, 1)
		go func() { ready <- r.Ready(t.Context(), main, "q") }()
		synctest.Wait()
		if err := r.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-ready; broker.KindOf(err) != broker.Unavailable {
			t.Errorf("Ready: %v, want Unavailable", err)
		}
	})
}

func TestAKeyWithoutDeclarationIsReady(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.apply(rabbit("a"))
	if err := r.Ready(t.Context(), main, "q"); err != nil {
		t.Error(err)
	}
}

func TestUnready(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		states []broker.State
		want   string // "" means ready
	}{
		"all are up":                     {[]broker.State{{Publishing: true, Consuming: true}}, ""},
		"one of two is up":               {[]broker.State{{Reason: "away"}, {Publishing: true, Consuming: true}}, ""},
		"all are down":                   {[]broker.State{{Address: "a", Reason: "away"}, {Address: "b", Reason: "gone"}}, "broker shop/main: node a: away; node b: gone"},
		"one can only publish":           {[]broker.State{{Address: "a", Publishing: true, Reason: "no consumer"}}, "broker shop/main: node a: no consumer"},
		"an alarm is the broker's state": {[]broker.State{{Blocked: true, Consuming: true, Reason: "memory"}}, ""},
		"a node without address is one":  {[]broker.State{{Reason: "away"}}, "broker shop/main: node: away"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			var addresses []string
			for i := range test.states {
				addresses = append(addresses, fmt.Sprint(i))
			}
			r.apply(rabbit(addresses...))
			for i, s := range test.states {
				r.built[i].set(func(have *broker.State) { *have = s })
			}
			got := ""
			if err := r.Unready(); err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("unready because %q, want %q", got, test.want)
			}
			if n := len(r.Conditions()); n != len(test.states) {
				t.Errorf("%d conditions, want %d", n, len(test.states))
			}
		})
	}
}

func TestASidecarIsReadyOnlyAfterItsFirstTopologyWasTried(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.down = true
		r.apply(rabbit("a"), "q", "odd")
		slow := make(chan struct{})
		r.built[0].answer("q", func() error { <-slow; return nil })
		r.built[0].answer("odd", conflict)
		r.built[0].set(func(s *broker.State) { *s = broker.State{Publishing: true, Consuming: true} })
		<-time.After(time.Second) // of the bubble
		if err := r.Unready(); err == nil || !strings.Contains(err.Error(), "is not declared yet") {
			t.Errorf("while q is being declared: unready because %v", err)
		}
		close(slow)
		<-time.After(time.Second) // of the bubble
		if err := r.Unready(); err != nil {
			t.Errorf("with q declared and odd refused: unready because %v", err)
		}
		later := make(chan struct{})
		r.built[0].answer("later", func() error { <-later; return nil })
		r.apply(rabbit("a"), "q", "odd", "later")
		<-time.After(time.Second) // of the bubble
		if err := r.Unready(); err != nil {
			t.Errorf("while a later topic is being declared: unready because %v", err)
		}
		close(later)
	})
}

func TestAMemoryBrokerHasOneNode(t *testing.T) {
	t.Parallel()
	b := membroker.New(membroker.Options{})
	t.Cleanup(b.Close)
	p := pool.New(pool.Options{
		NewDriver: func(*mesh.Broker, mesh.Node) (broker.Driver, error) {
			return queueing.NewNode(b.Node(membroker.NodeOptions{})), nil
		},
		Logger: slog.New(slog.DiscardHandler),
	})
	p.Start(t.Context())
	t.Cleanup(func() { _ = p.Stop(context.Background()) })
	err := p.Apply(map[mesh.Name]*mesh.Broker{main: {Name: main, Type: mesh.Memory}}, map[mesh.Name][]pool.Declaration{main: declare("q")})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	n, err := p.Claim(ctx, main, "q", nil)
	if err != nil {
		t.Fatal(err)
	}
	receipt, err := one.Publish(ctx, n.Publish, &broker.Message{To: &mesh.Destination{Exchange: mesh.Exchange{Name: "orders"}, Mandatory: true}, Event: &event.Event{ID: "1", Source: "/s", Type: "t"}})
	if err == nil {
		err = receipt.Wait(ctx)
	}
	if err != nil || len(b.Peek("q", 2)) != 1 {
		t.Errorf("publish to what was declared: %v", err)
	}
}

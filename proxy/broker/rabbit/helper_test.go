package rabbit

import (
	"context"
	"crypto/rand"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/internal/brokertest/one"
	"github.com/warrenmesh/warren/internal/queueingtest"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/event"
)

// patience bounds every wait of a test.
const patience = 4 * time.Minute

// server returns where the RabbitMQ for tests is. make test provides it; -short
// does without.
func server(t *testing.T) amqp.URI {
	t.Helper()
	address := os.Getenv("AMQP_URL")
	if address == "" {
		if testing.Short() {
			t.Skip("needs a RabbitMQ in AMQP_URL; -short runs without")
		}
		t.Fatal("AMQP_URL is not set: run by `make test`, which provides a RabbitMQ, or with -short")
	}
	uri, err := amqp.ParseURI(address)
	if err != nil {
		t.Fatalf("parse AMQP_URL: %v", err)
	}
	return uri
}

func hostPort(u amqp.URI) string { return net.JoinHostPort(u.Host, strconv.Itoa(u.Port)) }

// options returns those for a node at address on the server of u.
func options(t *testing.T, u amqp.URI, address string) Options {
	return Options{
		Address: address, VHost: u.Vhost, ConnectionName: t.Name()[:min(len(t.Name()), 200)],
		Credentials: func() (string, string, error) { return u.Username, u.Password, nil },
	}
}

// fixture is a running node with a plain client beside it.
type fixture struct {
	*testing.T
	node   *Node
	proxy  *queueingtest.Proxy // between node and broker
	plain  *amqp.Channel       // of a client that is not ours
	prefix string
}

func newFixture(t *testing.T, change ...func(*Options)) *fixture {
	t.Helper()
	return newFixtureOn(t, server(t), change...)
}

// newFixtureOn is newFixture on a broker of the test's own.
func newFixtureOn(t *testing.T, u amqp.URI, change ...func(*Options)) *fixture {
	t.Helper()
	f := &fixture{T: t, proxy: queueingtest.NewProxy(t, hostPort(u)), prefix: "rabbit." + strings.ToLower(rand.Text()[:10]) + "."}
	f.plain = dialPlainTo(t, u.String())
	o := options(t, u, f.proxy.Addr())
	for _, c := range change {
		c(&o)
	}
	f.node = New(o)
	runNode(t, f.node)
	f.await("the node is up", func(s broker.State) bool { return s.Publishing && s.Consuming })
	return f
}

// runNode runs n until the test ends.
func runNode(t *testing.T, n *Node) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(patience):
			t.Error("Run did not return after its context's end")
		}
	}
	t.Cleanup(stop)
	return stop
}

// dialPlain opens a channel of an ordinary client.
func dialPlain(t *testing.T) *amqp.Channel {
	t.Helper()
	server(t)
	return dialPlainTo(t, os.Getenv("AMQP_URL"))
}

func dialPlainTo(t *testing.T, url string) *amqp.Channel {
	t.Helper()
	conn, err := amqp.Dial(url)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	ch, err := conn.Channel()
	if err != nil {
		t.Fatalf("open channel: %v", err)
	}
	return ch
}

// name returns a name that is this test's own.
func (f *fixture) name(s string) string { return f.prefix + s }

func (f *fixture) context() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	f.Cleanup(cancel)
	return ctx
}

// ensure declares t under Manage, and deletes it at the end.
func (f *fixture) ensure(t queueing.Topology) {
	f.Helper()
	t.Policy = mesh.Manage
	f.Cleanup(func() { deleteTopology(f.T, t) })
	if err := f.node.EnsureTopology(f.context(), t); err != nil {
		f.Fatalf("ensure topology: %v", err)
	}
}

// deleteTopology removes what t declares; missing objects are no error in RabbitMQ.
func deleteTopology(t *testing.T, topology queueing.Topology) {
	t.Helper()
	ch := dialPlain(t)
	for _, q := range topology.Queues {
		if _, err := ch.QueueDelete(q.Name, false, false, false); err != nil {
			t.Errorf("delete queue: %v", err)
		}
	}
	exchanges := slices.Clone(topology.Exchanges)
	for _, p := range topology.Partitioners {
		exchanges = append(exchanges, mesh.Exchange{Name: p.Name}, mesh.Exchange{Name: p.Name + ".unpartitioned"})
	}
	for _, x := range exchanges {
		if err := ch.ExchangeDelete(x.Name, false, false); err != nil {
			t.Errorf("delete exchange: %v", err)
		}
	}
}

// queue declares a quorum queue and returns its name.
func (f *fixture) queue(name string) string {
	f.Helper()
	f.ensure(queueing.Topology{Queues: []queueing.Queue{{Name: f.name(name), Type: "quorum"}}})
	return f.name(name)
}

// await polls the node's state, which has no other signal for tests.
func (f *fixture) await(what string, ok func(broker.State) bool) {
	f.Helper()
	f.poll(what, func() bool { return ok(f.node.State()) })
}

func (f *fixture) poll(what string, ok func() bool) {
	f.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			f.Fatalf("waited %v until %s; state %+v", patience, what, f.node.State())
		}
	}
}

func exchangesOf(name string) []mesh.Exchange { return []mesh.Exchange{{Name: name, Type: "topic"}} }

func newEvent(id string) *event.Event {
	return &event.Event{ID: id, Source: "/test", Type: "io.warrenmesh.test", Data: []byte("data of " + id)}
}

// toQueue is a message to a queue by the default exchange.
func toQueue(queue, id string) *queueing.Message {
	return &queueing.Message{RoutingKey: queue, Event: newEvent(id), Mandatory: true, Persistent: true}
}

// toPlain is what a client without events publishes.
func toPlain(id string) amqp.Publishing {
	return amqp.Publishing{MessageId: id, Body: []byte(id)}
}

func (f *fixture) publish(m *queueing.Message) error {
	f.Helper()
	ctx := f.context()
	r, err := one.Publish(ctx, f.node.Publish, *m)
	if err != nil {
		return err
	}
	return r.Wait(ctx)
}

func (f *fixture) mustPublish(m *queueing.Message) {
	f.Helper()
	if err := f.publish(m); err != nil {
		f.Fatalf("publish %s: %v", m.Event.ID, err)
	}
}

// consumption is a running consumer.
type consumption struct {
	f     *fixture
	out   chan *queueing.Delivery
	stop  context.CancelFunc
	ended chan struct{}
	drain func()
	err   error
}

func (f *fixture) consume(queue string, prefetch int) *consumption {
	f.Helper()
	return f.consumeWith(queueing.ConsumeOptions{Queue: queue, Prefetch: prefetch, Tag: "test"})
}

func (f *fixture) consumeWith(o queueing.ConsumeOptions) *consumption {
	f.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c := &consumption{f: f, out: make(chan *queueing.Delivery, 1024), stop: cancel, ended: make(chan struct{})}
	go func() {
		defer close(c.ended)
		c.drain, c.err = f.node.Consume(ctx, o, one.Each(func(d *queueing.Delivery) { c.out <- d }))
	}()
	f.Cleanup(func() {
		cancel()
		<-c.ended
		c.drain()
	})
	return c
}

func (c *consumption) next() *queueing.Delivery {
	c.f.Helper()
	select {
	case d := <-c.out:
		return d
	case <-c.ended:
		c.f.Fatalf("consumer ended: %v", c.err)
	case <-time.After(patience):
		c.f.Fatalf("no delivery within %v", patience)
	}
	return nil
}

func wantKind(t *testing.T, err error, kind broker.Kind, outcome broker.Outcome) {
	t.Helper()
	if broker.KindOf(err) != kind || broker.OutcomeOf(err) != outcome {
		t.Fatalf("error %v is %v, %v; want %v, %v", err, broker.KindOf(err), broker.OutcomeOf(err), kind, outcome)
	}
}

// attributes flattens an event for comparison: "name=Kind:text".
func attributes(e *event.Event) map[string]string {
	m := map[string]string{"id": e.ID, "source": e.Source, "type": e.Type, "data": string(e.Data)}
	for _, a := range e.Attrs {
		m[a.Name] = a.Value.Kind().String() + ":" + a.Value.String()
	}
	return m
}

func wantAttributes(t *testing.T, d *queueing.Delivery, want map[string]string) {
	t.Helper()
	if d.Malformed != nil {
		t.Fatalf("malformed: %v", d.Malformed)
	}
	got := attributes(d.Event)
	for name, v := range want {
		if got[name] != v {
			t.Errorf("attribute %s is %q, want %q", name, got[name], v)
		}
	}
	for name, v := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("unexpected attribute %s=%q", name, v)
		}
	}
}

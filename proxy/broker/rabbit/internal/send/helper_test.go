package send

import (
	"context"
	"crypto/rand"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/internal/brokertest/one"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/conn"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/layout"
	"github.com/warrenmesh/warren/proxy/event"
)

// patience bounds every wait of a test.
const patience = 4 * time.Minute

// fixture is a running link with a sender on it, and a plain client beside it.
type fixture struct {
	*testing.T
	sender *Sender
	link   *conn.Link
	plain  *amqp.Channel
	prefix string
}

// newFixture uses the RabbitMQ in AMQP_URL, which make test provides; -short does without.
func newFixture(t *testing.T, change ...func(*conn.Options)) *fixture {
	t.Helper()
	address := os.Getenv("AMQP_URL")
	if address == "" && testing.Short() {
		t.Skip("needs a RabbitMQ in AMQP_URL; -short runs without")
	}
	u, err := amqp.ParseURI(address)
	if err != nil {
		t.Fatalf("parse AMQP_URL, which `make test` provides: %v", err)
	}
	o := conn.Options{
		Address: net.JoinHostPort(u.Host, strconv.Itoa(u.Port)), VHost: u.Vhost,
		Credentials: func() (string, string, error) { return u.Username, u.Password, nil },
	}
	for _, c := range change {
		c(&o)
	}
	o = o.WithDefaults()
	f := &fixture{T: t, prefix: "send." + strings.ToLower(rand.Text()[:10]) + "."}
	f.link = conn.NewLink("publish", &o, func(_ context.Context, s *conn.Session) (func(context.Context), error) {
		return f.sender.Begin(s), nil
	})
	f.sender = New(f.link, layout.New(o.Logger), &o)
	f.dialPlain(address)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f.link.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	if _, err := f.link.Wait(f.context()); err != nil {
		t.Fatalf("the link does not come up: %v: %s", err, f.link.Why())
	}
	return f
}

func (f *fixture) dialPlain(url string) {
	f.Helper()
	client, err := amqp.Dial(url)
	if err != nil {
		f.Fatalf("dial: %v", err)
	}
	f.Cleanup(func() { _ = client.Close() })
	if f.plain, err = client.Channel(); err != nil {
		f.Fatalf("open channel: %v", err)
	}
}

func (f *fixture) context() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	f.Cleanup(cancel)
	return ctx
}

// name returns a name that is this test's own.
func (f *fixture) name(s string) string { return f.prefix + s }

// queue declares a quorum queue and returns its name.
func (f *fixture) queue(name string) string {
	f.Helper()
	f.declare(f.name(name), amqp.Table{"x-queue-type": "quorum"})
	return f.name(name)
}

// declare declares a queue, and deletes it at the end.
func (f *fixture) declare(queue string, args amqp.Table) {
	f.Helper()
	if _, err := f.plain.QueueDeclare(queue, true, false, false, false, args); err != nil {
		f.Fatalf("declare queue: %v", err)
	}
	f.Cleanup(func() {
		if _, err := f.plain.QueueDelete(queue, false, false, false); err != nil {
			f.Errorf("delete queue: %v", err)
		}
	})
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
			f.Fatalf("waited %v until %s", patience, what)
		}
	}
}

func (f *fixture) publish(m *queueing.Message) error {
	f.Helper()
	ctx := f.context()
	r, err := one.Publish(ctx, f.sender.Publish, *m)
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

func newEvent(id string) *event.Event {
	return &event.Event{ID: id, Source: "/test", Type: "io.warrenmesh.test", Data: []byte("data of " + id)}
}

// toQueue is a message to a queue by the default exchange.
func toQueue(queue, id string) *queueing.Message {
	return &queueing.Message{RoutingKey: queue, Event: newEvent(id), Mandatory: true, Persistent: true}
}

func wantKind(t *testing.T, err error, kind broker.Kind, outcome broker.Outcome) {
	t.Helper()
	if broker.KindOf(err) != kind || broker.OutcomeOf(err) != outcome {
		t.Fatalf("error %v is %v, %v; want %v, %v", err, broker.KindOf(err), broker.OutcomeOf(err), kind, outcome)
	}
}

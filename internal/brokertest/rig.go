package brokertest

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/warrenmesh/warren/internal/brokertest/one"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/event"
)

const (
	// patience bounds every wait; no behaviour is about being faster than it.
	patience = 2 * time.Minute
	// quiet is how long nothing must happen where nothing may happen. A driver that is
	// slow to do wrong passes; one that does right never fails.
	quiet = 100 * time.Millisecond
)

// rig is one behaviour's driver, with names of its own.
type rig struct {
	*testing.T
	harness *Harness
	driver  broker.Driver
	prefix  string
}

func newRig(t *testing.T, h *Harness) *rig {
	t.Helper()
	r := &rig{T: t, harness: h, driver: h.New(t), prefix: "brokertest." + strings.ToLower(rand.Text()[:10]) + "."}
	r.eventually("the driver is up", func() bool { s := r.driver.State(); return s.Publishing && s.Consuming })
	return r
}

// context returns one that ends with the behaviour, or when patience does.
func (r *rig) context() context.Context {
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	r.Cleanup(cancel)
	return ctx
}

// eventually waits for what has no signal.
func (r *rig) eventually(what string, ok func() bool) {
	r.Helper()
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	deadline := time.After(patience)
	for !ok() {
		select {
		case <-poll.C:
		case <-deadline:
			r.Fatalf("waited %v in vain until %s", patience, what)
		}
	}
}

// topic declares a topic that asks for a subscription.
func (r *rig) topic(name string) *mesh.Destination {
	r.Helper()
	to := &mesh.Destination{
		Topic: mesh.Name{Namespace: "brokertest", Name: name}, Exchange: mesh.Exchange{Name: r.prefix + name, Type: "topic"},
		Mandatory: true, Persistent: true, MaxEventBytes: 1 << 20,
	}
	r.ensure(broker.Object{Topic: to})
	return to
}

// undeclared is a subscription of a topic that is not declared yet.
func (r *rig) undeclared(to *mesh.Destination, name string) *mesh.Subscription {
	queue := r.prefix + name
	return &mesh.Subscription{
		Name: mesh.Name{Namespace: "brokertest", Name: name}, Topic: to.Topic, Exchange: to.Exchange,
		Queue:    mesh.Queue{Name: queue, Type: r.harness.QueueType, Prefetch: 10, MaxEventBytes: to.MaxEventBytes},
		Attempts: 3, Backoff: mesh.Backoff{Base: 20 * time.Millisecond, Max: 40 * time.Millisecond},
		DeadLetterQueue: queue + ".dead",
	}
}

// subscription declares a subscription of a topic.
func (r *rig) subscription(to *mesh.Destination, name string) *mesh.Subscription {
	r.Helper()
	s := r.undeclared(to, name)
	r.ensure(broker.Object{Subscription: s})
	return s
}

// ordered declares a subscription that is ordered by key, in two parts.
func (r *rig) ordered(to *mesh.Destination, name string) *mesh.Subscription {
	r.Helper()
	s := r.undeclared(to, name)
	s.Ordering, s.Partitions = mesh.PerKey, mesh.Partitions{Count: 2, Key: event.AttrPartitionKey}
	r.ensure(broker.Object{Subscription: s})
	return s
}

// ensure declares o, under Manage, and removes it at the end.
func (r *rig) ensure(o broker.Object) {
	r.Helper()
	o.Policy = mesh.Manage
	if err := r.driver.Ensure(r.context(), o); err != nil {
		r.Fatalf("ensure: %v", err)
	}
	if o.Subscription != nil && r.harness.Delete != nil {
		r.Cleanup(func() { r.harness.Delete(r.T, o.Subscription) })
	}
}

// message is event id on its way to a topic.
func message(to *mesh.Destination, id string) *broker.Message {
	return &broker.Message{To: to, Key: "a.key", Event: &event.Event{
		ID: id, Source: "/brokertest", Type: "io.warrenmesh.test", Data: []byte("data of " + id),
	}}
}

// numbered are ids in order.
func numbered(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("%03d", i))
	}
	return out
}

// publish publishes events in order, and waits for their confirms.
func (r *rig) publish(to *mesh.Destination, ids ...string) {
	r.Helper()
	var messages []*broker.Message
	for _, id := range ids {
		messages = append(messages, message(to, id))
	}
	r.send(messages...)
}

func (r *rig) send(messages ...*broker.Message) {
	r.Helper()
	for i, err := range r.outcomes(r.context(), messages) {
		if err != nil {
			r.Fatalf("confirm of %s: %v", messages[i].Event.ID, err)
		}
	}
}

// inbox is a receiver of a subscription.
type inbox struct {
	r     *rig
	came  chan *broker.Delivery
	lost  chan uint64
	leave context.CancelFunc
	ended chan error
	drain func() // set before ended has the error
}

// receive receives from a subscription, or a part of one.
func (r *rig) receive(s *mesh.Subscription, prefetch int, part ...string) *inbox {
	return r.receiveOn(r.driver, s, prefetch, part...)
}

func (r *rig) receiveOn(d broker.Driver, s *mesh.Subscription, prefetch int, part ...string) *inbox {
	return r.attach(d, broker.Receiving{Subscription: s, Part: strings.Join(part, ""), Prefetch: prefetch})
}

// receiveLimited receives from a subscription whose events have at most a KiB.
func (r *rig) receiveLimited(s *mesh.Subscription, prefetch int) *inbox {
	return r.attach(r.driver, broker.Receiving{Subscription: s, Prefetch: prefetch, Largest: 1 << 10})
}

func (r *rig) attach(d broker.Driver, from broker.Receiving) *inbox {
	ctx, leave := context.WithCancel(r.context())
	in := &inbox{r: r, came: make(chan *broker.Delivery, 1000), lost: make(chan uint64, 100), leave: leave, ended: make(chan error, 1)}
	from.Tag, from.Lost = "brokertest", func(_ string, epoch uint64) { in.lost <- epoch }
	go func() {
		var err error
		in.drain, err = d.Receive(ctx, from, one.Each(func(got *broker.Delivery) { in.came <- got }))
		in.ended <- err
	}()
	r.Cleanup(in.end)
	return in
}

// stop ends the flow; what came can still be settled.
func (in *inbox) stop() {
	in.leave()
	if err, ok := <-in.ended; ok {
		close(in.ended)
		if err != nil {
			in.r.Errorf("Receive: %v", err)
		}
	}
}

// end ends the flow and gives back what is not settled.
func (in *inbox) end() {
	in.stop()
	if in.drain != nil {
		in.drain()
	}
}

func (in *inbox) next() *broker.Delivery {
	in.r.Helper()
	select {
	case d := <-in.came:
		return d
	case <-time.After(patience):
		in.r.Fatalf("no delivery came within %v", patience)
		return nil
	}
}

// want returns the next deliveries, which are those of the events with these ids.
func (in *inbox) want(ids ...string) []*broker.Delivery {
	in.r.Helper()
	var out []*broker.Delivery
	var got []string
	for range ids {
		d := in.next()
		out, got = append(out, d), append(got, d.MessageID())
	}
	if !slices.Equal(got, ids) {
		in.r.Fatalf("delivered %v, want %v", got, ids)
	}
	return out
}

// acked is want, and acknowledges them.
func (in *inbox) acked(ids ...string) {
	in.r.Helper()
	for _, d := range in.want(ids...) {
		if err := d.Ack(); err != nil {
			in.r.Fatalf("ack of %s: %v", d.MessageID(), err)
		}
	}
}

// empty looks that nothing comes.
func (in *inbox) empty() {
	in.r.Helper()
	select {
	case d := <-in.came:
		in.r.Fatalf("%s came, want nothing", d.MessageID())
	case <-time.After(quiet):
	}
}

// settle carries an outcome of d out.
func (r *rig) settle(d *broker.Delivery, s broker.Settlement) {
	r.Helper()
	if err := d.Settle(r.context(), s); err != nil {
		r.Fatalf("settle %s: %v", d.MessageID(), err)
	}
}

func retry(s *mesh.Subscription, wish time.Duration) broker.Settlement {
	return broker.Settlement{Subscription: s, RetryAfter: &broker.RetryAfter{Wish: wish, Longest: time.Minute}}
}

func bury(s *mesh.Subscription) broker.Settlement {
	return broker.Settlement{Subscription: s, Bury: &broker.Bury{Reason: "rejected", Detail: "no such order"}}
}

// wantKind checks the classification of err.
func (r *rig) wantKind(err error, kind broker.Kind, outcome broker.Outcome) {
	r.Helper()
	if broker.KindOf(err) != kind || broker.OutcomeOf(err) != outcome {
		r.Fatalf("error is %v (%v, %v), want %v, %v", err, broker.KindOf(err), broker.OutcomeOf(err), kind, outcome)
	}
}

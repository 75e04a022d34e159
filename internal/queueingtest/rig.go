package queueingtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/warrenmesh/warren/internal/brokertest/one"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/event"
)

const (
	// patience bounds every wait; no behaviour is about being faster than it.
	patience = 4 * time.Minute
	// quiet is how long nothing must happen where nothing may happen. A driver that
	// is slow to do wrong passes; one that does right never fails.
	quiet = 100 * time.Millisecond
)

// rig is one behaviour's driver, with names of its own.
type rig struct {
	*testing.T
	harness *Harness
	driver  queueing.Driver
	restart func() // only of a rig that is alone
	prefix  string
}

func newRig(t *testing.T, h *Harness, alone bool) *rig {
	t.Helper()
	r := &rig{T: t, harness: h, prefix: "queueingtest." + strings.ToLower(rand.Text()[:10]) + "."}
	if alone {
		r.driver, r.restart = h.Alone(t)
	} else {
		r.driver = h.New(t)
	}
	r.awaitState("the driver is up", func(s broker.State) bool { return s.Publishing && s.Consuming })
	return r
}

// name returns a name that is this behaviour's own.
func (r *rig) name(s string) string { return r.prefix + s }

// context returns one that ends with the behaviour, or when patience does.
func (r *rig) context() context.Context {
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	r.Cleanup(cancel)
	return ctx
}

// join returns another driver on the same broker.
func (r *rig) join() queueing.Driver {
	r.Helper()
	if r.harness.Join != nil {
		return r.harness.Join(r.T, r.driver)
	}
	return r.harness.New(r.T)
}

// queueType is what the driver's queues are by default.
func (r *rig) queueType() string {
	if r.harness.Caps.QuorumQueue {
		return "quorum"
	}
	return ""
}

// ensure declares t, under Manage unless it says otherwise, and removes it at the
// end.
func (r *rig) ensure(t queueing.Topology) {
	r.Helper()
	if err := r.tryEnsure(t); err != nil {
		r.Fatalf("ensure topology: %v", err)
	}
}

func (r *rig) tryEnsure(t queueing.Topology) error {
	r.Helper()
	if t.Policy == 0 {
		t.Policy = mesh.Manage
	}
	if r.harness.Delete != nil && t.Policy == mesh.Manage && r.restart == nil {
		r.Cleanup(func() { r.harness.Delete(r.T, r.driver, t) })
	}
	return r.driver.EnsureTopology(r.context(), t)
}

// queue declares a queue bound to nothing, reachable by the default exchange, and
// returns its name.
func (r *rig) queue(name string) string {
	r.Helper()
	name = r.name(name)
	r.ensure(queueing.Topology{Queues: []queueing.Queue{{Name: name, Type: r.queueType()}}})
	return name
}

// exchange declares an exchange and one queue per key, named after the exchange
// and the key's place, and returns their names.
func (r *rig) exchange(name, kind string, keys ...string) (exchange string, queues []string) {
	r.Helper()
	exchange = r.name(name)
	t := queueing.Topology{Exchanges: []mesh.Exchange{{Name: exchange, Type: kind}}}
	for i, key := range keys {
		queue := fmt.Sprintf("%s.%d", exchange, i)
		queues = append(queues, queue)
		t.Queues = append(t.Queues, queueing.Queue{Name: queue, Type: r.queueType()})
		t.Bindings = append(t.Bindings, queueing.Binding{Exchange: exchange, Queue: queue, Key: key})
	}
	r.ensure(t)
	return exchange, queues
}

// newEvent makes an event whose id says which it is.
func newEvent(id string) *event.Event {
	return &event.Event{ID: id, Source: "/brokertest", Type: "io.warrenmesh.test", Data: []byte("data of " + id)}
}

// numbered returns the id of the i-th event of a sequence.
func numbered(i int) string { return fmt.Sprintf("%05d", i) }

// ids returns the ids of events from to to, both included.
func ids(from, to int) []string {
	var s []string
	for i := from; i <= to; i++ {
		s = append(s, numbered(i))
	}
	return s
}

// toQueue makes a message for one queue, by the default exchange.
func toQueue(queue, id string) *queueing.Message {
	return &queueing.Message{RoutingKey: queue, Event: newEvent(id), Mandatory: true, Persistent: true}
}

// publish publishes m and waits for its confirm.
func (r *rig) publish(m *queueing.Message) {
	r.Helper()
	if err := r.tryPublish(m); err != nil {
		r.Fatalf("publish %s: %v", m.Event.ID, err)
	}
}

func (r *rig) tryPublish(m *queueing.Message) error {
	ctx := r.context()
	receipt, err := one.Publish(ctx, r.driver.Publish, *m)
	if err != nil {
		return err
	}
	return receipt.Wait(ctx)
}

// publishAll publishes messages in order without waiting in between, then waits
// for every confirm.
func (r *rig) publishAll(messages ...*queueing.Message) {
	r.Helper()
	ctx := r.context()
	var receipts []*one.Receipt
	for _, m := range messages {
		receipt, err := one.Publish(ctx, r.driver.Publish, *m)
		if err != nil {
			r.Fatalf("publish %s: %v", m.Event.ID, err)
		}
		receipts = append(receipts, receipt)
	}
	for i, receipt := range receipts {
		if err := receipt.Wait(ctx); err != nil {
			r.Fatalf("confirm of %s: %v", messages[i].Event.ID, err)
		}
	}
}

// publishNumbered publishes events from to to into a queue.
func (r *rig) publishNumbered(queue string, from, to int) {
	r.Helper()
	var messages []*queueing.Message
	for _, id := range ids(from, to) {
		messages = append(messages, toQueue(queue, id))
	}
	r.publishAll(messages...)
}

// awaitState polls the driver's state, which has no signal.
func (r *rig) awaitState(what string, ok func(broker.State) bool) {
	r.Helper()
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	deadline := time.After(patience)
	for !ok(r.driver.State()) {
		select {
		case <-poll.C:
		case <-deadline:
			r.Fatalf("waited %v until %s; state is %+v", patience, what, r.driver.State())
		}
	}
}

// wantKind checks the classification of err.
func (r *rig) wantKind(err error, kind broker.Kind, outcomes ...broker.Outcome) {
	r.Helper()
	if got := broker.KindOf(err); got != kind {
		r.Fatalf("error is %v (%v), want kind %v", err, got, kind)
	}
	if len(outcomes) > 0 && !slices.Contains(outcomes, broker.OutcomeOf(err)) {
		r.Fatalf("outcome of %v is %v, want one of %v", err, broker.OutcomeOf(err), outcomes)
	}
}

// wantStale checks that a settlement was refused as stale.
func (r *rig) wantStale(err error) {
	r.Helper()
	if !errors.Is(err, broker.ErrStale) {
		r.Fatalf("settling a delivery of a closed channel returned %v, want ErrStale", err)
	}
}

// wantIDs compares ids in order.
func (r *rig) wantIDs(got, want []string) {
	r.Helper()
	if !slices.Equal(got, want) {
		r.Fatalf("got events %v, want %v", got, want)
	}
}

// inbox is a consumer under test: it passes on what its sink is given and settles
// nothing by itself.
type inbox struct {
	rig        *rig
	deliveries chan *queueing.Delivery
	losses     chan uint64 // epochs of channels that are gone
	cancel     context.CancelFunc
	ended      chan struct{} // closed when Consume has returned
	drain      func()        // set before ended
	err        error         // set before ended
}

// consume starts a consumer, which the end of the behaviour stops and drains.
func (r *rig) consume(queue string, prefetch int) *inbox {
	r.Helper()
	return r.consumeWith(r.driver, queue, prefetch)
}

func (r *rig) consumeWith(d queueing.Driver, queue string, prefetch int) *inbox {
	r.Helper()
	return r.consumeAs(d, queueing.ConsumeOptions{Queue: queue, Prefetch: prefetch})
}

// consumeAs is consume with options of its own.
func (r *rig) consumeAs(d queueing.Driver, opts queueing.ConsumeOptions) *inbox {
	r.Helper()
	ctx, cancel := context.WithCancel(r.Context())
	in := &inbox{rig: r, deliveries: make(chan *queueing.Delivery, 4096), losses: make(chan uint64, 64), cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(in.ended)
		opts.Tag, opts.Lost = "brokertest", func(epoch uint64) { in.losses <- epoch }
		in.drain, in.err = d.Consume(ctx, opts, one.Each(func(d *queueing.Delivery) { in.deliveries <- d }))
	}()
	r.Cleanup(in.end)
	return in
}

// next returns the next delivery, which must be an event.
func (in *inbox) next() *queueing.Delivery {
	in.rig.Helper()
	d := in.any()
	if d.Malformed != nil {
		in.rig.Fatalf("delivery is malformed: %v", d.Malformed)
	}
	return d
}

// any returns the next delivery.
func (in *inbox) any() *queueing.Delivery {
	in.rig.Helper()
	select {
	case d := <-in.deliveries:
		return d
	case <-in.ended:
		in.rig.Fatalf("consumer ended: %v", in.err)
	case <-time.After(patience):
		in.rig.Fatalf("no delivery within %v", patience)
	}
	return nil
}

// take returns the next n deliveries.
func (in *inbox) take(n int) []*queueing.Delivery {
	in.rig.Helper()
	var got []*queueing.Delivery
	for len(got) < n {
		got = append(got, in.next())
	}
	return got
}

// takeAfter returns the next n deliveries of epochs after one; what is left of
// older ones is dropped.
func (in *inbox) takeAfter(epoch uint64, n int) []*queueing.Delivery {
	in.rig.Helper()
	var got []*queueing.Delivery
	for len(got) < n {
		if d := in.next(); d.Epoch > epoch {
			got = append(got, d)
		}
	}
	return got
}

// acked takes n deliveries, acks each and returns their ids.
func (in *inbox) acked(n int) []string {
	in.rig.Helper()
	var got []string
	for range n {
		d := in.next()
		in.rig.ack(d)
		got = append(got, d.Event.ID)
	}
	return got
}

// wantNone checks that nothing more is delivered for a while.
func (in *inbox) wantNone() {
	in.rig.Helper()
	select {
	case d := <-in.deliveries:
		in.rig.Fatalf("unexpected delivery of %s", d.Event.ID)
	case <-time.After(quiet):
	}
}

// stop ends the consumer and waits for it. What it delivered can still be settled
// until drain.
func (in *inbox) stop() {
	in.rig.Helper()
	in.cancel()
	select {
	case <-in.ended:
	case <-time.After(patience):
		in.rig.Fatalf("Consume did not return within %v of the end of its context", patience)
	}
}

// ack acks d, which must be settled for the first time.
func (r *rig) ack(d *queueing.Delivery) {
	r.Helper()
	if err := d.Ack(); err != nil {
		r.Fatalf("ack %s: %v", d.Event.ID, err)
	}
}

// requeue gives d back, which must be settled for the first time.
func (r *rig) requeue(d *queueing.Delivery) {
	r.Helper()
	if err := d.Requeue(); err != nil {
		r.Fatalf("requeue %s: %v", d.Event.ID, err)
	}
}

// idsOf returns the ids of deliveries.
func idsOf(deliveries []*queueing.Delivery) []string {
	var s []string
	for _, d := range deliveries {
		s = append(s, d.Event.ID)
	}
	return s
}

// end stops the consumer and gives everything unsettled back.
func (in *inbox) end() {
	in.rig.Helper()
	in.stop()
	if in.drain != nil {
		in.drain()
	}
}

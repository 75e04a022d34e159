package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/test/internal/product"
)

const (
	partitions = 8
	keys       = 24
)

// ordered declares a topic with partitions and a subscription to it with ordering
// PerKey.
func (r *rig) ordered(name, topic, app string) string {
	text := r.topic(topic, fmt.Sprintf("partitions: {count: %d}", partitions)) +
		r.subscription(subscription{name: name, topic: topic, app: app, attempts: 10, backoff: 20 * time.Millisecond, more: []string{"ordering: PerKey"}})
	queue := r.name(name)
	for i := range partitions {
		r.queues = append(r.queues, fmt.Sprintf("%s.p%d", queue, i))
	}
	r.queues = append(r.queues, queue+".members")
	r.exchanges = append(r.exchanges, queue+".partitions", queue+".partitions.unpartitioned")
	return text
}

// numbered is event n of a key, from 0.
func numbered(key string, n int) *event {
	e := order(key + "/" + strconv.Itoa(n))
	e.Attributes["partitionkey"] = text(key)
	return e
}

func key(i int) string { return fmt.Sprintf("key-%02d", i) }

// rounds publishes the next events of every key until it is stopped. Each round uses
// another kind of call.
type rounds struct {
	*service
	topic string
	next  int // number of each key's next event
}

// batch publishes n events of each key in one batch. The keys alternate.
func (p *rounds) batch(n int) {
	p.rig.Helper()
	req := &eventsv1.PublishBatchRequest{Topic: p.topic}
	for _, e := range p.events(n) {
		req.Entries = append(req.Entries, &eventsv1.PublishBatchEntry{Event: e})
	}
	ctx, cancel := context.WithTimeout(p.rig.Context(), callTime)
	defer cancel()
	res, err := p.PublishBatch(ctx, req)
	if err != nil {
		p.rig.Fatal(err)
	}
	for _, result := range res.GetResults() {
		p.confirmed(result)
	}
}

// pipeline publishes n events of each key on a stream, without waiting for confirms in
// between.
func (p *rounds) pipeline(n int) {
	p.rig.Helper()
	ctx, cancel := context.WithTimeout(p.rig.Context(), callTime)
	defer cancel()
	out, err := p.PublishStream(ctx)
	if err != nil {
		p.rig.Fatal(err)
	}
	events := p.events(n)
	var sender sync.WaitGroup
	defer sender.Wait()
	sender.Go(func() {
		for i, e := range events {
			entry := &eventsv1.PublishStreamEntry{RequestId: uint64(i), Event: e}
			if out.Send(&eventsv1.PublishStreamRequest{Topic: p.topic, Entries: []*eventsv1.PublishStreamEntry{entry}}) != nil {
				return // the receiver gets the reason
			}
		}
		_ = out.CloseSend()
	})
	for confirmed := 0; ; {
		res, err := out.Recv()
		if errors.Is(err, io.EOF) && confirmed == len(events) {
			return
		}
		if err != nil {
			p.rig.Fatalf("after %d of %d confirms: %v", confirmed, len(events), err)
		}
		for _, result := range res.GetResults() {
			p.confirmed(result.GetResult())
			confirmed++
		}
	}
}

func (p *rounds) events(n int) []*event {
	var out []*event
	for range n {
		for i := range keys {
			out = append(out, numbered(key(i), p.next))
		}
		p.next++
	}
	return out
}

func (p *rounds) confirmed(result *eventsv1.PublishResult) {
	p.rig.Helper()
	if result.GetResponse() == nil {
		p.rig.Fatalf("publish: %v", result.GetStatus())
	}
}

// After a dead letter, later events of the key are held back until an operator releases
// the key. Then the key continues, and its dead letters come again in order.
func TestAHeldKeyIsReleasedAndItsLettersAreRedrivenInOrder(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start(strings.Replace(r.ordered("billing", "orders", "billing"), "ordering: PerKey", "ordering: PerKey\n  deadLetter: {keyPolicy: Hold}", 1))
	checkout, billing := r.service("checkout"), r.service("billing")
	in := billing.subscribe("billing")
	publish := func(events ...*event) {
		for _, e := range events {
			if _, err := checkout.publish("orders", e); err != nil {
				t.Fatal(err)
			}
		}
	}
	publish(numbered("bad", 0), numbered("bad", 1), numbered("bad", 2))
	in.settle(in.next(), eventsv1.Outcome_OUTCOME_DEAD_LETTER, "no such customer")
	r.awaitLetters(3)
	publish(numbered("good", 0))
	if d := in.next(); d.GetEvent().GetId() != "good/0" {
		t.Errorf("while the key is held comes %s", d.GetEvent().GetId())
	} else {
		in.ack(d)
	}
	if out := billing.warren("deadletter", "list", "billing", "--reason", "key-held", "-o", "json"); strings.Count(out, "\n") != 2 {
		t.Errorf("held back:\n%s", out)
	}
	if out := billing.warren("deadletter", "held", "billing"); !strings.Contains(out, "bad") || strings.Contains(out, "good") {
		t.Errorf("held:\n%s", out)
	}
	billing.warren("deadletter", "release", "billing", "bad")
	billing.warren("deadletter", "redrive", "billing")
	publish(numbered("bad", 3))
	for n := range 4 {
		d := in.next()
		if want := fmt.Sprintf("bad/%d", n); d.GetEvent().GetId() != want {
			t.Errorf("after the release comes %s, want %s", d.GetEvent().GetId(), want)
		}
		in.ack(d)
	}
	r.awaitLetters(0)
}

func TestOrderPerKeyOutlivesASidecarThatIsKilled(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start(r.ordered("billing", "orders", "billing"))
	checkout := &rounds{service: r.service("checkout"), topic: "orders"}
	l := newLedger()
	first, second := r.service("billing"), r.service("billing")
	victim, survivor := l.receive(first, "victim"), l.receive(second, "survivor")

	// The first sidecar has all partitions until the two have shared them.
	product.Eventually(t, "both receive", func() error {
		checkout.batch(2)
		checkout.pipeline(3)
		if a, b := victim.count(), survivor.count(); a == 0 || b == 0 {
			return fmt.Errorf("one received %d events, the other %d", a, b)
		}
		return nil
	})
	victim.hold()
	product.Eventually(t, "the victim has unsettled events in hand", func() error {
		checkout.pipeline(1)
		if victim.unsettled() == 0 {
			return errors.New("it has none")
		}
		return nil
	})
	victim.abandon()
	first.Kill()
	if !first.Ended() {
		t.Fatal("the victim lives")
	}
	before := survivor.count()
	for range 5 {
		checkout.batch(2)
		checkout.pipeline(3)
	}

	product.Eventually(t, "every event is acknowledged", func() error { return l.complete(checkout.next) })
	if survivor.count() == before {
		t.Error("nothing moved to the survivor")
	}
	violations, again := l.verdict()
	for _, violation := range violations {
		t.Error(violation)
	}
	t.Logf("%d events of %d keys, %d to the victim, %d to the survivor, %d of them again", checkout.next*keys, keys, victim.count(), survivor.count(), again)
}

// A service without partitions is a producer, too.
func TestOrderPerKeyPutsPlainProducersIntoPartitionZero(t *testing.T) {
	t.Parallel()
	const n = 50
	r := newRig(t)
	r.start(r.ordered("billing", "orders", "billing"))
	billing := r.service("billing")
	if err := r.plain.Confirm(false); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		id := strconv.Itoa(i)
		confirm, err := r.plain.PublishWithDeferredConfirm(r.name("orders"), "order.placed", true, false, amqp.Publishing{
			DeliveryMode: amqp.Persistent, MessageId: id, Type: "order.placed", Headers: amqp.Table{"ce-partitionkey": key(i % keys)},
		})
		if err != nil {
			t.Fatal(err)
		}
		if !confirm.Wait() {
			t.Fatalf("message %s was nacked", id)
		}
	}
	for i := range partitions {
		want := 0
		if i == 0 {
			want = n
		}
		queue := fmt.Sprintf("%s.p%d", r.name("billing"), i)
		// Quorum queues update their count a little after the confirm.
		product.Eventually(t, fmt.Sprintf("%s has %d messages", queue, want), func() error {
			q, err := r.plain.QueueDeclarePassive(queue, true, false, false, false, nil)
			if err == nil && q.Messages != want {
				err = fmt.Errorf("it has %d", q.Messages)
			}
			return err
		})
	}
	in := billing.subscribe("billing")
	for i := range n {
		d := in.next()
		if got := d.GetEvent().GetId(); got != strconv.Itoa(i) {
			t.Fatalf("received %s, want %d: nothing was retried, so the order is that of the queue", got, i)
		}
		in.ack(d)
	}
}

package queueingtest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/warrenmesh/warren/internal/brokertest/one"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/event"
)

// publishing is what becomes of one publish.
var publishing = []behaviour{
	{name: "a message is its publisher's again when Publish has returned", run: func(r *rig) {
		const n = 100
		queue := r.queue("q")
		ctx := r.context()
		batch := make([]queueing.Message, 1)
		var told []*one.Outcomes
		for _, id := range ids(1, n) {
			batch[0] = *toQueue(queue, id)
			o := one.NewOutcomes(1)
			r.driver.Publish(ctx, batch, o.Told)
			clear(batch)
			told = append(told, o)
		}
		for i, o := range told {
			select {
			case <-o.Done():
			case <-ctx.Done():
			}
			if errs, missing, err := o.Errors(); missing > 0 || err != nil || errs[0] != nil {
				r.Fatalf("confirm of the %d-th: %v, %v", i+1, errs[0], err)
			}
		}
		r.wantIDs(r.consume(queue, n).acked(n), ids(1, n))
	}},
	{name: "a confirmed publish can be consumed", run: func(r *rig) {
		queue := r.queue("q")
		r.publish(toQueue(queue, "a"))
		r.wantIDs(r.consume(queue, 1).acked(1), []string{"a"})
	}},
	{name: "an unroutable mandatory publish certainly failed", run: func(r *rig) {
		exchange, _ := r.exchange("x", "direct", "some key")
		m := toQueue("another key", "a")
		m.Exchange = exchange
		r.wantKind(r.tryPublish(m), broker.Unroutable, broker.Failed)
	}},
	{name: "a mandatory publish to a missing queue by the default exchange is unroutable", run: func(r *rig) {
		r.wantKind(r.tryPublish(toQueue(r.name("missing"), "a")), broker.Unroutable, broker.Failed)
	}},
	{name: "an unroutable publish that is not mandatory is confirmed", run: func(r *rig) {
		exchange, _ := r.exchange("x", "direct")
		m := toQueue("key", "a")
		m.Exchange, m.Mandatory = exchange, false
		r.publish(m)
	}},
	{name: "returns and confirms are paired exactly", run: pairReturns},
	{name: "publishers at the same time each get their own outcome", run: publishAtOnce},
	{name: "a publish to a missing exchange is not found and harms no other", run: missingExchange},
	{name: "data over the limit is too large and the next publish works", run: func(r *rig) {
		queue := r.queue("q")
		m := toQueue(queue, "large")
		m.Event.Data = make([]byte, r.harness.MaxDataBytes+1)
		r.wantKind(r.tryPublish(m), broker.TooLarge, broker.NotSent)
		r.publish(toQueue(queue, "small"))
		r.wantIDs(r.consume(queue, 1).acked(1), []string{"small"})
	}},
	{name: "a message without an event is invalid", run: func(r *rig) {
		r.wantKind(r.tryPublish(&queueing.Message{RoutingKey: r.name("q")}), broker.Invalid, broker.NotSent)
	}},
	{name: "a routing key over 255 bytes is invalid and the next publish works", run: func(r *rig) {
		queue := r.queue("q")
		r.wantKind(r.tryPublish(toQueue(strings.Repeat("k", 256), "a")), broker.Invalid, broker.NotSent)
		r.publish(toQueue(queue, "b"))
	}},
	{name: "attributes over 64 KiB are too large and the next publish works", run: func(r *rig) {
		queue := r.queue("q")
		m := toQueue(queue, "a")
		for i := range 3 {
			m.Event.Set(fmt.Sprintf("long%d", i), event.String(strings.Repeat("x", 30<<10)))
		}
		r.wantKind(r.tryPublish(m), broker.TooLarge, broker.NotSent)
		r.publish(toQueue(queue, "b"))
	}},
	{name: "an event may be changed once its outcome is told", run: func(r *rig) {
		queue := r.queue("q")
		m := toQueue(queue, "a")
		m.Event.Data = []byte("before")
		m.Event.Set("note", event.String("before"))
		r.publish(m)
		copy(m.Event.Data, "AFTER!")
		m.Event.Set("note", event.String("after"))
		got := r.consume(queue, 1).next()
		if string(got.Event.Data) != "before" || got.Event.Text("note") != "before" {
			r.Fatalf("data %q and note %q show a change after the receipt", got.Event.Data, got.Event.Text("note"))
		}
	}},
}

// pairReturns alternates routable and unroutable publishes in one pipeline.
func pairReturns(r *rig) {
	const n = 400
	exchange, queues := r.exchange("x", "direct", "yes")
	ctx := r.context()
	receipts := make([]*one.Receipt, 0, n)
	for i := range n {
		m := &queueing.Message{Exchange: exchange, RoutingKey: "yes", Event: newEvent(numbered(i)), Mandatory: true}
		if i%2 == 1 {
			m.RoutingKey = "no"
		}
		receipt, err := one.Publish(ctx, r.driver.Publish, *m)
		if err != nil {
			r.Fatalf("publish %d: %v", i, err)
		}
		receipts = append(receipts, receipt)
	}
	for i, receipt := range receipts {
		err := receipt.Wait(ctx)
		if i%2 == 1 {
			r.wantKind(err, broker.Unroutable, broker.Failed)
		} else if err != nil {
			r.Fatalf("confirm of %d: %v", i, err)
		}
	}
	r.consume(queues[0], 50).acked(n / 2)
}

// publishAtOnce publishes from several goroutines, one of them in vain.
func publishAtOnce(r *rig) {
	const publishers, each = 8, 50
	queue := r.queue("q")
	var wg sync.WaitGroup
	for p := range publishers {
		wg.Go(func() {
			for i := range each {
				m := toQueue(queue, fmt.Sprintf("%d-%d", p, i))
				if p == 0 {
					m.RoutingKey = r.name("missing")
				}
				err := r.tryPublish(m)
				if unroutable := broker.KindOf(err) == broker.Unroutable; unroutable != (p == 0) || err != nil && !unroutable {
					r.Errorf("publisher %d, event %d: %v", p, i, err)
				}
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, id := range r.consume(queue, 100).acked((publishers - 1) * each) {
		seen[id] = true
	}
	if len(seen) != (publishers-1)*each {
		r.Fatalf("consumed %d different events, want %d", len(seen), (publishers-1)*each)
	}
}

// missingExchange publishes into the void between publishes that must not care.
func missingExchange(r *rig) {
	const n = 20
	queue := r.queue("q")
	ctx := r.context()
	var receipts []*one.Receipt
	for i := range n {
		receipt, err := one.Publish(ctx, r.driver.Publish, *toQueue(queue, numbered(i)))
		if err != nil {
			r.Fatalf("publish %d: %v", i, err)
		}
		receipts = append(receipts, receipt)
		if i == n/2 {
			lost := toQueue("key", "lost")
			lost.Exchange = r.name("missing")
			r.wantKind(r.tryPublish(lost), broker.NotFound, broker.NotSent, broker.Failed)
		}
	}
	for i, receipt := range receipts {
		if err := receipt.Wait(ctx); err != nil {
			r.Fatalf("confirm of %d beside a publish to a missing exchange: %v", i, err)
		}
	}
	r.wantIDs(r.consume(queue, n).acked(n), ids(0, n-1))
}

// maxWindow is where a window that never fills counts as unbounded.
const maxWindow = 100_000

// windows is what bounds unconfirmed publishes, and what ends their wait.
var windows = []behaviour{
	{name: "a thousand publishes in flight are all confirmed", run: func(r *rig) {
		queue := r.queue("q")
		r.publishNumbered(queue, 1, 1000)
		r.wantIDs(r.consume(queue, 200).acked(1000), ids(1, 1000))
	}},
	{name: "a publish with an ended context writes nothing", run: func(r *rig) {
		queue := r.queue("q")
		ctx, cancel := context.WithCancel(r.context())
		cancel()
		_, err := one.Publish(ctx, r.driver.Publish, *toQueue(queue, "never"))
		r.wantKind(err, broker.WindowFull, broker.NotSent)
		r.publish(toQueue(queue, "b"))
		r.wantIDs(r.consume(queue, 2).acked(1), []string{"b"})
	}},
	{name: "a confirm that does not come is unknown when the context ends", needs: hold, run: func(r *rig) {
		queue := r.queue("q")
		r.publish(toQueue(queue, "warm")) // what the driver opens on first use is open
		release := r.harness.HoldConfirms(r.T, r.driver)
		defer release()
		receipt, err := one.Publish(r.context(), r.driver.Publish, *toQueue(queue, "held"))
		if err != nil {
			r.Fatalf("publish: %v", err)
		}
		ctx, cancel := context.WithTimeout(r.context(), quiet)
		defer cancel()
		r.wantKind(receipt.Wait(ctx), broker.ConfirmTimeout, broker.Unknown)
		release()
		r.wantIDs(r.consume(queue, 2).acked(2), []string{"warm", "held"})
	}},
	{name: "a full window makes publishes wait until their context ends", needs: hold, run: fillWindow},
	{name: "a full window opens when confirms come", needs: hold, run: reopenWindow},
	{name: "of a batch that is larger than the window what was written is unknown when the context ends, and the rest not sent", needs: hold, run: overfill},
}

// long is longer than a publish takes on a machine that is busy with something else.
const long = 20 * quiet

// fill publishes until the window is full and returns the receipts and the error
// of the publish that found no place.
func fill(r *rig, queue string) ([]*one.Receipt, error) {
	r.Helper()
	var receipts []*one.Receipt
	for len(receipts) < maxWindow {
		ctx, cancel := context.WithTimeout(r.context(), long)
		receipt, err := one.Publish(ctx, r.driver.Publish, *toQueue(queue, numbered(len(receipts))))
		cancel()
		if err != nil {
			return receipts, err
		}
		receipts = append(receipts, receipt)
	}
	r.Fatalf("%d publishes are unconfirmed and the window is not full", maxWindow)
	return nil, nil
}

func fillWindow(r *rig) {
	queue := r.queue("q")
	r.publish(toQueue(queue, "warm"))
	release := r.harness.HoldConfirms(r.T, r.driver)
	defer release()
	receipts, err := fill(r, queue)
	r.wantKind(err, broker.WindowFull, broker.NotSent)
	if len(receipts) == 0 {
		r.Fatal("the window takes no publish at all")
	}
}

func reopenWindow(r *rig) {
	queue := r.queue("q")
	r.publish(toQueue(queue, "warm"))
	release := r.harness.HoldConfirms(r.T, r.driver)
	defer release()
	receipts, _ := fill(r, queue)
	ctx := r.context()
	waiting := make(chan error, 1)
	go func() {
		receipt, err := one.Publish(ctx, r.driver.Publish, *toQueue(queue, "waited"))
		if err == nil {
			err = receipt.Wait(ctx)
		}
		waiting <- err
	}()
	select {
	case err := <-waiting:
		r.Errorf("a publish did not wait for a place in the full window: %v", err)
		return
	case <-time.After(quiet):
	}
	release()
	for i, receipt := range receipts {
		if err := receipt.Wait(ctx); err != nil {
			r.Errorf("confirm of %d after the hold: %v", i, err)
			break
		}
	}
	if err := <-waiting; err != nil {
		r.Errorf("the publish that waited: %v", err)
	}
}

// overfill publishes more in one batch than the window holds.
func overfill(r *rig) {
	queue := r.queue("q")
	r.publish(toQueue(queue, "warm"))
	release := r.harness.HoldConfirms(r.T, r.driver)
	defer release()
	receipts, _ := fill(r, queue)
	window := len(receipts)
	release()
	for _, receipt := range receipts {
		if err := receipt.Wait(r.context()); err != nil {
			r.Fatal(err)
		}
	}
	again := r.harness.HoldConfirms(r.T, r.driver)
	defer again()
	ctx, cancel := context.WithTimeout(r.context(), long)
	defer cancel()
	batch := make([]queueing.Message, window+10)
	for i := range batch {
		batch[i] = *toQueue(queue, "over-"+numbered(i))
	}
	told := one.NewOutcomes(len(batch))
	r.driver.Publish(ctx, batch, told.Told)
	clear(batch) // it is the caller's again
	select {
	case <-told.Done():
	case <-r.context().Done():
	}
	errs, missing, err := told.Errors()
	if missing > 0 || err != nil {
		r.Fatalf("%d of %d have no outcome; %v", missing, len(errs), err)
	}
	written := 0
	for i, err := range errs {
		if broker.OutcomeOf(err) != broker.Unknown {
			r.wantKind(err, broker.WindowFull, broker.NotSent)
			continue
		}
		r.wantKind(err, broker.ConfirmTimeout, broker.Unknown)
		if written++; written != i+1 {
			r.Errorf("message %d was written, and one before it was not", i)
		}
	}
	if written == 0 {
		r.Error("nothing was written")
	}
	again()
	r.wantIDs(r.consume(queue, 100).acked(1 + window + written)[1+window:], prefixed("over-", ids(0, written-1)))
}

func prefixed(prefix string, ids []string) []string {
	for i := range ids {
		ids[i] = prefix + ids[i]
	}
	return ids
}

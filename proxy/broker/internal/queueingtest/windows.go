package queueingtest

import (
	"context"
	"time"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/internal/one"
)

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

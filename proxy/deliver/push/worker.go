package push

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/warrenmesh/warren/internal/pace"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/deliver/delivery"
	"github.com/warrenmesh/warren/proxy/deliver/internal/intake"
	"github.com/warrenmesh/warren/proxy/deliver/internal/settler"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/snapshot"
)

// worker serves one subscription.
type worker struct {
	*settler.Settler
	intake *intake.Intake
	opts   Options
	port   uint32
	cancel context.CancelFunc // ends taking
	abort  context.CancelFunc // ends calls under way
	log    *slog.Logger

	handler Handler       // set by run
	slots   chan struct{} // calls under way
	calls   sync.WaitGroup
	told    string // belongs to run; why it could not consume last
}

func (w *worker) needsRestart(next *snapshot.Subscription) bool {
	return w.port != next.PushPort || !intake.SameSource(w.Subscription(), next)
}

// run consumes until taking ends. Whatever fails is tried again: nobody but the
// configuration may end a worker.
func (w *worker) run(taking, calls context.Context) {
	handler, err := w.opts.Dial(w.port)
	if err != nil {
		w.log.Error("connect to the service", "port", w.port, "error", err)
		return
	}
	defer func() { _ = handler.Close() }() // nothing is under way any more
	w.handler = handler
	for taking.Err() == nil {
		if err := w.serve(taking, calls); err != nil && taking.Err() == nil {
			if text := err.Error(); text != w.told {
				w.told = text
				w.log.Error("consume for push", "error", err)
			}
			pace.Sleep(taking, time.Second)
		}
	}
}

// serve consumes on one node, once the service is healthy, until taking ends or
// another node is the better one.
func (w *worker) serve(taking, calls context.Context) error {
	if !w.handler.Ready(taking) {
		return nil
	}
	sub := w.Subscription()
	if err := w.intake.Ready(taking, sub); err != nil {
		return err
	}
	driver, err := w.intake.Pick(sub)
	if err != nil {
		return err
	}
	taking, leave := context.WithCancel(taking)
	defer leave()
	w.Use(driver, taking.Done())
	var watch sync.WaitGroup
	watch.Go(func() { w.watch(taking, leave) })
	drain, err := w.intake.Consume(taking, w.Settler, ".push", intake.Outstanding(sub.Subscription), intake.Sink{
		Offer: func(ctx context.Context, ds []*delivery.Delivery) {
			for _, d := range ds {
				w.offer(ctx, calls, d)
			}
		},
		Lost: func(string, uint64) {}, // calls under way go on: their outcome is stale
	})
	leave()
	watch.Wait()
	w.calls.Wait()
	w.Gone()
	if drain != nil {
		drain()
	}
	return err
}

// watch calls leave when the node is gone and another is up.
func (w *worker) watch(ctx context.Context, leave func()) {
	if w.intake.AwaitStranded(ctx, w.Driver(), w.Subscription) {
		leave()
	}
}

// offer is called for one delivery after the other; blocking holds the flow back.
func (w *worker) offer(ctx, calls context.Context, d *delivery.Delivery) {
	if !w.handler.Ready(ctx) {
		return // unsettled: drain gives it back
	}
	slots := 1
	if w.Alone(d) {
		slots = cap(w.slots)
	}
	if !w.enter(ctx, slots) {
		return
	}
	arrived, current := w.Arrived(d, time.Now())
	if !current || w.Suppressed(d) { // lost since it was offered, or done
		w.leave(slots)
		return
	}
	w.calls.Go(func() {
		defer w.leave(slots)
		if d.Expired() { // while it waited for its turn
			w.Reject(d, broker.ReasonExpired, d.ExpiryText())
			return
		}
		w.push(calls, d, arrived)
	})
}

// enter waits for n slots, and reports whether it has them before ctx ends. It is
// called by one goroutine at a time, so nobody waits for half of them.
func (w *worker) enter(ctx context.Context, n int) bool {
	for taken := range n {
		select {
		case w.slots <- struct{}{}:
		case <-ctx.Done():
			w.leave(taken)
			return false
		}
	}
	return true
}

func (w *worker) leave(n int) {
	for range n {
		<-w.slots
	}
}

// push hands d, which arrived at the given time, over and settles it by the answer.
func (w *worker) push(ctx context.Context, d *delivery.Delivery, arrived time.Time) {
	handed, err := d.Handed()
	if err != nil {
		w.Reject(d, settler.ReasonInvalidEvent, err.Error())
		return
	}
	a := w.Begin(ctx, d, time.Now())
	callCtx, cancel := context.WithDeadline(a.Context(), settler.Deadline(a.At, arrived, d.Subscription.AckDeadline))
	defer cancel()
	o, err := w.call(callCtx, d, &handed)
	if ctx.Err() != nil {
		a.End(settler.ErrEnded) // aborted by Stop: drain gives it back
		return
	}
	w.settle(&a, o)
	a.End(err)
}

// settle carries out what the service said of a.
func (w *worker) settle(a *settler.Attempt, o settler.Outcome) {
	if o.Kind != event.Ack {
		_ = w.Conclude(a, o.Judged(a.Delivery)) // what was not carried out is back
		return
	}
	w.Acknowledges(1)
	if _, err := w.Ack(a, time.Now()); err == nil { // stale: counted, and delivered again
		a.Acknowledged()
	}
}

// call hands h over again while the service is away, within ctx.
func (w *worker) call(ctx context.Context, d *delivery.Delivery, h *delivery.Handed) (settler.Outcome, error) {
	for suspected := false; ; {
		verdict := w.handler.Handle(ctx, h)
		if !verdict.Away {
			return verdict.outcome()
		}
		if !suspected {
			suspected = true
			d.Crashes++ // should it become another attempt, or a copy
		}
		if !w.handler.Ready(ctx) {
			return verdict.outcome()
		}
	}
}

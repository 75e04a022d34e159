package deliver

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/warrenmesh/warren/internal/pace"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/deliver/delivery"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/tracing"
	"github.com/warrenmesh/warren/xds"
)

// pushWorker serves one subscription.
type pushWorker struct {
	settler
	opts   PushOptions
	port   uint32
	cancel context.CancelFunc // ends intake
	abort  context.CancelFunc // ends calls under way
	log    *slog.Logger

	handler Handler       // set by run
	slots   chan struct{} // calls under way
	calls   sync.WaitGroup
	told    string // belongs to run; why it could not consume last
}

func (w *pushWorker) needsRestart(next *Subscription) bool {
	return w.port != next.PushPort || !sameSource(w.subscription.Load(), next)
}

// run consumes until intake ends. Whatever fails is tried again: nobody but the
// configuration may end a worker.
func (w *pushWorker) run(intake, calls context.Context) {
	handler, err := w.opts.Dial(w.port)
	if err != nil {
		w.log.Error("connect to the service", "port", w.port, "error", err)
		return
	}
	defer func() { _ = handler.Close() }() // nothing is under way any more
	w.handler = handler
	for intake.Err() == nil {
		if err := w.serve(intake, calls); err != nil && intake.Err() == nil {
			if text := err.Error(); text != w.told {
				w.told = text
				w.log.Error("consume for push", "error", err)
			}
			pace.Sleep(intake, time.Second)
		}
	}
}

// serve consumes on one node, once the service is healthy, until taking ends or
// another node is the better one.
func (w *pushWorker) serve(taking, calls context.Context) error {
	if !w.handler.Ready(taking) {
		return nil
	}
	sub := w.subscription.Load()
	if err := w.service.opts.Brokers.Ready(taking, sub.Broker, xds.SubscriptionResource(sub.Name)); err != nil {
		return err
	}
	driver, err := w.service.opts.Brokers.PickConsumer(sub.Broker)
	if err != nil {
		return err
	}
	taking, leave := context.WithCancel(taking)
	defer leave()
	w.driver, w.leaving = driver, taking.Done()
	var watch sync.WaitGroup
	watch.Go(func() { w.watch(taking, leave) })
	drain, err := w.consume(taking, w.service.opts.Workload+"."+w.name.Name+".push", outstanding(sub.Subscription), intake{
		offer: func(ctx context.Context, d *delivery.Delivery) { w.offer(ctx, calls, d) },
		lost:  func(string, uint64) {}, // calls under way go on: their outcome is stale
	})
	leave()
	watch.Wait()
	w.calls.Wait()
	w.service.ledger.Attempts.Gone(w.id)
	if drain != nil {
		drain()
	}
	return err
}

// watch calls leave when the node is gone and another is up.
func (w *pushWorker) watch(ctx context.Context, leave func()) {
	for pace.Sleep(ctx, time.Second) {
		if w.strandedBeside(w.service.opts.Brokers) {
			leave()
		}
	}
}

// offer is called for one delivery after the other; blocking holds the flow back.
func (w *pushWorker) offer(ctx, calls context.Context, d *delivery.Delivery) {
	if !w.handler.Ready(ctx) {
		return // unsettled: drain gives it back
	}
	slots := 1
	if w.alone(d) {
		slots = cap(w.slots)
	}
	if !w.enter(ctx, slots) {
		return
	}
	arrived, current := w.arrived(d)
	if !current || w.suppressed(d) { // lost since it was offered, or done
		w.leave(slots)
		return
	}
	w.calls.Go(func() {
		defer w.leave(slots)
		if d.Expired() { // while it waited for its turn
			w.reject(d, broker.ReasonExpired, d.ExpiryText())
			return
		}
		w.push(calls, d, arrived)
	})
}

// enter waits for n slots, and reports whether it has them before ctx ends. It is
// called by one goroutine at a time, so nobody waits for half of them.
func (w *pushWorker) enter(ctx context.Context, n int) bool {
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

func (w *pushWorker) leave(n int) {
	for range n {
		<-w.slots
	}
}

// push hands d, which arrived at the given time, over and settles it by the answer.
func (w *pushWorker) push(ctx context.Context, d *delivery.Delivery, arrived time.Time) {
	sub := d.Subscription
	handed, err := d.Handed()
	if err != nil {
		w.reject(d, reasonInvalidEvent, err.Error())
		return
	}
	process := w.process(d)
	spanCtx, span := w.service.opts.Tracing.StartProcess(ctx, process)
	processing := w.service.opts.Metrics.Process(w.measured(d))
	at := time.Now()
	w.showDelivered(d)
	callCtx, cancel := context.WithDeadline(spanCtx, earlier(at.Add(sub.AckDeadline), arrived.Add(maxHold)))
	defer cancel()
	o, err := w.call(callCtx, d, &handed)
	if ctx.Err() != nil {
		span.End(errStreamEnded) // aborted by Stop: drain gives it back
		processing.End(spanCtx, errStreamEnded)
		return
	}
	w.carryOut(spanCtx, span, d, o, process, at)
	span.End(err)
	processing.End(spanCtx, err)
}

// carryOut settles d as o says; at is when d was handed over.
func (w *pushWorker) carryOut(ctx context.Context, span tracing.Span, d *delivery.Delivery, o outcome, p tracing.Process, at time.Time) {
	o.begun = at
	effect, err := effectAck, error(nil)
	if o.kind == event.Ack {
		err = w.ackSpanned(ctx, d, p) // stale: counted, and delivered again
	} else {
		o = judged(d, o)
		effect, err = w.fail(d, o)
	}
	if err == nil {
		span.SetOutcome(effect)
		w.showSettled(d, effect, o.why(effect), at)
	}
}

// call hands h over again while the service is away, within ctx.
func (w *pushWorker) call(ctx context.Context, d *delivery.Delivery, h *delivery.Handed) (outcome, error) {
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

// outcome is what is done by a verdict, and the error that the process span ends with.
func (v Verdict) outcome() (outcome, error) {
	o := outcome{kind: v.Outcome, after: max(0, v.After), detail: clip(v.Detail)}
	switch {
	case v.Outcome == event.DeadLetter:
		o.reason = reasonRejected
	case v.Outcome == event.Retry && v.Late:
		o.reason = reasonAckDeadline
	case v.Outcome == event.Retry:
		o.reason = reasonExhausted
	default:
		return outcome{kind: event.Ack}, nil
	}
	return o, handlerError{o.reason, o.detail}
}

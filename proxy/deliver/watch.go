package deliver

import (
	"context"
	"sync"
	"time"

	"github.com/warrenmesh/warren/internal/pace"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/deliver/delivery"
	"github.com/warrenmesh/warren/proxy/deliver/internal/intake"
	"github.com/warrenmesh/warren/proxy/deliver/internal/ledger"
	"github.com/warrenmesh/warren/proxy/deliver/internal/settler"
	"github.com/warrenmesh/warren/proxy/metrics"
	"github.com/warrenmesh/warren/proxy/snapshot"
)

// Watcher reports what a policy of the broker takes out of subscriptions:
// with a counter, a line in the log, and DeadLetters. A policy is set on the broker by
// whoever may, the sidecar cannot ask for it, and what it takes is an event whose publisher was
// told OK. The event itself is a dead letter; each sidecar of the workload
// reports it.
//
// It follows the configuration, a goroutine for each subscription.
type Watcher struct {
	service *Service

	mu      sync.Mutex
	watches map[mesh.Name]*watch // guarded by mu
	closed  bool                 // guarded by mu
	running sync.WaitGroup       // added to under mu
}

// watch is one subscription's.
type watch struct {
	subscription *snapshot.Subscription
	cancel       context.CancelFunc
}

// NewWatcher builds a Watcher that shares s's brokers and counters.
func NewWatcher(s *Service) *Watcher { return &Watcher{service: s, watches: map[mesh.Name]*watch{}} }

// Apply makes the watches those of the subscriptions.
func (w *Watcher) Apply(subs map[mesh.Name]*snapshot.Subscription) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	for name, old := range w.watches {
		if next, ok := subs[name]; !ok || !sameBackstop(old.subscription, next) {
			old.cancel()
			delete(w.watches, name)
		}
	}
	for name, sub := range subs {
		if w.watches[name] != nil {
			continue
		}
		ctx, cancel := context.WithCancel(context.Background())
		w.watches[name] = &watch{sub, cancel}
		w.running.Go(func() { w.run(ctx, sub) })
	}
}

func sameBackstop(a, b *snapshot.Subscription) bool {
	return intake.SameSource(a, b) && a.DeadLetterQueue == b.DeadLetterQueue
}

// Stop ends all watches and returns when they have ended. It is idempotent.
func (w *Watcher) Stop() {
	w.mu.Lock()
	w.closed = true
	for _, x := range w.watches {
		x.cancel()
	}
	w.mu.Unlock()
	w.running.Wait()
}

// watchPause is how long a watch rests before it looks again whether it can begin.
const watchPause = 2 * time.Second

func (w *Watcher) run(ctx context.Context, sub *snapshot.Subscription) {
	told := ""
	for ctx.Err() == nil {
		if err := w.serve(ctx, sub); err != nil && err.Error() != told {
			told = err.Error()
			w.service.shared.Logger.Warn("what policies of the broker take cannot be watched",
				"subscription", sub.FullName, "queue", sub.DeadLetterQueue, "error", err)
		}
		pace.Sleep(ctx, watchPause)
	}
}

// serve watches on one node until ctx ends or the node is gone and another is up, or
// returns at once where there is nothing to watch now.
func (w *Watcher) serve(ctx context.Context, sub *snapshot.Subscription) error {
	in := w.service.intake
	if in.Ready(ctx, sub) != nil {
		return nil // others say so
	}
	driver, err := in.Pick(sub)
	if err != nil {
		return nil // it has none now
	}
	watcher, ok := driver.(broker.Watcher)
	if !ok {
		return nil // its broker makes no dead letters by itself
	}
	ctx, leave := context.WithCancel(ctx)
	var looking sync.WaitGroup
	defer looking.Wait()
	looking.Go(func() {
		if in.AwaitStranded(ctx, driver, func() *snapshot.Subscription { return sub }) {
			leave()
		}
	})
	defer leave()
	return watcher.Watch(ctx, sub.Subscription, func(d *broker.Delivery) {
		w.given(driver, &delivery.Delivery{Delivery: d, Subscription: sub})
	})
}

// given reports d, which the broker of the driver made a dead letter, if a policy did.
func (w *Watcher) given(driver broker.Driver, d *delivery.Delivery) {
	sub := d.Subscription
	if d.DeadLetter == nil || !byPolicy(d, time.Now()) {
		return
	}
	shared, reason := w.service.shared, d.DeadLetter.Reason
	shared.Metrics.TakenByPolicy(metrics.Delivery{
		Subscription: sub.Name, Topic: sub.Topic, System: sub.System, Address: driver.State().Address,
		Publisher: d.AppID,
	}, reason)
	n := shared.Ledger.Reports.Add(ledger.Kind{Subscription: sub.Name, Reason: reason, ByBroker: true}, d.MessageID(), time.Now(), shared.ReportEvery)
	if n > 0 {
		shared.Logger.Warn("a policy on the broker takes events out of the subscription's queue: they are dead letters, though nobody refused them",
			"subscription", sub.FullName, "reason", reason, "count", n, "queue", d.DeadLetter.Part,
			"dead_letter_queue", sub.DeadLetterQueue, "event_id", settler.Clip(d.MessageID()))
	}
}

// lifeSlack is how early an event may expire by its own TTL, which the broker counts
// by its own clock.
const lifeSlack = 2 * time.Second

// byPolicy reports whether the broker gave d up for no reason of Warren's or its
// publisher's. Warren rejects messages itself; and a message may have had a TTL.
func byPolicy(d *delivery.Delivery, now time.Time) bool {
	switch d.DeadLetter.Reason {
	case broker.ReasonSetAside:
		return false
	case broker.ReasonExpired:
		end := d.EndOfLife()
		return d.Lifetime == 0 && end.IsZero() || !end.IsZero() && now.Add(lifeSlack).Before(end)
	default:
		return true
	}
}

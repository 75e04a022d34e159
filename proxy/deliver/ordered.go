package deliver

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/deliver/internal/sequence"
	"github.com/warrenmesh/warren/proxy/event"
)

// defaultMaxElapsed is how long a key waits for its retries when nothing is said.
const defaultMaxElapsed = 5 * time.Minute

// intake is where a session or a pusher takes deliveries.
type intake struct {
	// offer is called for one wanted delivery after the other. It may block; it must
	// return when ctx ends.
	offer func(ctx context.Context, d *delivery)
	// lost is called when the channel of a queue is gone: what it gave has gone back.
	lost func(queue string, epoch uint64)
}

// consume hands what the service is to see to in until ctx ends. The contract is
// that of broker.Consumer, for all queues of the subscription together. outstanding
// bounds the deliveries the service may have in its hands.
func (st *settler) consume(ctx context.Context, tag string, outstanding uint32, in intake) (drain func(), err error) {
	sub := st.subscription.Load()
	if sub.Ordering == mesh.PerKey {
		return st.consumeOrdered(ctx, tag, outstanding, in)
	}
	opts := broker.ConsumeOptions{
		Queue: sub.Queue.Name, Prefetch: int(outstanding), Tag: tag,
		MaxBytes: st.maxBytes(sub.Queue.Name), Uncounted: uncounted(sub),
		Lost: func(epoch uint64) {
			st.service.ledger.ended(st, sub.Queue.Name, epoch)
			in.lost(sub.Queue.Name, epoch)
		},
	}
	return st.driver.Consume(ctx, opts, func(got *broker.Delivery) {
		if d := st.received(got); st.wanted(d) {
			in.offer(ctx, d)
		}
	})
}

// uncounted reports whether the subscription's queues do not count what comes back.
func uncounted(s *Subscription) bool { return s.Queue.Type == "classic" }

// partitions consumes from all queues of a subscription that is ordered by key:
//
//	queue p0 ──▶ arrive ─┐
//	queue p1 ──▶ arrive ─┼─▶ order ──▶ feed ──▶ offer ──▶ the service
//	queue p2 ──▶ arrive ─┘     ▲                             │
//	                           └──── settled or parked ◀─────┘
//
// The broker lets one consumer at a time receive from a queue, so whoever has a
// partition has all of its keys. share gives partitions up to others. Every
// consumer has a channel of its own on the broker's connection.
type partitions struct {
	*settler
	in   intake
	opts broker.ConsumeOptions // but for the queue

	mu       sync.Mutex
	consumer map[string]context.CancelFunc // guarded by mu; by queue, ends its present channel
	drains   []func()                      // guarded by mu; of channels that were open at the end

	burying sync.WaitGroup
}

func (st *settler) consumeOrdered(ctx context.Context, tag string, outstanding uint32, in intake) (drain func(), err error) {
	sub := st.subscription.Load()
	queues := Queues(sub.Subscription)
	p := &partitions{
		settler: st, in: in, consumer: map[string]context.CancelFunc{},
		opts: broker.ConsumeOptions{Prefetch: partitionPrefetch(sub.Subscription, outstanding), Tag: tag, SingleActive: true, Uncounted: uncounted(sub)},
	}
	st.order = sequence.New()
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	failed := make(chan error, len(queues))
	var workers sync.WaitGroup
	for _, queue := range queues {
		workers.Go(func() {
			if err := p.serve(ctx, queue); err != nil {
				failed <- err
				leave()
			}
		})
	}
	workers.Go(func() { p.feed(ctx) })
	workers.Go(func() { p.beCounted(ctx) })
	workers.Go(func() { p.share(ctx, len(queues)) })
	workers.Wait()
	p.burying.Wait()
	close(failed)
	return p.drain, <-failed // the first, nil when there is none
}

// drain gives everything unsettled back, partition by partition.
func (p *partitions) drain() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, drain := range p.drains {
		drain()
	}
}

// serve consumes from one queue until ctx ends. When release ends its channel it
// gives back what that held, and stands in line again.
func (p *partitions) serve(ctx context.Context, queue string) error {
	for {
		present, end := context.WithCancel(ctx)
		p.mu.Lock()
		p.consumer[queue] = end
		p.mu.Unlock()
		opts := p.opts
		opts.Queue = queue
		opts.MaxBytes = p.maxBytes(queue)
		opts.Lost = func(epoch uint64) {
			p.order.Lost(queue, epoch)
			p.service.ledger.ended(p.settler, queue, epoch)
			p.in.lost(queue, epoch)
		}
		var epoch uint64
		drain, err := p.driver.Consume(present, opts, func(d *broker.Delivery) {
			epoch = d.Epoch
			p.arrive(p.received(d))
		})
		end()
		if err != nil || ctx.Err() != nil {
			p.keep(drain)
			return err
		}
		p.order.Lost(queue, epoch)
		p.in.lost(queue, epoch)
		p.service.ledger.ended(p.settler, queue, epoch)
		drain()
	}
}

// keep leaves a channel open until drain: what it gave can still be settled.
func (p *partitions) keep(drain func()) {
	if drain == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drains = append(p.drains, drain)
}

// arrive puts d in the line of its key. It never blocks: what waits is bounded by
// the prefetch.
func (p *partitions) arrive(d *delivery) {
	if p.filtered(d) {
		return
	}
	due := p.countAttempts(d)
	p.order.Add(d, p.keyOf(d), time.Now(), due)
}

// keyOf returns the key whose order d keeps, "" when it keeps none.
func (st *settler) keyOf(d *delivery) string {
	if d.Event == nil {
		return ""
	}
	return d.Event.Text(d.sub.Partitions.Key)
}

// feed hands on what is next until ctx ends.
func (p *partitions) feed(ctx context.Context) {
	due := time.NewTimer(time.Hour)
	defer due.Stop()
	for ctx.Err() == nil {
		taken, next := p.order.Take(time.Now())
		if d, ok := taken.(*delivery); ok {
			p.handOn(ctx, d)
			continue
		}
		due.Stop()
		if !next.IsZero() {
			due.Reset(time.Until(next))
		}
		select {
		case <-p.order.Wake():
		case <-due.C:
		case <-ctx.Done():
		}
	}
}

// handOn offers d to the service, or settles it beside the flow of other keys.
func (p *partitions) handOn(ctx context.Context, d *delivery) {
	reason, detail := p.unfit(d)
	if reason == "" && p.service.held(p.name).has(p.keyOf(d)) {
		reason, detail = reasonKeyHeld, "an event of its key before it was dead-lettered"
	}
	if reason != "" {
		p.burying.Go(func() { p.reject(d, reason, detail) })
		return
	}
	if !p.suppressed(d) {
		p.in.offer(ctx, d)
	}
}

// failInOrder carries out a negative outcome: d waits in its place, and its key
// with it, or becomes a dead letter.
func (st *settler) failInOrder(d *delivery, o outcome, now time.Time) (effect string, err error) {
	sub := d.sub
	if o.kind != event.Retry || d.Attempt >= sub.Attempts {
		return effectDeadLetter, st.bury(d, o.reason, o.detail)
	}
	left := min(cmp.Or(sub.MaxElapsed, defaultMaxElapsed), maxPark) - now.Sub(d.FirstFailure)
	if left <= 0 {
		return effectDeadLetter, st.bury(d, reasonElapsed, o.detail)
	}
	delay := o.after
	if delay <= 0 {
		delay = sub.Backoff.Delay(d.Attempt)
	}
	due := now.Add(min(delay, left))
	if end := endOf(d); !end.IsZero() {
		due = earlier(due, end) // its key need not wait for longer than it lives
	}
	st.service.ledger.attempted(st, d, now, due) // should it come again by another channel
	if !st.order.Park(d, st.again(d), now, due) {
		return effectRetry, broker.ErrStale
	}
	return effectRetry, nil
}

// finishInOrder puts m, the dead letter of d, where it belongs, then acknowledges d.
// d's key waits until that is done: giving d back would let others pass it.
func (st *settler) finishInOrder(d *delivery, m *broker.Message) error {
	for {
		aside, err := st.putLetter(d, m)
		if aside && !st.driver.Backed(d.Queue) {
			err = errNotBacked
		}
		if err == nil {
			st.troubled.Store(false)
			st.laid(d, aside)
			return nil
		}
		st.trouble(m.RoutingKey, err)
		if !st.hold(requeueDelay) {
			return err // unsettled: drain gives it back
		}
		if _, current := st.order.Taken(d); !current {
			return errors.Join(err, broker.ErrStale)
		}
		again := *m
		again.Republished = again.Republished || broker.OutcomeOf(err) == broker.Unknown
		m = &again
	}
}

// laid settles d, whose letter is where it belongs, and lets its key go on by its policy.
func (st *settler) laid(d *delivery, aside bool) {
	err := st.close(d, aside)
	if err == nil {
		st.holdKey(d)
	}
	st.settled(d, err)
}

// settled lets the next event of d's key pass. err says that d's channel is gone,
// and with it all that it gave.
func (st *settler) settled(d *delivery, err error) {
	switch {
	case st.order == nil:
	case err != nil:
		st.order.Lost(d.Queue, d.Epoch)
	default:
		st.order.Done(d, time.Now())
	}
}

// holdKey holds the key of a dead letter back when the subscription says so.
func (st *settler) holdKey(d *delivery) {
	key := st.keyOf(d)
	if key == "" || d.sub.KeyPolicy != mesh.Hold {
		return
	}
	if !st.service.held(st.name).add(key) {
		st.service.opts.Logger.Warn("too many keys are held: the next event of this one is delivered",
			"subscription", st.name.String(), "held", maxHeldKeys)
	}
}

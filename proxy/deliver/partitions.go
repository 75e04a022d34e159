package deliver

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/deliver/delivery"
	"github.com/warrenmesh/warren/proxy/deliver/keys"
)

// intake is where a session or a pusher takes deliveries.
type intake struct {
	// offer is called for one wanted delivery after the other. It may block; it must
	// return when ctx ends.
	offer func(ctx context.Context, d *delivery.Delivery)
	// lost is called when an epoch of a part is over: what came in it has gone back.
	lost func(part string, epoch uint64)
}

// consume hands what the service is to see to in until ctx ends. The contract is
// that of broker.Receiver, for all parts of the subscription together. outstanding
// bounds the deliveries the service may have in its hands.
func (st *settler) consume(ctx context.Context, tag string, outstanding uint32, in intake) (drain func(), err error) {
	sub := st.subscription.Load()
	if sub.Ordering == mesh.PerKey {
		return st.consumeOrdered(ctx, tag, outstanding, in)
	}
	r := broker.Receiving{
		Subscription: sub.Subscription, Prefetch: int(outstanding), Tag: tag, Largest: sub.Largest,
		Lost: func(part string, epoch uint64) {
			st.service.ledger.Attempts.Ended(st.id, part, epoch)
			in.lost(part, epoch)
		},
	}
	return st.driver.Receive(ctx, r, func(got []*broker.Delivery) {
		for _, one := range got {
			if d := st.received(one); st.wanted(d) {
				in.offer(ctx, d)
			}
		}
	})
}

// partitions receives from all parts of a subscription that is ordered by key:
//
//	part p0 ──▶ arrive ─┐
//	part p1 ──▶ arrive ─┼─▶ order ──▶ feed ──▶ offer ──▶ the service
//	part p2 ──▶ arrive ─┘     ▲                             │
//	                          └──── settled or parked ◀─────┘
//
// The broker lets one at a time receive from a part, so whoever has one has all of its
// keys. share gives parts up to others.
type partitions struct {
	*settler
	in   intake
	from broker.Receiving // but for the part
	keys broker.KeyOrder

	mu       sync.Mutex
	consumer map[string]context.CancelFunc // guarded by mu; by part, ends its present flow
	drains   []func()                      // guarded by mu; of flows that were open at the end

	burying sync.WaitGroup
}

func (st *settler) consumeOrdered(ctx context.Context, tag string, outstanding uint32, in intake) (drain func(), err error) {
	sub := st.subscription.Load()
	ordering, ok := st.driver.(broker.KeyOrder)
	if !ok {
		return nil, &broker.Error{Kind: broker.Conflict, Op: "receive " + sub.FullName, Err: errors.New("its broker keeps no order by key")}
	}
	parts := ordering.Parts(sub.Subscription)
	p := &partitions{
		settler: st, in: in, keys: ordering, consumer: map[string]context.CancelFunc{},
		from: broker.Receiving{
			Subscription: sub.Subscription, Prefetch: partitionPrefetch(sub.Subscription, outstanding), Tag: tag, Largest: sub.Largest,
		},
	}
	st.order = keys.NewSequence()
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	failed := make(chan error, len(parts))
	var workers sync.WaitGroup
	for _, part := range parts {
		workers.Go(func() {
			if err := p.serve(ctx, part); err != nil {
				failed <- err
				leave()
			}
		})
	}
	workers.Go(func() { p.feed(ctx) })
	workers.Go(func() { p.beCounted(ctx) })
	workers.Go(func() { p.share(ctx, len(parts)) })
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

// serve receives from one part until ctx ends. When release ends its flow it
// gives back what that held, and stands in line again.
func (p *partitions) serve(ctx context.Context, part string) error {
	for {
		present, end := context.WithCancel(ctx)
		p.mu.Lock()
		p.consumer[part] = end
		p.mu.Unlock()
		from := p.from
		from.Part = part
		from.Lost = func(part string, epoch uint64) {
			p.order.Lost(part, epoch)
			p.service.ledger.Attempts.Ended(p.id, part, epoch)
			p.in.lost(part, epoch)
		}
		var epoch uint64
		drain, err := p.driver.Receive(present, from, func(got []*broker.Delivery) {
			for _, d := range got {
				epoch = d.Epoch
				p.arrive(p.received(d))
			}
		})
		end()
		if err != nil || ctx.Err() != nil {
			p.keep(drain)
			return err
		}
		p.order.Lost(part, epoch)
		p.in.lost(part, epoch)
		p.service.ledger.Attempts.Ended(p.id, part, epoch)
		drain()
	}
}

// keep leaves a flow open until drain: what it gave can still be settled.
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
func (p *partitions) arrive(d *delivery.Delivery) {
	if p.filtered(d) {
		return
	}
	due := p.countAttempts(d)
	p.order.Add(d, p.keyOf(d), time.Now(), due)
}

// feed hands on what is next until ctx ends.
func (p *partitions) feed(ctx context.Context) {
	due := time.NewTimer(time.Hour)
	defer due.Stop()
	for ctx.Err() == nil {
		taken, next := p.order.Take(time.Now())
		if d, ok := taken.(*delivery.Delivery); ok {
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
func (p *partitions) handOn(ctx context.Context, d *delivery.Delivery) {
	reason, detail := p.unfit(d)
	if reason == "" && p.service.holds.Of(p.name).Has(p.keyOf(d)) {
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

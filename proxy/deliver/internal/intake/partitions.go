package intake

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/deliver/delivery"
	"github.com/warrenmesh/warren/proxy/deliver/internal/keys"
	"github.com/warrenmesh/warren/proxy/deliver/internal/settler"
)

// partitions receives from all parts of a subscription that is ordered by key:
//
//	part p0 ──▶ Enqueue ─┐
//	part p1 ──▶ Enqueue ─┼─▶ order ──▶ feed ──▶ offer ──▶ the service
//	part p2 ──▶ Enqueue ─┘     ▲                             │
//	                          └──── settled or parked ◀─────┘
//
// The broker lets one at a time receive from a part, so whoever has one has all of its
// keys. share gives parts up to others.
type partitions struct {
	*settler.Settler
	opts  Options
	sink  Sink
	from  broker.Receiving // but for the part
	keys  broker.KeyOrder
	order *keys.Sequence

	mu       sync.Mutex
	consumer map[string]context.CancelFunc // guarded by mu; by part, ends its present flow
	drains   []func()                      // guarded by mu; of flows that were open at the end

	burying sync.WaitGroup
}

// arriveAtOnce is how many deliveries of a part are put in order at once, which does not
// block.
const arriveAtOnce = 64

func (in *Intake) consumeOrdered(ctx context.Context, st *settler.Settler, tag string, outstanding uint32, sink Sink) (drain func(), err error) {
	sub := st.Subscription()
	ordering, ok := st.Driver().(broker.KeyOrder)
	if !ok {
		return nil, &broker.Error{Kind: broker.Conflict, Op: "receive " + sub.FullName, Err: errors.New("its broker keeps no order by key")}
	}
	parts := ordering.Parts(sub.Subscription)
	p := &partitions{
		Settler: st, opts: in.opts, sink: sink, keys: ordering, order: keys.NewSequence(), consumer: map[string]context.CancelFunc{},
		from: broker.Receiving{
			Subscription: sub.Subscription, Prefetch: partitionPrefetch(sub.Subscription, outstanding), Tag: tag, Largest: sub.Largest,
			AtOnce: arriveAtOnce,
		},
	}
	st.KeepOrder(p.order)
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
			p.Ended(part, epoch)
			p.sink.Lost(part, epoch)
		}
		var epoch uint64
		drain, err := p.Driver().Receive(present, from, func(got []*broker.Delivery) {
			for _, d := range got {
				epoch = d.Epoch
				p.Enqueue(p.Received(d))
			}
		})
		end()
		if err != nil || ctx.Err() != nil {
			p.keep(drain)
			return err
		}
		p.order.Lost(part, epoch)
		p.sink.Lost(part, epoch)
		p.Ended(part, epoch)
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
	reason, detail := p.Unfit(d)
	if reason != "" {
		p.burying.Go(func() { p.Reject(d, reason, detail) })
		return
	}
	if !p.Suppressed(d) {
		p.sink.Offer(ctx, d)
	}
}

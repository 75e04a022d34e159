package intake

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/warrenmesh/warren/internal/pace"
	"github.com/warrenmesh/warren/proxy/deliver/internal/keys"
	"github.com/warrenmesh/warren/proxy/deliver/internal/settler"
)

const (
	// defaultShareEvery is how often a consumer looks whether it has too many
	// partitions, give or take a third.
	defaultShareEvery = 1500 * time.Millisecond
	// idleTimeout is how long a partition that is to be given up may take to have
	// nothing in the service's hands. Then it goes on here, and is tried again.
	idleTimeout = 5 * time.Second
)

// share gives partitions up when others of the subscription stand by and have
// fewer. The broker lets whoever comes first receive from every part, and
// keeps it; so the one with more than its share ends its flows of the surplus and
// lines up again behind those that wait. There is no coordinator: everybody goes by
// how many members there are. Order is kept, for nothing of the partition is in
// anybody's hands at that moment.
func (p *partitions) share(ctx context.Context, all int) {
	for {
		every := p.opts.ShareEvery
		if !pace.Sleep(ctx, every*2/3+rand.N(every*2/3+1)) {
			return
		}
		loads := p.order.Loads()
		parts := append(p.surplus(ctx, loads, all), overdue(loads, p.Subscription().AckDeadline, time.Now())...)
		slices.Sort(parts)
		var giving sync.WaitGroup
		for _, part := range slices.Compact(parts) {
			giving.Go(func() { p.giveUp(ctx, part) })
		}
		giving.Wait()
	}
}

// surplus names what is above this consumer's share of all partitions, those with
// the least to do first. A partition with parked events stays: elsewhere their
// attempts would be counted anew.
func (p *partitions) surplus(ctx context.Context, loads []keys.Load, all int) []string {
	if len(loads) < 2 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, idleTimeout)
	defer cancel()
	members, err := p.keys.Members(ctx, p.from.Subscription)
	if err != nil || members < 2 {
		return nil // alone, or not to be known now
	}
	share := (all + members - 1) / members
	above := len(loads) - share
	if above <= 0 {
		return nil
	}
	free := slices.DeleteFunc(slices.Clone(loads), func(l keys.Load) bool { return l.Parked > 0 })
	slices.SortFunc(free, func(a, b keys.Load) int {
		return cmp.Or(cmp.Compare(a.Taken, b.Taken), cmp.Compare(a.Held, b.Held))
	})
	return partsOf(free[:min(above, len(free))])
}

// beCounted makes this a member of those who share the parts until ctx ends. Where
// others declare the topology there may be no place for that, and nobody shares.
func (p *partitions) beCounted(ctx context.Context) {
	if err := p.keys.Join(ctx, p.from.Subscription, p.from.Tag); err != nil {
		p.opts.Logger.Info("partitions are not shared: their consumers cannot be counted",
			"subscription", p.Name().String(), "error", err)
	}
}

// overdue names partitions in which an event waits for so long behind others of its
// key that it could not be held for an ack deadline any more. Given up and taken
// again all comes back in order, and its time begins anew.
func overdue(loads []keys.Load, ackDeadline time.Duration, now time.Time) []string {
	limit := max(settler.MaxHold-ackDeadline, settler.MaxPark)
	return partsOf(slices.DeleteFunc(slices.Clone(loads), func(l keys.Load) bool {
		return l.Oldest.IsZero() || now.Sub(l.Oldest) < limit
	}))
}

func partsOf(loads []keys.Load) []string {
	parts := make([]string, 0, len(loads))
	for _, l := range loads {
		parts = append(parts, l.Part)
	}
	return parts
}

// giveUp ends the flow of a part once nothing of it is in the service's
// hands; serve then lines up again.
func (p *partitions) giveUp(ctx context.Context, part string) {
	idle := p.order.Pause(part)
	timeout := time.NewTimer(idleTimeout)
	defer timeout.Stop()
	select {
	case <-idle:
		p.mu.Lock()
		defer p.mu.Unlock()
		p.consumer[part]()
	case <-timeout.C:
		p.order.Resume(part)
	case <-ctx.Done():
	}
}

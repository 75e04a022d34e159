package publish

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/retry"
)

// budgets has the retry budget of each broker. It only grows, with the
// configuration, and outlives configurations: what is in flight does, too. Looking up
// takes no lock and allocates nothing. The zero value is ready.
type budgets struct {
	current atomic.Pointer[map[mesh.Name]*retry.Budget] // nil while empty; replaced, never changed

	mu sync.Mutex // held while replacing
}

func (b *budgets) of(broker mesh.Name) *retry.Budget {
	if m := b.current.Load(); m != nil {
		if budget, ok := (*m)[broker]; ok {
			return budget
		}
	}
	return b.add(broker)
}

func (b *budgets) add(broker mesh.Name) *retry.Budget {
	b.mu.Lock()
	defer b.mu.Unlock()
	next := map[mesh.Name]*retry.Budget{}
	if m := b.current.Load(); m != nil {
		if budget, ok := (*m)[broker]; ok {
			return budget
		}
		next = maps.Clone(*m)
	}
	next[broker] = retry.NewBudget(retry.DefaultPercent, retry.DefaultLeast)
	b.current.Store(&next)
	return next[broker]
}

// leastPutOff keeps a policy without backoff from looking for room all the time.
const leastPutOff = time.Millisecond

// mayRepeat waits until the budget has room for a repeat of t after err, and reports
// whether it came in time; endRepeat gives the room back.
//
// What was written before needs room: the broker has worked for it once, and asking
// all of that again at once is what keeps a broker down. A repeat that finds none is
// put off by another backoff, not given up: the event may be on the broker, and the
// caller has time left to learn that it is. A publish that was never written needs no
// room: to the broker it is a first try, and those who wait for a node to come back
// must not be answered sooner because they are many.
func (s *Service) mayRepeat(t *transit, err error) bool {
	if !t.unknown {
		return true
	}
	for !t.budget.TryRepeat() {
		t.sending.Postponed()
		delay, _ := t.rule.RetryPolicy.Next(t.attempt, err, s.opts.Random())
		if !t.sleep(max(delay, leastPutOff)) {
			return false
		}
	}
	t.repeats = true
	return true
}

func (t *transit) endRepeat() {
	if t.repeats {
		t.repeats = false
		t.budget.Repeated()
	}
}

package passage

import (
	"time"

	"github.com/warrenmesh/warren/internal/grow"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/retry"
)

// budgets has the retry budget of each broker. It outlives configurations: what is in
// flight does, too. The zero value is ready.
type budgets struct {
	by grow.Map[mesh.Name, *retry.Budget]
}

func (b *budgets) of(broker mesh.Name) *retry.Budget {
	if budget, ok := b.by.Get(broker); ok {
		return budget
	}
	return b.by.Add(broker, func() *retry.Budget { return retry.NewBudget(retry.DefaultPercent, retry.DefaultLeast) })
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
func (s *Sender) mayRepeat(t *Transit, err error) bool {
	if !t.unknown {
		return true
	}
	for !t.budget.TryRepeat() {
		t.sending.Postponed()
		delay, _ := t.Rule.RetryPolicy.Next(t.attempt, err, s.opts.Random())
		if !t.sleep(max(delay, leastPutOff)) {
			return false
		}
	}
	t.repeats = true
	return true
}

func (t *Transit) endRepeat() {
	if t.repeats {
		t.repeats = false
		t.budget.Repeated()
	}
}

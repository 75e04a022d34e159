package check

import (
	"cmp"
	"slices"

	"github.com/warrenmesh/warren/test/faults/history"
)

// checker is the state of one Check.
type checker struct {
	run    *history.Run
	want   Expect
	events *events
	subs   []*subscription // those of want first, in its order
	byName map[string]*subscription
	report *Report
	found  findings
}

// Check judges a run. It does not change the run and keeps none of its slices.
func Check(run *history.Run, want Expect) *Report {
	want.setDefaults()
	c := &checker{
		run:    run,
		want:   want,
		events: indexEvents(run.Publishes),
		byName: map[string]*subscription{},
		report: &Report{Scenario: run.Scenario, Seed: run.Seed},
		found:  findings{examples: want.Examples},
	}
	for i := range c.want.Subscriptions {
		c.subscribe(c.want.Subscriptions[i].Name, &c.want.Subscriptions[i])
	}
	c.answers()
	c.confirmOrder()
	inFlight := c.proof()
	c.queued()
	c.deliveries()
	c.fates()
	c.duplicates(inFlight)
	c.recovery()
	c.growth()
	c.paths()
	slices.SortStableFunc(c.found.list, func(a, b Violation) int { return cmp.Compare(a.Invariant, b.Invariant) })
	c.report.Violations = c.found.list
	return c.report
}

// subscription returns the state of a subscription, and makes it when the name is new.
func (c *checker) subscription(name string) *subscription {
	if s := c.byName[name]; s != nil {
		return s
	}
	return c.subscribe(name, nil)
}

func (c *checker) subscribe(name string, want *Subscription) *subscription {
	s := &subscription{name: name, want: want, fates: make([]fate, len(c.events.list)), last: make([]int32, len(c.events.keys))}
	for i := range s.last {
		s.last[i] = -1
	}
	s.newest = slices.Clone(s.last)
	c.byName[name] = s
	c.subs = append(c.subs, s)
	return s
}

// lookup returns the index of a published event. It records a violation when nobody
// published the id.
func (c *checker) lookup(s *subscription, id string) (int32, bool) {
	n, known := c.events.byID[id]
	if !known {
		c.found.add(I2Nowhere, "nobody published it", "%s: %q", s.name, id)
	}
	return n, known
}

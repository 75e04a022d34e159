package check

import (
	"slices"
	"time"

	"github.com/warrenmesh/warren/test/faults/history"
)

// outage is one disturbance: one fault, or several that overlap.
type outage struct {
	name   string
	begins time.Duration
	healed time.Duration
	// next is the beginning of the next outage, or the time of the last record.
	next time.Duration
	// served is, by topic, when the first OK call that began after the healing ended.
	// got is, by subscription, the first delivery after the healing. 0 means never.
	served, got map[string]time.Duration
	owed        map[string]bool // subscriptions for which an event was published in this time
}

// recovery measures how long service took to resume after each outage (I7).
func (c *checker) recovery() {
	outages := c.outages()
	if len(outages) == 0 {
		return
	}
	for i := range c.run.Publishes {
		p := &c.run.Publishes[i]
		if (c.want.Refused == nil || !c.want.Refused(p)) && !slices.Contains(c.want.Void, p.Topic) {
			c.published(at(outages, p.Start), p)
		}
	}
	for i := range c.run.Deliveries {
		d := &c.run.Deliveries[i]
		if o := at(outages, d.At); o != nil {
			earliest(o.got, d.Subscription, d.At)
		}
	}
	measured := false
	for i := range outages {
		o := &outages[i]
		c.recovered(o)
		measured = measured || len(o.served) > 0
	}
	if c.want.MaxRecovery > 0 && !measured {
		c.found.add(I0Proof, "recovery was not measured", "no call began after %s healed at %v", outages[len(outages)-1].name, ms(outages[len(outages)-1].healed))
	}
}

// outages merges faults that overlap.
func (c *checker) outages() []outage {
	var out []outage
	for _, f := range c.faults() {
		if n := len(out); n > 0 && f.Injected <= out[n-1].healed {
			out[n-1].name += " and " + f.Name
			out[n-1].healed = max(out[n-1].healed, f.Healed)
			continue
		}
		out = append(out, outage{
			name: f.Name, begins: f.Injected, healed: max(f.Healed, f.Injected),
			served: map[string]time.Duration{}, got: map[string]time.Duration{}, owed: map[string]bool{},
		})
	}
	for i := range out {
		if i+1 < len(out) {
			out[i].next = out[i+1].begins
		} else {
			out[i].next = c.lastCall()
		}
	}
	return out
}

// at returns the last outage that was healed by t; nil before the first.
func at(outages []outage, t time.Duration) *outage {
	n, _ := slices.BinarySearchFunc(outages, t, func(o outage, t time.Duration) int {
		if o.healed <= t {
			return -1
		}
		return 1
	})
	if n == 0 {
		return nil
	}
	return &outages[n-1]
}

// published records a call that began after the outage. A topic that was called without
// an OK is in served with 0.
func (c *checker) published(o *outage, p *history.Publish) {
	if o == nil {
		return
	}
	if p.Result != history.OK {
		o.served[p.Topic] += 0
		return
	}
	earliest(o.served, p.Topic, p.End)
	for i := range c.want.Subscriptions {
		if s := &c.want.Subscriptions[i]; !o.owed[s.Name] && s.wants(p) {
			o.owed[s.Name] = true
		}
	}
}

// recovered measures one outage. An outage that ended shortly before the next began, or
// before the load ended, is not judged for missing answers: there was no time for them.
func (c *checker) recovered(o *outage) {
	for _, topic := range sorted(o.served) {
		c.took(o, o.served[topic], c.want.MaxRecovery, &c.report.Recovery, "no OK on "+topic)
	}
	for _, s := range sorted(o.owed) {
		c.took(o, o.got[s], c.want.recoveryOf(s), &c.report.DeliveryRecovery, "no delivery to "+s)
	}
}

// recoveryOf is the bound of a subscription's first delivery.
func (e *Expect) recoveryOf(subscription string) time.Duration {
	for i := range e.Subscriptions {
		if s := &e.Subscriptions[i]; s.Name == subscription && s.MaxRecovery > 0 {
			return s.MaxRecovery
		}
	}
	return e.MaxRecovery
}

func (c *checker) took(o *outage, resumed, bound time.Duration, worst *time.Duration, what string) {
	took := resumed - o.healed
	long := o.next-o.healed > bound
	if resumed > 0 {
		*worst = max(*worst, took)
	}
	switch {
	case bound == 0:
	case resumed == 0 && long:
		c.found.add(I7Recovery, "did not recover", "after %s healed at %v: %s", o.name, ms(o.healed), what)
	case resumed > 0 && took > bound:
		c.found.add(I7Recovery, "recovered late", "after %s healed at %v: %s for %v, the bound is %v", o.name, ms(o.healed), what, ms(took), bound)
	}
}

// lastCall returns when the last call began; the load had ended then.
func (c *checker) lastCall() time.Duration {
	var last time.Duration
	for i := range c.run.Publishes {
		last = max(last, c.run.Publishes[i].Start)
	}
	return last
}

func earliest(m map[string]time.Duration, name string, t time.Duration) {
	if old := m[name]; old == 0 || t < old {
		m[name] = t
	}
}

func sorted[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

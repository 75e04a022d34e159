package check

import (
	"cmp"
	"slices"
	"time"

	"github.com/warrenmesh/warren/test/faults/history"
)

// answers counts events and calls, and judges each call by itself.
func (c *checker) answers() {
	r := c.report
	r.Events, r.Calls = len(c.events.list), len(c.run.Publishes)
	for i := range c.events.list {
		switch c.events.list[i].answer() {
		case history.OK:
			r.OK++
		case history.Unknown:
			r.Unknown++
		default:
			r.Failed++
		}
	}
	for i := range c.run.Publishes {
		p := &c.run.Publishes[i]
		c.inTime(p)
		if c.want.Refused != nil && c.want.Refused(p) {
			c.refused(p)
		}
	}
}

func (c *checker) inTime(p *history.Publish) {
	took := p.End - p.Start
	switch {
	case p.Result == history.Unanswered:
		c.report.Unanswered++
		c.found.add(I6Honest, "never answered", "%s: the call of %v never returned", describe(p), ms(p.Start))
	case p.Deadline > 0 && took > p.Deadline+c.want.Slack:
		c.report.Late++
		c.found.add(I6Honest, "answered after the deadline", "%s: %v after %v, the deadline was %v", describe(p), p.Result, ms(took), p.Deadline)
	}
}

func (c *checker) refused(p *history.Publish) {
	switch p.Result {
	case history.OK:
		c.report.FalseOK++
		c.found.add(I6Honest, "OK to what had to be refused", "%s: OK at %v", describe(p), ms(p.End))
	case history.Unknown:
		c.found.add(I6Honest, "unknown to what had to be refused", "%s: %s %s at %v", describe(p), p.Code, p.Reason, ms(p.End))
	}
}

// confirmOrder judges whether the OKs of one key came in the order of their calls.
func (c *checker) confirmOrder() {
	if !c.want.ConfirmOrder {
		return
	}
	newest := make([]*history.Publish, len(c.events.keys)) // by key, the one that began last of those confirmed so far
	for _, p := range c.confirmed() {
		key := c.events.list[c.events.byID[p.ID]].key
		if key < 0 {
			continue
		}
		n := newest[key]
		if n == nil || p.Start > n.Start {
			newest[key] = p
			continue
		}
		if p.Start < n.Start && p.ID != n.ID {
			c.report.OrderViolations++
			c.found.add(I4Order, "confirmed after a newer one of its key", "%s: began at %v, before that of seq %d, and was confirmed at %v, after it", describe(p), ms(p.Start), n.Seq, ms(p.End))
		}
	}
}

// confirmed returns the calls answered OK, in the order of their answers.
func (c *checker) confirmed() []*history.Publish {
	var out []*history.Publish
	for i := range c.run.Publishes {
		if p := &c.run.Publishes[i]; p.Result == history.OK {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b *history.Publish) int {
		return cmp.Or(cmp.Compare(a.End, b.End), cmp.Compare(a.Start, b.Start))
	})
	return out
}

// ms rounds a time for output.
func ms(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }

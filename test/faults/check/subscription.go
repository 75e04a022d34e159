package check

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/warrenmesh/warren/test/faults/history"
)

// subscription holds the deliveries of one subscription.
type subscription struct {
	name  string
	want  *Subscription // nil when no event is owed to it
	fates []fate        // by event
	// By key: newest is the event with the latest first write among the delivered ones,
	// last the one delivered last. -1 before the first delivery.
	newest, last []int32
	ordered      int // first deliveries whose key had a delivery before
}

// fate is what happened to one event in one subscription.
type fate struct {
	copies, unflagged, retries uint32
	acked, dead, left          bool
	settled                    time.Duration // when the service first acked or dead-lettered it; 0 means never
}

// queued records the contents of dead-letter queues and queues at the end.
func (c *checker) queued() {
	for _, d := range c.run.DeadLetters {
		s := c.subscription(d.Subscription)
		c.reason(&d)
		if n, known := c.lookup(s, d.ID); known && !s.fates[n].dead {
			s.fates[n].dead = true
			c.report.DeadLettered++
		}
	}
	for _, l := range c.run.Leftovers {
		s := c.subscription(l.Subscription)
		if n, known := c.lookup(s, l.ID); known {
			s.fates[n].left = true
		}
	}
}

// reason counts and judges the reason of a dead letter.
func (c *checker) reason(d *history.DeadLetter) {
	if c.report.Reasons == nil {
		c.report.Reasons = map[string]int{}
	}
	c.report.Reasons[d.Reason]++
	if c.want.Reasons != nil && !slices.Contains(c.want.Reasons, d.Reason) {
		c.found.add(I6Honest, "a dead letter for no reason that was asked for", "%s: %q: reason %q after %d attempts", d.Subscription, d.ID, d.Reason, d.Attempts)
	}
}

// deliveries records every delivery, in the order of their times.
func (c *checker) deliveries() {
	for _, i := range byTime(c.run.Deliveries) {
		d := &c.run.Deliveries[i]
		s := c.subscription(d.Subscription)
		c.report.Deliveries++
		n, known := c.lookup(s, d.ID)
		if !known {
			continue
		}
		e, f := &c.events.list[n], &s.fates[n]
		if d.Key != e.first.Key || d.Seq != e.first.Seq {
			c.found.add(I2Nowhere, "altered on the way", "%s: %s arrived with key %q, seq %d", s.name, describe(e.first), d.Key, d.Seq)
		}
		if f.copies == 0 {
			c.report.Delivered++
			c.order(s, n, d)
		}
		f.take(d)
	}
	for _, s := range c.subs {
		if s.want != nil && s.want.Ordered && s.ordered == 0 {
			c.found.add(I0Proof, "order was never put to the test", "%s: no two events of one key were delivered", s.name)
		}
	}
}

func (f *fate) take(d *history.Delivery) {
	f.copies++
	if !d.Redelivered && d.Attempt <= 1 {
		f.unflagged++
	}
	switch d.Outcome {
	case history.Retry:
		f.retries++
	case history.Ack, history.Dead:
		f.acked = f.acked || d.Outcome == history.Ack
		if f.settled == 0 || d.SettledAt < f.settled {
			f.settled = d.SettledAt
		}
	}
}

// order judges the first delivery of event n.
func (c *checker) order(s *subscription, n int32, d *history.Delivery) {
	e := &c.events.list[n]
	if e.key < 0 || s.want == nil || !s.want.Ordered {
		return
	}
	newest, last := s.newest[e.key], s.last[e.key]
	s.last[e.key] = n
	if newest < 0 {
		s.newest[e.key] = n
		return
	}
	s.ordered++
	top := &c.events.list[newest]
	if cmp.Compare(e.first.Start, top.first.Start)*cmp.Compare(e.first.Seq, top.first.Seq) < 0 {
		c.found.add(I0Proof, "seq is not the order of the calls", "%s began at %v, seq %d at %v", describe(e.first), ms(e.first.Start), top.first.Seq, ms(top.first.Start))
	}
	switch ahead := &s.fates[last]; {
	case e.before(top):
		c.report.OrderViolations++
		c.found.add(I4Order, "delivered after a newer one of its key", "%s: %s came at %v, after seq %d", s.name, describe(e.first), ms(d.At), top.first.Seq)
	case !ahead.dead && (ahead.settled == 0 || ahead.settled > d.At) && !s.want.destroyed(&c.events.list[last]):
		c.report.OrderViolations++
		c.found.add(I4Order, "delivered before the one ahead of it was settled", "%s: %s came at %v, while seq %d was not settled", s.name, describe(e.first), ms(d.At), c.events.list[last].first.Seq)
	}
	if e.later(top) {
		s.newest[e.key] = n
	}
}

// byTime returns the indexes of the deliveries in the order of their times.
func byTime(ds []history.Delivery) []int32 {
	order := make([]int32, len(ds))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int { return cmp.Or(cmp.Compare(ds[a].At, ds[b].At), cmp.Compare(a, b)) })
	return order
}

// fates judges what happened to each event in each subscription.
func (c *checker) fates() {
	for n := range c.events.list {
		e := &c.events.list[n]
		owed, seen := 0, 0
		for _, s := range c.subs {
			f := &s.fates[n]
			if e.answer() == history.Failed && f.seen() {
				c.found.add(I2Nowhere, "failed for certain, and there", "%s: %s: %s %s at %v; %s", s.name, describe(e.first), e.first.Code, e.first.Reason, ms(e.first.End), f)
			}
			if c.owes(s, e) {
				owed++
				if c.kept(s, e, f) {
					seen++
				}
			}
			c.forgotten(s, e, f)
		}
		if owed > 0 && seen == 0 {
			c.report.FalseOK++
			c.found.add(I6Honest, "false OK", "%s: OK at %v, and none of %d subscriptions ever saw it", describe(e.first), ms(e.firmed.End), owed)
		}
	}
}

// owes reports whether the subscription must get the event.
func (c *checker) owes(s *subscription, e *event) bool {
	if e.firmed == nil || s.want == nil || !s.want.wants(e.firmed) {
		return false
	}
	return c.want.Refused == nil || !c.want.Refused(e.firmed)
}

// kept judges an event that the subscription was owed (I1). It reports whether the
// event is accounted for.
func (c *checker) kept(s *subscription, e *event, f *fate) bool {
	switch {
	case f.acked || f.dead:
		return true
	case f.left:
		c.report.Left++
		if !c.want.AllowLeft {
			c.found.add(I1Lost, "still queued after the drain", "%s: %s: OK at %v; %s", s.name, describe(e.first), ms(e.firmed.End), f)
		}
		return true
	case f.copies > 0:
		return true // it was delivered and not acked: forgotten judges that
	case s.want.destroyed(e):
		c.report.Destroyed++
		return true
	}
	c.report.Lost++
	c.found.add(I1Lost, "lost", "%s: %s: OK at %v, never delivered", s.name, describe(e.first), ms(e.firmed.End))
	return false
}

// forgotten judges an event that was delivered and is in no queue any more (I5).
func (c *checker) forgotten(s *subscription, e *event, f *fate) {
	if f.copies == 0 || f.acked || f.dead || f.left {
		return
	}
	if s.want.destroyed(e) {
		c.report.Destroyed++
		return
	}
	c.report.Unacked++
	c.found.add(I5Acks, "gone without an ack", "%s: %s: %s, and it is in no queue", s.name, describe(e.first), f)
}

// duplicates judges the copies of each event that a subscription got (I3).
func (c *checker) duplicates(inFlight int) {
	for _, s := range c.subs {
		extra := 0
		for n := range s.fates {
			if f := &s.fates[n]; f.copies > 0 {
				extra += c.copies(s, &c.events.list[n], f)
			}
		}
		bound := inFlight + c.want.MoreDuplicates
		if c.want.MoreDuplicates >= 0 && extra > bound {
			c.found.add(I3Duplicates, "more duplicates than were in flight", "%s: %d duplicates, %d were in flight and %d more are allowed", s.name, extra, inFlight, c.want.MoreDuplicates)
		}
	}
}

// copies judges the copies of one event. It returns how many copies neither the
// publisher nor the service asked for.
func (c *checker) copies(s *subscription, e *event, f *fate) int {
	n, writes := int(f.copies), max(e.writes, 1)
	retried := min(int(f.retries), n-1)
	repeated := min(writes-1, n-1-retried)
	extra := n - 1 - retried - repeated
	bare := max(0, int(f.unflagged)-writes)
	c.report.Retried += retried
	c.report.Repeated += repeated
	c.report.Unflagged += bare
	c.report.Flagged += max(0, extra-bare)
	if bare > 0 {
		c.found.add(I3Duplicates, "a copy without a flag", "%s: %s: %s, %d of them without a flag, and %d calls may have written it", s.name, describe(e.first), f, f.unflagged, writes)
	}
	return extra
}

func (f *fate) seen() bool { return f.copies > 0 || f.dead || f.left }

// String says where the event is.
func (f *fate) String() string {
	text := fmt.Sprintf("delivered %d times", f.copies)
	if f.copies > 0 && !f.acked {
		text += ", never acked"
	}
	if f.dead {
		text += ", dead-lettered"
	}
	if f.left {
		text += ", still queued"
	}
	return text
}

// describe names an event in a message.
func describe(p *history.Publish) string {
	if p.Seq == 0 {
		return fmt.Sprintf("event %q of %s", p.ID, p.Topic)
	}
	return fmt.Sprintf("event %q of %s (key %q, seq %d)", p.ID, p.Topic, p.Key, p.Seq)
}

package check

import (
	"fmt"

	"github.com/warrenmesh/warren/test/faults/history"
)

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

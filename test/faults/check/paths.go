package check

import "github.com/warrenmesh/warren/test/faults/history"

// paths adds up which paths events took, and judges whether those ran that the history
// needs (I0). A run whose sidecars do not all tell of all their events is not judged.
func (c *checker) paths() {
	all := len(c.run.Paths) > 0
	for i := range c.run.Paths {
		p := &c.run.Paths[i]
		c.report.Publishes.Add(p.Publish)
		c.report.Settlements.Add(p.Delivery)
		all = all && !p.Restarted
	}
	if !all {
		return
	}
	acked, refused := c.settled()
	for _, needed := range []struct {
		by   int
		runs int
		what string
	}{
		{c.report.OK, c.report.Publishes.Fast, "publishes were confirmed, none on the fast path"},
		{acked, c.report.Settlements.Fast, "deliveries were acknowledged, none on the fast path"},
		{refused, c.report.Settlements.Slow, "deliveries were retried or dead-lettered, none on the slow path"},
	} {
		if needed.by > 0 && needed.runs == 0 {
			c.found.add(I0Proof, "a path did not run", "%d %s", needed.by, needed.what)
		}
	}
	if c.want.SlowPublishes && c.report.Publishes.Slow == 0 {
		c.found.add(I0Proof, "a path did not run", "no publish took the slow path, and the fault makes some repeat")
	}
}

// settled counts the outcomes that reached a sidecar.
func (c *checker) settled() (acked, refused int) {
	for i := range c.run.Deliveries {
		switch d := &c.run.Deliveries[i]; {
		case d.SettleErr != "":
		case d.Outcome == history.Ack:
			acked++
		case d.Outcome == history.Retry || d.Outcome == history.Dead:
			refused++
		}
	}
	return acked, refused
}

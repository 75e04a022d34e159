package status

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/terminal"
)

// ofKind leaves of the traffic what objects of a kind have; "" leaves all.
func ofKind(t *adminv1.Traffic, kind string) {
	if t == nil || kind == "" {
		return
	}
	t.Edges = nil
	if kind != v1alpha1.KindEventBroker {
		t.Nodes, t.Measurers = nil, nil
	}
	if kind != v1alpha1.KindEventTopic {
		t.Topics = nil
	}
	if kind != v1alpha1.KindEventSubscription {
		t.Subscriptions, t.QueuesWithoutBackstop = nil, nil
	}
}

// traffic shows what sidecars report; nothing when the control plane takes no reports.
func (p *statusPage) traffic(t *adminv1.Traffic) {
	p.nodes(t.GetNodes())
	p.topics(t.GetTopics())
	p.subscriptions(t.GetSubscriptions())
	if queues := t.GetQueuesWithoutBackstop(); len(queues) > 0 {
		fmt.Fprintf(&p.buf, "%s\n  %s\n", p.style.Yellow("queues from which a policy of the broker can remove events for good:"),
			strings.Join(queues, ", "))
	}
}

func (p *statusPage) nodes(nodes []*adminv1.BrokerNodeStatus) {
	if len(nodes) == 0 {
		return
	}
	p.buf.WriteByte('\n')
	var table terminal.Table
	heading := []string{"BROKER", "NODE", "STATE", "SIDECARS", "SERVER"}
	if p.wide {
		heading = append(heading, "REASON")
	}
	table.Cells(p.heads(heading)...)
	for _, n := range nodes {
		all := n.GetUp() + n.GetBlocked() + n.GetDown()
		row := []terminal.Cell{
			{Text: n.GetBroker()}, {Text: cmp.Or(n.GetAddress(), "in memory")}, p.nodeState(n),
			{Text: fmt.Sprintf("%d/%d", n.GetUp(), all)}, {Text: cli.OrDash(n.GetServer())},
		}
		if p.wide { // else the broker's condition says it
			row = append(row, terminal.Cell{Text: cli.OrDash(n.GetReason())})
		}
		table.Cells(row...)
	}
	_, _ = table.WriteTo(&p.buf) // a buffer takes everything
}

// nodeState is the worst that sidecars say of a node.
func (p *statusPage) nodeState(n *adminv1.BrokerNodeStatus) terminal.Cell {
	switch {
	case n.GetBlocked() > 0:
		return terminal.Cell{Text: "alarm", Paint: p.style.Red}
	case n.GetDown() > 0 && n.GetUp() > 0:
		return terminal.Cell{Text: "partly down", Paint: p.style.Red}
	case n.GetDown() > 0:
		return terminal.Cell{Text: "down", Paint: p.style.Red}
	default:
		return terminal.Cell{Text: "up", Paint: p.style.Green}
	}
}

func (p *statusPage) topics(topics []*adminv1.TopicTraffic) {
	if len(topics) == 0 {
		return
	}
	p.buf.WriteByte('\n')
	var table terminal.Table
	table.Cells(p.heads([]string{"TOPIC", "PUBLISHED", "FAILED", "RETRIED"})...)
	for _, t := range topics {
		table.Cells(terminal.Cell{Text: t.GetTopic()}, terminal.Cell{Text: rate(t.GetRate())}, p.bad(t.GetFailed()), terminal.Cell{Text: rate(t.GetRetried())})
	}
	_, _ = table.WriteTo(&p.buf)
}

func (p *statusPage) subscriptions(subscriptions []*adminv1.SubscriptionTraffic) {
	if len(subscriptions) == 0 {
		return
	}
	p.buf.WriteByte('\n')
	var table terminal.Table
	table.Cells(p.heads([]string{"SUBSCRIPTION", "RATE", "FAILED", "BACKLOG", "RETRYING", "DEAD", "RECEIVERS"})...)
	for _, s := range subscriptions {
		row := []terminal.Cell{{Text: s.GetSubscription()}, {Text: rate(s.GetRate())}, p.bad(s.GetFailed())}
		table.Cells(append(row, p.depthCells(s.GetDepth())...)...)
	}
	_, _ = table.WriteTo(&p.buf)
	for _, s := range subscriptions {
		d := s.GetDepth()
		if d.GetBacklog() > 0 && d.GetReceivers() == 0 && d.Receivers != nil {
			fmt.Fprintln(&p.buf, p.style.Yellow(fmt.Sprintf("%s has no receiver: %d events wait", s.GetSubscription(), d.GetBacklog())))
		}
		if d.GetError() != "" {
			fmt.Fprintf(&p.buf, "%s\n  %s\n", p.style.Yellow(s.GetSubscription()+": its queues cannot all be measured"), d.GetError())
		}
	}
}

// depthCells are what the queues of a subscription have. Figures that nobody has measured
// are not shown.
func (p *statusPage) depthCells(d *adminv1.Depth) []terminal.Cell {
	if d == nil {
		d = &adminv1.Depth{}
	}
	cells := []terminal.Cell{{Text: number(d.Backlog)}, {Text: number(d.Retrying)}, {Text: number(d.DeadLetters)}, {Text: number(d.Receivers)}}
	if d.GetDeadLetters() > 0 {
		cells[2].Paint = p.style.Red
	}
	if d.GetReceivers() == 0 {
		cells[3].Paint = p.style.Yellow
	}
	return cells
}

// bad is a rate that should be zero.
func (p *statusPage) bad(perSecond float64) terminal.Cell {
	c := terminal.Cell{Text: rate(perSecond)}
	if perSecond > 0 {
		c.Paint = p.style.Red
	}
	return c
}

// number is a figure that may not be known.
func number[T uint32 | uint64](n *T) string {
	if n == nil {
		return "-"
	}
	return strconv.FormatUint(uint64(*n), 10)
}

// rate is a number a second: small ones with a digit more.
func rate(perSecond float64) string {
	switch {
	case perSecond == 0:
		return "0/s"
	case perSecond < 0.1:
		return "<0.1/s"
	case perSecond < 10:
		return fmt.Sprintf("%.1f/s", perSecond)
	default:
		return fmt.Sprintf("%.0f/s", perSecond)
	}
}

// reports says which sidecars say nothing, or nothing any more.
func (p *statusPage) reports(sidecars []*adminv1.Sidecar) {
	for _, state := range []struct{ name, text string }{
		{"NOT_REPORTING", "do not report: they run an older version, or with --no-reports"},
		{"LATE", "have not reported for a while: what they said counts no more"},
	} {
		var ids []string
		for _, s := range sidecars {
			if s.GetReports() == state.name {
				ids = append(ids, s.GetId())
			}
		}
		if len(ids) > 0 {
			fmt.Fprintf(&p.buf, "%s\n  %s\n", p.style.Yellow(fmt.Sprintf("%d of %d sidecars %s", len(ids), len(sidecars), state.text)), few(ids))
		}
	}
}

// few names the first ones.
func few(ids []string) string {
	const most = 5
	if more := len(ids) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(ids[:most], ", "), more)
	}
	return strings.Join(ids, ", ")
}

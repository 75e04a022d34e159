package config

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/terminal"
)

// dumpPage is a configuration dump for people.
type dumpPage struct {
	wide  bool
	style terminal.Style
	now   time.Time

	buf bytes.Buffer
}

func (p *dumpPage) write(w io.Writer, d *adminv1.GetConfigDumpResponse) error {
	d = cli.Printable(d)
	p.heading(d)
	p.topics(d.GetTopics())
	p.subscriptions(d.GetSubscriptions())
	p.brokers(d.GetBrokers())
	p.resources(d.GetResources())
	if _, err := w.Write(p.buf.Bytes()); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}

func (p *dumpPage) heading(d *adminv1.GetConfigDumpResponse) {
	fmt.Fprintf(&p.buf, "sidecar %s of %s/%s\n", p.style.Bold(d.GetNode()), d.GetNamespace(), d.GetWorkload())
	switch {
	case d.GetVersion() == "":
		fmt.Fprintln(&p.buf, p.style.Yellow("no configuration is in force"))
	default:
		fmt.Fprintf(&p.buf, "configuration %s in force for %s", p.style.Bold(cli.Short(d.GetVersion())), cli.Age(p.now.Sub(d.GetAppliedAt().AsTime())))
		if d.GetFromDisk() {
			fmt.Fprint(&p.buf, p.style.Yellow(", from disk"))
		}
		p.buf.WriteByte('\n')
	}
	p.contact(d.GetControlPlane())
	if e := d.GetStateFileError(); e != "" {
		fmt.Fprintln(&p.buf, p.style.Red("last good configuration: "+e))
	}
}

func (p *dumpPage) contact(c *adminv1.ControlPlaneContact) {
	heard := "never heard"
	if at := c.GetLastContact(); at != nil {
		heard = "last heard " + cli.Age(p.now.Sub(at.AsTime())) + " ago"
	}
	if c.GetConnected() {
		fmt.Fprintf(&p.buf, "control plane %s connected, %s\n", c.GetAddress(), heard)
		return
	}
	fmt.Fprintln(&p.buf, p.style.Yellow(fmt.Sprintf("control plane %s not connected, %s", c.GetAddress(), heard)))
	if e := c.GetLastError(); e != "" {
		fmt.Fprintf(&p.buf, "  %s\n", e)
	}
}

// table prints a section, or nothing when it has no rows.
func (p *dumpPage) table(t *terminal.Table, rows int) {
	if rows > 0 {
		p.buf.WriteByte('\n')
		_, _ = t.WriteTo(&p.buf) // a buffer takes everything
	}
}

// heads are a section's headings; the ones after wide are for -o wide.
func (p *dumpPage) heads(t *terminal.Table, names []string, wide ...string) {
	if p.wide {
		names = append(names, wide...)
	}
	cells := make([]terminal.Cell, len(names))
	for i, name := range names {
		cells[i] = terminal.Cell{Text: name, Paint: p.style.Bold}
	}
	t.Cells(cells...)
}

func (p *dumpPage) row(t *terminal.Table, cells []string, wide ...string) {
	if p.wide {
		cells = append(cells, wide...)
	}
	t.Row(cells...)
}

func (p *dumpPage) topics(topics []*adminv1.TopicConfig) {
	var t terminal.Table
	p.heads(&t, []string{"TOPIC", "RULE", "TO", "WEIGHT"}, "BROKER", "EXCHANGE", "ROUTING KEY", "PARTITIONS", "FILTERS")
	for _, topic := range topics {
		name := topic.GetName()
		for _, r := range topic.GetRules() {
			rule := cmp.Or(r.GetName(), "(its own)")
			filters := strings.Join(r.GetFilters(), " and ")
			for _, b := range r.GetBackends() {
				p.row(&t, []string{name, rule, b.GetTopic(), fmt.Sprint(b.GetWeight())},
					b.GetBroker(), b.GetExchange()+" ("+b.GetExchangeType()+")", b.GetRoutingKey(), partitions(b.GetPartitions()), filters)
				name, rule, filters = "", "", ""
			}
		}
	}
	p.table(&t, len(topics))
}

func (p *dumpPage) subscriptions(subs []*adminv1.SubscriptionConfig) {
	var t terminal.Table
	p.heads(&t, []string{"SUBSCRIPTION", "TOPIC", "QUEUE", "PREFETCH"}, "BROKER", "ORDER", "ATTEMPTS", "ACK DEADLINE", "DEAD LETTERS", "DEDUPE", "FILTERS")
	for _, s := range subs {
		p.row(&t, []string{s.GetName(), s.GetTopic(), s.GetQueue(), fmt.Sprint(s.GetPrefetch())},
			s.GetBroker(), partitions(s.GetPartitions()), fmt.Sprint(s.GetAttempts()), s.GetAckDeadline().AsDuration().String(),
			s.GetDeadLetterQueue(), dedupe(s),
			strings.Join(s.GetFilters(), " and "))
	}
	p.table(&t, len(subs))
}

func partitions(c *adminv1.PartitionsConfig) string {
	if c.GetCount() == 0 {
		return "-"
	}
	return fmt.Sprintf("%d by %s", c.GetCount(), c.GetKey())
}

func dedupe(s *adminv1.SubscriptionConfig) string {
	if s.GetDedupeWindow() == nil {
		return "-"
	}
	return fmt.Sprintf("%s, %d events", s.GetDedupeWindow().AsDuration(), s.GetDedupeMaxEntries())
}

func (p *dumpPage) brokers(brokers []*adminv1.BrokerConfig) {
	var t terminal.Table
	p.heads(&t, []string{"BROKER", "TYPE", "NODE", "STATE", "SERVER"}, "VHOST", "CREDENTIALS", "TOPOLOGY")
	var trouble []string
	for _, b := range brokers {
		name, kind := b.GetName(), b.GetType()
		for _, n := range b.GetNodes() {
			p.row(&t, []string{name, kind, cli.OrDash(n.GetAddress()), nodeState(n), cli.OrDash(n.GetServer())},
				cli.OrDash(b.GetVhost()), cli.OrDash(b.GetCredentials()), b.GetTopology())
			name, kind = "", ""
			if n.GetReason() != "" {
				trouble = append(trouble, fmt.Sprintf("%s\n  %s", p.style.Red(b.GetName()+" "+n.GetAddress()+" cannot be used"), n.GetReason()))
			}
		}
	}
	p.table(&t, len(brokers))
	for _, line := range trouble {
		fmt.Fprintln(&p.buf, line)
	}
}

func nodeState(n *adminv1.BrokerNode) string {
	switch {
	case n.GetBlocked():
		return "blocked"
	case n.GetPublishing() && n.GetConsuming():
		return "up"
	case n.GetPublishing():
		return "publishing only"
	case n.GetConsuming():
		return "consuming only"
	default:
		return "down"
	}
}

func (p *dumpPage) resources(resources []*adminv1.ConfigResource) {
	var t terminal.Table
	p.heads(&t, []string{"RESOURCE", "NAME", "STATE", "VERSION"})
	for _, r := range resources {
		kind, name := cli.ResourceKind(r.GetTypeUrl(), r.GetName())
		t.Cells(terminal.Cell{Text: kind}, terminal.Cell{Text: name},
			terminal.Cell{Text: r.GetState(), Paint: p.paint(r.GetState())}, terminal.Cell{Text: cli.OrDash(cli.Short(r.GetVersion()))})
	}
	p.table(&t, len(resources))
	for _, r := range resources {
		if r.GetError() == "" {
			continue
		}
		kind, name := cli.ResourceKind(r.GetTypeUrl(), r.GetName())
		what := "is " + r.GetState()
		if r.GetRejectedVersion() != "" {
			what = "refused version " + cli.Short(r.GetRejectedVersion())
		}
		fmt.Fprintf(&p.buf, "%s\n  %s\n", p.style.Red(fmt.Sprintf("%s %s: %s", kind, name, what)), r.GetError())
	}
}

func (p *dumpPage) paint(state string) func(string) string {
	switch state {
	case "ACKED":
		return p.style.Green
	case "NACKED":
		return p.style.Red
	default:
		return p.style.Yellow
	}
}

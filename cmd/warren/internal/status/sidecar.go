package status

import (
	"fmt"
	"io"
	"strings"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/terminal"
)

// kindProgress counts a sidecar's resources of one kind.
type kindProgress struct{ acked, total int }

func (k kindProgress) String() string {
	if k.total == 0 {
		return "-"
	}
	return fmt.Sprintf("%d/%d", k.acked, k.total)
}

// byKind counts what a sidecar has acknowledged, by what people call it.
func byKind(s *adminv1.Sidecar) map[string]kindProgress {
	out := map[string]kindProgress{}
	for _, r := range s.GetResources() {
		if r.GetState() == "DOES_NOT_EXIST" {
			continue // as in the count of all
		}
		kind, _ := cli.ResourceKind(r.GetTypeUrl(), r.GetName())
		k := out[kind]
		k.total++
		if r.GetState() == "ACKED" {
			k.acked++
		}
		out[kind] = k
	}
	return out
}

// writeSidecars writes the page of single sidecars: each of their resources.
func (p *statusPage) writeSidecars(w io.Writer, sidecars []*adminv1.Sidecar) error {
	for i, s := range sidecars {
		if i > 0 {
			p.buf.WriteByte('\n')
		}
		p.oneSidecar(cli.Printable(s))
	}
	if _, err := w.Write(p.buf.Bytes()); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}

func (p *statusPage) oneSidecar(s *adminv1.Sidecar) {
	fmt.Fprintf(&p.buf, "sidecar %s of %s/%s is %s\n", p.style.Bold(s.GetId()), s.GetNamespace(), s.GetWorkload(), p.syncPaint(s.GetState())(s.GetState()))
	fmt.Fprintf(&p.buf, "connected for %s from %s, version %s, labels %s\n\n",
		cli.Age(s.GetConnectedFor().AsDuration()), cli.OrDash(s.GetPeer()), cli.OrDash(s.GetVersion()), cli.OrDash(cli.Labels(s.GetLabels())))
	if s.GetLastReport() != nil {
		fmt.Fprintf(&p.buf, "reported %s ago, with configuration %s in force there\n\n", cli.Age(s.GetLastReport().AsDuration()), cli.OrDash(cli.Short(s.GetConfigVersion())))
	}
	if len(s.GetResources()) == 0 {
		fmt.Fprintln(&p.buf, p.style.Faint("nothing was sent to it"))
		return
	}
	var table terminal.Table
	heading := []string{"KIND", "NAME", "STATE", "SINCE", "ACKED", "IN FORCE"}
	if p.wide {
		heading = append(heading, "SENT", "TYPE")
	}
	table.Cells(p.heads(heading)...)
	for _, kind := range cli.ResourceKinds {
		for _, r := range s.GetResources() {
			if k, _ := cli.ResourceKind(r.GetTypeUrl(), r.GetName()); k == kind {
				table.Cells(p.resourceRow(r)...)
			}
		}
	}
	_, _ = table.WriteTo(&p.buf) // a buffer takes everything
	p.sidecarTrouble(s)
}

func (p *statusPage) resourceRow(r *adminv1.SidecarResource) []terminal.Cell {
	kind, name := cli.ResourceKind(r.GetTypeUrl(), r.GetName())
	since := "-"
	if at := r.GetSince(); at != nil {
		since = cli.Age(p.now.Sub(at.AsTime()))
	}
	row := []terminal.Cell{
		{Text: kind}, {Text: name}, {Text: r.GetState(), Paint: p.resourcePaint(r.GetState())}, {Text: since},
		{Text: cli.OrDash(cli.Short(r.GetAckedVersion()))}, {Text: cli.OrDash(cli.Short(r.GetVersion()))},
	}
	if p.wide {
		row = append(row, terminal.Cell{Text: cli.OrDash(cli.Short(r.GetSentVersion()))},
			terminal.Cell{Text: r.GetTypeUrl()[strings.LastIndexByte(r.GetTypeUrl(), '.')+1:]})
	}
	return row
}

func (p *statusPage) resourcePaint(state string) func(string) string {
	switch state {
	case "ACKED":
		return p.style.Green
	case "NACKED":
		return p.style.Red
	default:
		return p.style.Yellow
	}
}

package status

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/terminal"
)

// statusPage is the state of the mesh for people.
type statusPage struct {
	wide  bool
	style terminal.Style
	now   time.Time

	buf bytes.Buffer
}

func (p *statusPage) write(w io.Writer, r *adminv1.GetStatusResponse) error {
	r = cli.Printable(r)
	p.heading(r)
	p.problems(r)
	p.objects(r.GetObjects())
	p.traffic(r.GetTraffic())
	p.sidecars(r.GetSidecars())
	if _, err := w.Write(p.buf.Bytes()); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}

func (p *statusPage) heading(r *adminv1.GetStatusResponse) {
	if r.GetVersion() == "" {
		fmt.Fprint(&p.buf, p.style.Yellow("no configuration is in force"))
	} else {
		fmt.Fprintf(&p.buf, "configuration %s in force", p.style.Bold(cli.Short(r.GetVersion())))
	}
	if r.GetLoadedAt() != nil {
		fmt.Fprintf(&p.buf, " for %s", cli.Age(p.now.Sub(r.GetLoadedAt().AsTime())))
	}
	if v := r.GetControlPlaneVersion(); v != "" {
		fmt.Fprintf(&p.buf, ", control plane %s", v)
	}
	p.buf.WriteByte('\n')
}

// problems lists what is wrong with a refused configuration, in the form editors
// understand: file:line: text.
func (p *statusPage) problems(r *adminv1.GetStatusResponse) {
	if len(r.GetProblems()) == 0 {
		return
	}
	p.buf.WriteByte('\n')
	fmt.Fprintln(&p.buf, p.style.Red("the newest configuration was refused and is not in force:"))
	for _, problem := range r.GetProblems() {
		fmt.Fprintf(&p.buf, "  %s\n", cli.Problem(problem.GetFile(), int(problem.GetLine()), problem.GetField(), problem.GetMessage()))
	}
}

func (p *statusPage) objects(objects []*adminv1.Object) {
	p.buf.WriteByte('\n')
	if len(objects) == 0 {
		fmt.Fprintln(&p.buf, p.style.Faint("no objects"))
		return
	}
	objects = slices.SortedFunc(slices.Values(objects), compareObjects)
	var table terminal.Table
	heading := []string{"OBJECT", "NAME", "ACCEPTED", "REFS", "PROGRAMMED", "A/P/R"}
	if p.wide {
		heading = append(heading, "REASON", "SINCE")
	}
	table.Cells(p.heads(heading)...)
	for _, o := range objects {
		table.Cells(p.objectRow(o)...)
	}
	_, _ = table.WriteTo(&p.buf) // a buffer takes everything
	for _, o := range objects {
		p.objectTrouble(o)
	}
}

func (p *statusPage) objectRow(o *adminv1.Object) []terminal.Cell {
	programmed := condition(o, v1alpha1.ConditionProgrammed)
	row := []terminal.Cell{
		{Text: strings.TrimPrefix(o.GetKind(), "Event")}, {Text: o.GetNamespace() + "/" + o.GetName()},
		p.state(condition(o, v1alpha1.ConditionAccepted)), p.state(condition(o, v1alpha1.ConditionResolvedRefs)),
		p.state(programmed), {Text: fmt.Sprintf("%d/%d/%d", o.GetAcked(), o.GetPending(), o.GetRejected())},
	}
	if p.wide {
		since := ""
		if at := programmed.GetLastTransitionTime(); at != nil {
			since = cli.Age(p.now.Sub(at.AsTime()))
		}
		row = append(row, terminal.Cell{Text: programmed.GetReason()}, terminal.Cell{Text: since})
	}
	return row
}

// objectTrouble explains, below the table, what keeps an object from being in
// force. That no sidecar is there is no trouble.
func (p *statusPage) objectTrouble(o *adminv1.Object) {
	title := fmt.Sprintf("%s %s/%s", o.GetKind(), o.GetNamespace(), o.GetName())
	for _, c := range o.GetConditions() {
		if c.GetType() == v1alpha1.ConditionAccepted && c.GetStatus() == "True" && c.GetMessage() != "" {
			fmt.Fprintf(&p.buf, "%s\n", p.style.Yellow(title+": "+c.GetMessage()))
		}
		if c.GetStatus() == "False" {
			fmt.Fprintf(&p.buf, "%s\n  %s\n", p.style.Red(title+" is not "+c.GetType()+": "+c.GetReason()), c.GetMessage())
		}
	}
	if o.GetLastError() != "" {
		fmt.Fprintf(&p.buf, "  last refusal: %s\n", o.GetLastError())
	}
}

func (p *statusPage) sidecars(sidecars []*adminv1.Sidecar) {
	p.buf.WriteByte('\n')
	if len(sidecars) == 0 {
		fmt.Fprintln(&p.buf, p.style.Faint("no sidecars are connected"))
		return
	}
	sidecars = slices.SortedFunc(slices.Values(sidecars), func(a, b *adminv1.Sidecar) int {
		return cmp.Or(cmp.Compare(a.GetNamespace(), b.GetNamespace()), cmp.Compare(a.GetId(), b.GetId()), cmp.Compare(a.GetPeer(), b.GetPeer()))
	})
	var table terminal.Table
	heading := []string{"SIDECAR", "WORKLOAD", "STATE", "ACKED", "CONNECTED"}
	if p.wide {
		for _, kind := range cli.ResourceKinds {
			heading = append(heading, strings.ToUpper(kind))
		}
		heading = append(heading, "REPORTS", "VERSION", "PEER", "LABELS")
	}
	table.Cells(p.heads(heading)...)
	for _, s := range sidecars {
		table.Cells(p.sidecarRow(s)...)
	}
	_, _ = table.WriteTo(&p.buf)
	for i, s := range sidecars {
		if i > 0 && s.GetId() == sidecars[i-1].GetId() && (i == 1 || s.GetId() != sidecars[i-2].GetId()) {
			fmt.Fprintln(&p.buf, p.style.Yellow("several streams say that they are "+s.GetId()+": connections that died, or somebody else; -o wide shows their peers"))
		}
		p.sidecarTrouble(s)
	}
	p.reports(sidecars)
}

func (p *statusPage) sidecarRow(s *adminv1.Sidecar) []terminal.Cell {
	acked, known := 0, 0
	for _, r := range s.GetResources() {
		switch r.GetState() {
		case "DOES_NOT_EXIST":
			continue // asked for by name; there is nothing to be in sync with
		case "ACKED":
			acked++
		}
		known++
	}
	row := []terminal.Cell{
		{Text: s.GetId()}, {Text: s.GetNamespace() + "/" + s.GetWorkload()},
		{Text: s.GetState(), Paint: p.syncPaint(s.GetState())},
		{Text: fmt.Sprintf("%d/%d", acked, known)},
		{Text: cli.Age(s.GetConnectedFor().AsDuration())},
	}
	if p.wide {
		progress := byKind(s)
		for _, kind := range cli.ResourceKinds {
			row = append(row, terminal.Cell{Text: progress[kind].String()})
		}
		row = append(row, terminal.Cell{Text: cli.OrDash(s.GetReports())}, terminal.Cell{Text: s.GetVersion()}, terminal.Cell{Text: s.GetPeer()},
			terminal.Cell{Text: cli.Labels(s.GetLabels())})
	}
	return row
}

func (p *statusPage) sidecarTrouble(s *adminv1.Sidecar) {
	for _, r := range s.GetResources() {
		if r.GetState() == "NACKED" {
			kind, name := cli.ResourceKind(r.GetTypeUrl(), r.GetName())
			fmt.Fprintf(&p.buf, "%s\n  %s\n", p.style.Red(fmt.Sprintf("%s refused %s %s", s.GetId(), kind, name)), r.GetError())
		}
	}
}

func (p *statusPage) heads(texts []string) []terminal.Cell {
	cells := make([]terminal.Cell, len(texts))
	for i, text := range texts {
		cells[i] = terminal.Cell{Text: text, Paint: p.style.Bold}
	}
	return cells
}

func (p *statusPage) state(c *adminv1.Condition) terminal.Cell {
	switch c.GetStatus() {
	case "True":
		return terminal.Cell{Text: "True", Paint: p.style.Green}
	case "False":
		return terminal.Cell{Text: "False", Paint: p.style.Red}
	default:
		return terminal.Cell{Text: "Unknown", Paint: p.style.Yellow}
	}
}

func (p *statusPage) syncPaint(state string) func(string) string {
	switch state {
	case "SYNCED":
		return p.style.Green
	case "NACK":
		return p.style.Red
	default:
		return p.style.Yellow
	}
}

// condition returns an object's condition of a type, nil when there is none.
func condition(o *adminv1.Object, typ string) *adminv1.Condition {
	for _, c := range o.GetConditions() {
		if c.GetType() == typ {
			return c
		}
	}
	return nil
}

func compareObjects(a, b *adminv1.Object) int {
	return cmp.Or(
		cmp.Compare(slices.Index(cli.KindOrder, a.GetKind()), slices.Index(cli.KindOrder, b.GetKind())),
		cmp.Compare(a.GetNamespace(), b.GetNamespace()), cmp.Compare(a.GetName(), b.GetName()))
}

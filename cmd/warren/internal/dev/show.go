package dev

import (
	"fmt"
	"strings"

	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/dev/devmesh"
	"github.com/warrenmesh/warren/cmd/warren/internal/peer"
	"github.com/warrenmesh/warren/cmd/warren/internal/terminal"
)

// devOutput is what runs, for scripts. It is printed once, when everything listens.
type devOutput struct {
	Broker       string       `json:"broker"`
	Config       string       `json:"config"`
	ControlPlane string       `json:"controlPlane"` // for warren status
	XDS          string       `json:"xds"`
	Sidecars     []devSidecar `json:"sidecars"`
}

type devSidecar struct {
	Namespace string            `json:"namespace"`
	Workload  string            `json:"workload"`
	Address   string            `json:"address"`
	Admin     string            `json:"admin"` // for warren tail, config dump and drain
	Labels    map[string]string `json:"labels"`
	Trouble   string            `json:"trouble,omitempty"`
}

// showMesh prints the addresses and what to try next.
func showMesh(a *cli.App, f *devFlags, dir string, m devmesh.Mesh, p plan) error {
	if f.output != cli.Table {
		out := devOutput{Broker: f.broker, Config: dir, ControlPlane: m.Admin, XDS: m.XDS}
		for _, s := range m.Sidecars {
			out.Sidecars = append(out.Sidecars, devSidecar{s.Namespace, s.Name, s.Address, s.AdminAddress, s.Labels, s.Trouble})
		}
		return cli.WriteValue(a.Out, f.output, out)
	}
	var table terminal.Table
	table.Row("RUNS", "ADDRESS", "ADMIN", "LABELS")
	table.Row("control plane", m.Admin, "", "")
	for _, s := range m.Sidecars {
		table.Row("sidecar of "+s.Namespace+"/"+s.Name, s.Address, s.AdminAddress, cli.Labels(s.Labels))
	}
	if _, err := table.WriteTo(a.Out); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	for _, s := range m.Sidecars {
		if s.Trouble != "" {
			a.Errorf("%s", a.ErrStyle().Yellow("sidecar of "+s.Name+" is not ready: "+s.Trouble))
		}
	}
	if f.broker == "memory" {
		a.Sayf("\nThe broker is embedded: nothing is durable, all is gone when this ends.")
	}
	a.Sayf("Configuration is read from %s as it changes.", dir)
	a.Sayf("\nTry, in another terminal:\n%s\nCtrl-C ends it.", tryNext(m, p))
	return nil
}

// tryNext lists commands that work on this mesh as it is.
func tryNext(m devmesh.Mesh, p plan) string {
	var b strings.Builder
	for _, s := range m.Sidecars {
		if subscription := p.receives(s.Workload); subscription != "" {
			fmt.Fprintf(&b, "  warren subscribe %s%s\n", subscription, at("sidecar", s.Address, peer.DefaultSidecar))
			break
		}
	}
	first := m.Sidecars[0]
	if topic := p.topicFor(first.Namespace); topic != "" {
		fmt.Fprintf(&b, "  warren publish %s%s --type com.example.hello \\\n      --source /me --data '{\"hello\": \"world\"}'\n",
			topic, at("sidecar", first.Address, peer.DefaultSidecar))
	}
	fmt.Fprintf(&b, "  warren tail%s\n", at("admin", first.AdminAddress, peer.DefaultSidecarAdmin))
	fmt.Fprintf(&b, "  warren status%s\n", at("control-plane", m.Admin, peer.DefaultControlPlane))
	return b.String()
}

// at is the flag for an address, nothing for the default.
func at(flag, address, byDefault string) string {
	if address == byDefault {
		return ""
	}
	return fmt.Sprintf(" --%s %s", flag, address)
}

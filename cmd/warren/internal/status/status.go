// Package status is warren status: what the control plane says of objects and sidecars.
package status

import (
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/peer"
)

// statusFlags are the flags of warren status.
type statusFlags struct {
	output    string
	namespace string
	kind      string
	timeout   time.Duration
}

// New makes warren status.
func New(a *cli.App) *cobra.Command {
	f := &statusFlags{}
	cmd := &cobra.Command{
		Use:   "status [SIDECAR]",
		Short: "Show which configuration is active in the mesh, and what is wrong",
		Long: `Asks the control plane for every declared object and every connected sidecar.

An object is Accepted when it is valid, has its References resolved when all it
names exists, and is Programmed when every sidecar it concerns has acknowledged
it and none reports that the broker does not take it; A/P/R counts the sidecars
that acknowledged it, have not answered yet, and refused it. A sidecar is
SYNCED, NOT_SENT (nothing was sent to it), STALE (its answer is due) or NACK (it
refused something and runs on what it had before).

Sidecars report every 5 seconds how brokers and traffic are. Rates are over the
last half minute. BACKLOG is what waits to be delivered, RETRYING what waits for
another attempt, DEAD the dead letters, RECEIVERS the consumers: one sidecar for
each broker measures the queues. The age of the oldest event is not shown,
because RabbitMQ does not tell it. The figures cover the sidecars that are
connected to the control plane that answers.

When the newest configuration was refused, its problems are listed with file,
line and field; the one before it stays in force.

With SIDECAR, which is an id, the beginning of one, or a workload, every
resource of that sidecar is listed: what it acknowledged and what is in force.
With -o wide the table of sidecars counts resources by kind.

The exit code tells only whether the control plane answered, and knows the
sidecar.`,
		Example: `  warren status
  warren status --namespace shop -o wide
  warren status billing
  warren status --kind subscription
  warren status -o json | jq '.sidecars[] | select(.state != "SYNCED")'`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return run(a, cmd, strings.Join(args, ""), f)
		},
		ValidArgsFunction: a.Complete(cli.SidecarNames),
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVarP(&f.output, "output", "o", cli.Table, "`format`: table, wide, json or yaml")
	flags.StringVar(&f.namespace, "namespace", "", "only this namespace (default: all)")
	flags.StringVar(&f.kind, "kind", "", "only objects of this `kind`: broker, topic, route, subscription or policy (default: all)")
	flags.String("control-plane", peer.DefaultControlPlane, "admin `address` of the control plane, host:port or unix:/path; env "+peer.EnvControlPlane)
	flags.DurationVar(&f.timeout, "timeout", 10*time.Second, "how long to wait for the answer")
	cli.CompleteFlag(cmd, "output", cli.Table, cli.Wide, cli.JSON, cli.YAML)
	cli.CompleteFlag(cmd, "kind", "broker", "topic", "route", "subscription", "policy")
	a.CompleteFlagFrom(cmd, "namespace", cli.Namespaces)
	return cmd
}

func run(a *cli.App, cmd *cobra.Command, sidecar string, f *statusFlags) error {
	if err := cli.OneOf("output", f.output, cli.Table, cli.Wide, cli.JSON, cli.YAML); err != nil {
		return err
	}
	kind, err := statusKind(f.kind)
	if err != nil {
		return err
	}
	if f.timeout <= 0 {
		return cli.Usagef("--timeout %s: want a positive duration", f.timeout)
	}
	address := a.Address(cmd, "control-plane", peer.EnvControlPlane)
	resp, err := cli.FetchStatus(cmd.Context(), address, f.namespace, f.timeout)
	if err != nil {
		return err
	}
	ofKind(resp.GetTraffic(), kind)
	resp.Objects = slices.DeleteFunc(resp.Objects, func(o *adminv1.Object) bool { return kind != "" && o.GetKind() != kind })
	if sidecar != "" {
		found := cli.SelectSidecars(resp.GetSidecars(), sidecar)
		if len(found) == 0 {
			a.Errorf("%s", a.ErrStyle().Red("no sidecar "+sidecar+" is connected"))
			a.Hint("warren status lists those that are")
			return cli.ErrReported
		}
		resp.Sidecars, resp.Objects, resp.Problems, resp.Traffic = found, nil, nil, nil
	}
	if f.output == cli.JSON || f.output == cli.YAML {
		return cli.WriteMessage(a.Out, f.output, resp)
	}
	page := &statusPage{wide: f.output == cli.Wide, style: a.OutStyle(), now: time.Now()}
	if sidecar != "" {
		return page.writeSidecars(a.Out, resp.GetSidecars())
	}
	return page.write(a.Out, resp)
}

// statusKind reads --kind: "topic", "EventTopic" and "eventtopic" are the same.
func statusKind(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	for _, kind := range v1alpha1.Kinds() {
		if strings.EqualFold(text, kind) || strings.EqualFold("Event"+text, kind) {
			return kind, nil
		}
	}
	return "", cli.Usagef("--kind %q: want broker, topic, route, subscription or policy", text)
}

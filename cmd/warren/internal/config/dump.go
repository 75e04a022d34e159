package config

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
)

func newConfigDump(a *cli.App) *cobra.Command {
	var (
		output  string
		timeout time.Duration
	)
	cmd := &cobra.Command{
		Use:   "dump",
		Short: "Show the configuration a sidecar uses",
		Long: `Asks a sidecar what it runs on: topics with their rules, subscriptions, brokers
with the condition of their nodes, and every xDS resource with its state, its
version and why it was refused; when the control plane was last heard, and
whether the configuration comes from the disk.

There are no secrets in it: credentials are shown by their name.`,
		Example: `  warren config dump
  warren config dump -o wide --admin 127.0.0.1:17510
  warren config dump -o json | jq '.resources[] | select(.state == "NACKED")'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cli.OneOf("output", output, cli.Table, cli.Wide, cli.JSON, cli.YAML); err != nil {
				return err
			}
			s, err := a.DialAdmin(cmd)
			if err != nil {
				return err
			}
			defer s.Close()
			dump, err := s.Dump(cmd.Context(), timeout)
			if err != nil {
				return err
			}
			if output == cli.JSON || output == cli.YAML {
				return cli.WriteMessage(a.Out, output, dump)
			}
			return (&dumpPage{wide: output == cli.Wide, style: a.OutStyle(), now: time.Now()}).write(a.Out, dump)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVarP(&output, "output", "o", cli.Table, "`format`: table, wide, json or yaml")
	a.AddAdminFlag(cmd)
	flags.DurationVar(&timeout, "timeout", 10*time.Second, "how long to wait for the answer")
	cli.CompleteFlag(cmd, "output", cli.Table, cli.Wide, cli.JSON, cli.YAML)
	return cmd
}

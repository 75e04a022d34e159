package main

import (
	"time"

	"github.com/spf13/cobra"
)

func newConfigDump(a *app) *cobra.Command {
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
			if err := oneOf("output", output, formatTable, formatWide, formatJSON, formatYAML); err != nil {
				return err
			}
			s, err := a.dialAdmin(cmd)
			if err != nil {
				return err
			}
			defer s.close()
			dump, err := s.dump(cmd.Context(), timeout)
			if err != nil {
				return err
			}
			if output == formatJSON || output == formatYAML {
				return writeMessage(a.Out, output, dump)
			}
			return (&dumpPage{wide: output == formatWide, style: a.OutStyle(), now: time.Now()}).write(a.Out, dump)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVarP(&output, "output", "o", formatTable, "`format`: table, wide, json or yaml")
	addAdminFlag(cmd)
	flags.DurationVar(&timeout, "timeout", 10*time.Second, "how long to wait for the answer")
	return cmd
}

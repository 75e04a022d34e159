package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/warrenmesh/warren/internal/version"
)

func newVersion(a *App) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print which build this is",
		Long:    `Prints version, commit, build date, Go version and platform of this command.`,
		Example: "  warren version\n  warren version -o json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := OneOf("output", output, Text, JSON, YAML); err != nil {
				return err
			}
			if output != Text {
				return WriteValue(a.Out, output, version.Current())
			}
			_, err := fmt.Fprintln(a.Out, "warren", version.Current())
			return err
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", Text, "`format`: text, json or yaml")
	CompleteFlag(cmd, "output", Text, JSON, YAML)
	return cmd
}

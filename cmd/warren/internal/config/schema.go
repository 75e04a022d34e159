package config

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/warrenmesh/warren/api/schema"
	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
)

func newConfigSchema(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use:   "schema [KIND]",
		Short: "Print the JSON Schema of the kinds, for editors",
		Long: `Prints a JSON Schema (draft 2020-12) that lets an editor complete, explain and
check declared objects as they are written: of one kind, or without a kind of
files that hold any of them. A file says which schema it follows in a comment:

  # yaml-language-server: $schema=./warren.schema.json

docs/configuration-schema.md shows the set-up of editors.`,
		Example: `  warren config schema > warren.schema.json
  warren config schema EventTopic`,
		Args:      cobra.MaximumNArgs(1),
		ValidArgs: v1alpha1.Kinds(),
		RunE: func(_ *cobra.Command, args []string) error {
			name := schema.All
			if len(args) > 0 {
				name = args[0]
			}
			text, ok := schema.JSON(name)
			if !ok {
				return cli.Usagef("no kind %q: want one of %s%s", name, strings.Join(v1alpha1.Kinds(), ", "), v1alpha1.DidYouMean(name, v1alpha1.Kinds()))
			}
			return write(a, string(text))
		},
	}
}

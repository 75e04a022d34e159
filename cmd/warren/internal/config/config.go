// Package config is warren config: it validates and explains files without a control plane, and
// shows what a sidecar runs on.
package config

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/terminal"
	"github.com/warrenmesh/warren/controlplane"
	"github.com/warrenmesh/warren/controlplane/declare"
)

// New makes warren config with its commands.
func New(a *cli.App) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Validate and explain configuration files",
		Long: `Works on declared objects as the control plane reads them, without one: checks
directories of them, says what their fields mean, and tells editors.`,
	}
	cmd.AddCommand(newConfigValidate(a), newConfigDump(a), newConfigExplainField(a), newConfigSchema(a))
	return cmd
}

func newConfigValidate(a *cli.App) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "validate DIR",
		Short: "Validate a directory of configuration files",
		Long: `Reads a directory of YAML files exactly as the control plane would and prints
every problem with its file, line and field, and what would be right. A set
without problems would come into force; one with any would leave the last good
set as it is.

Needs neither a control plane nor a broker. Exit code 1 means there are
problems.`,
		Example: `  warren config validate ./config
  warren config validate ./config -o json | jq '.problems[].message'`,
		Args: cli.Exactly("a directory"),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := cli.OneOf("output", output, cli.Text, cli.JSON, cli.YAML); err != nil {
				return err
			}
			return validate(a, args[0], output)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", cli.Text, "`format`: text, json or yaml")
	cli.CompleteFlag(cmd, "output", cli.Text, cli.JSON, cli.YAML)
	return cmd
}

// validateOutput is the result for scripts.
type validateOutput struct {
	Valid     bool           `json:"valid"`
	Objects   map[string]int `json:"objects"`
	Resources int            `json:"resources"`
	Problems  []configIssue  `json:"problems"`
}

type configIssue struct {
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Field   string `json:"field,omitempty"`
	Message string `json:"message"`
	Object  string `json:"object,omitempty"`
	Reason  string `json:"reason"`
}

func validate(a *cli.App, dir, output string) error {
	if err := cli.CheckDir(dir); err != nil {
		return err
	}
	summary, problems := controlplane.Check(dir)
	var err error
	if output == cli.Text {
		err = printCheck(a, dir, summary, problems)
	} else {
		err = cli.WriteValue(a.Out, output, checkResult(summary, problems))
	}
	if err == nil && len(problems) > 0 {
		return cli.ErrReported
	}
	return err
}

func printCheck(a *cli.App, dir string, s controlplane.Summary, problems []declare.Problem) error {
	for _, p := range problems {
		file := p.File
		if file != "" {
			file = filepath.Join(dir, file) // editors and terminals can open that
		}
		if _, err := fmt.Fprintln(a.Out, terminal.Printable(cli.Problem(file, p.Line, p.Field, p.Message))); err != nil {
			return fmt.Errorf("write output: %w", err)
		}
	}
	objects := 0
	for _, n := range s.Objects {
		objects += n
	}
	if len(problems) > 0 {
		a.Errorf("%s", a.ErrStyle().Red(fmt.Sprintf("%s: %s in %s", dir, cli.Plural(len(problems), "problem"), cli.Plural(objects, "object"))))
		return nil
	}
	var table terminal.Table
	table.Row("KIND", "OBJECTS")
	for _, kind := range sortedKinds(s.Objects) {
		if n := s.Objects[kind]; n > 0 {
			table.Row(kind, fmt.Sprint(n))
		}
	}
	if _, err := table.WriteTo(a.Out); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	a.Sayf("%s", a.ErrStyle().Green(fmt.Sprintf("%s is valid: %s, %s for sidecars",
		dir, cli.Plural(objects, "object"), cli.Plural(s.Resources, "resource"))))
	return nil
}

func checkResult(s controlplane.Summary, problems []declare.Problem) validateOutput {
	out := validateOutput{Valid: len(problems) == 0, Objects: s.Objects, Resources: s.Resources, Problems: []configIssue{}}
	for _, p := range problems {
		issue := configIssue{File: p.File, Line: p.Line, Field: p.Field, Message: p.Message, Reason: p.Kind.String()}
		if p.Object != (v1alpha1.ObjectName{}) {
			issue.Object = p.Object.String()
		}
		out.Problems = append(out.Problems, issue)
	}
	return out
}

// sortedKinds lists kinds in the order they depend on each other.
func sortedKinds(counts map[string]int) []string {
	return slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(slices.Index(cli.KindOrder, a), slices.Index(cli.KindOrder, b)), cmp.Compare(a, b))
	})
}

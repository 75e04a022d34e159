package main

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/cmd/warren/internal/terminal"
	"github.com/warrenmesh/warren/controlplane"
	"github.com/warrenmesh/warren/controlplane/declare"
)

func newConfig(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Validate and explain configuration files",
		Long: `Works on declared objects as the control plane reads them, without one: checks
directories of them, says what their fields mean, and tells editors.`,
	}
	cmd.AddCommand(newConfigValidate(a), newConfigDump(a), newConfigExplainField(a), newConfigSchema(a))
	return cmd
}

func newConfigValidate(a *app) *cobra.Command {
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
		Args: exactly("a directory"),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := oneOf("output", output, formatText, formatJSON, formatYAML); err != nil {
				return err
			}
			return a.validate(args[0], output)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", formatText, "`format`: text, json or yaml")
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

func (a *app) validate(dir, output string) error {
	if err := checkDir(dir); err != nil {
		return err
	}
	summary, problems := controlplane.Check(dir)
	var err error
	if output == formatText {
		err = a.printCheck(dir, summary, problems)
	} else {
		err = writeValue(a.Out, output, checkResult(summary, problems))
	}
	if err == nil && len(problems) > 0 {
		return errReported
	}
	return err
}

func checkDir(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return usagef("configuration: %w", err)
	}
	if !info.IsDir() {
		return usagef("configuration: %s is no directory", dir)
	}
	return nil
}

func (a *app) printCheck(dir string, s controlplane.Summary, problems []declare.Problem) error {
	for _, p := range problems {
		file := p.File
		if file != "" {
			file = filepath.Join(dir, file) // editors and terminals can open that
		}
		if _, err := fmt.Fprintln(a.Out, terminal.Printable(problemText(file, p.Line, p.Field, p.Message))); err != nil {
			return fmt.Errorf("write output: %w", err)
		}
	}
	objects := 0
	for _, n := range s.Objects {
		objects += n
	}
	if len(problems) > 0 {
		a.errorf("%s", a.ErrStyle().Red(fmt.Sprintf("%s: %s in %s", dir, plural(len(problems), "problem"), plural(objects, "object"))))
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
	a.sayf("%s", a.ErrStyle().Green(fmt.Sprintf("%s is valid: %s, %s for sidecars",
		dir, plural(objects, "object"), plural(s.Resources, "resource"))))
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
		return cmp.Or(cmp.Compare(slices.Index(kindOrder, a), slices.Index(kindOrder, b)), cmp.Compare(a, b))
	})
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

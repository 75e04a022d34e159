// Package clidoc writes the command-line reference under docs/cli out of the
// commands themselves, one Markdown page for each, and checks that it is current.
// Only tests of commands use it: make generate runs them with -update.
//
//	func TestTheCommandReferenceIsCurrent(t *testing.T) {
//		clidoc.Check(t, "../../docs/cli", *update, newCommand())
//	}
package clidoc

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Check compares the pages of root and of all its commands with those in dir, or
// writes them. A page of a command that is no more is removed, or an error.
func Check(t testing.TB, dir string, update bool, root *cobra.Command) {
	t.Helper()
	pages := map[string]string{}
	collect(root, pages)
	if update {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range pages {
		path := filepath.Join(dir, name)
		if update {
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != want {
			t.Errorf("%s is not current: run 'make generate' (%v)", path, err)
		}
	}
	for _, path := range others(t, dir, root, pages) {
		if !update {
			t.Errorf("%s is of no command: run 'make generate'", path)
		} else if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// others returns pages in dir that are root's by name and no command's.
func others(t testing.TB, dir string, root *cobra.Command, pages map[string]string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, root.Name()+"*.md"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(found, func(path string) bool {
		_, ok := pages[filepath.Base(path)]
		return ok
	})
}

func collect(cmd *cobra.Command, pages map[string]string) {
	pages[file(cmd)] = page(cmd)
	for _, sub := range commands(cmd) {
		collect(sub, pages)
	}
}

// commands are those a person may want to read of.
func commands(cmd *cobra.Command) []*cobra.Command {
	return slices.DeleteFunc(slices.Clone(cmd.Commands()), func(c *cobra.Command) bool {
		return !c.IsAvailableCommand() || c.Name() == "completion"
	})
}

func file(cmd *cobra.Command) string {
	return strings.ReplaceAll(cmd.CommandPath(), " ", "-") + ".md"
}

func page(cmd *cobra.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<!-- written by 'make generate' out of the command; do not edit -->\n\n# %s\n\n%s.\n", cmd.CommandPath(), text(cmd.Short))
	if cmd.Runnable() {
		fmt.Fprintf(&b, "\n%s\n", code(cmd.UseLine()))
	}
	if cmd.Long != "" {
		fmt.Fprintf(&b, "\n%s\n", text(cmd.Long))
	}
	if cmd.Example != "" {
		fmt.Fprintf(&b, "\n## Examples\n\n%s\n", code(strings.ReplaceAll("\n"+cmd.Example, "\n  ", "\n")[1:]))
	}
	flags(&b, "Flags", cmd.NonInheritedFlags())
	flags(&b, "Flags of every command", cmd.InheritedFlags())
	related(&b, cmd)
	return b.String()
}

// code indents what is to be typed.
func code(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		if line != "" {
			lines[i] = "    " + line
		}
	}
	return strings.Join(lines, "\n")
}

// text keeps what Markdown would take for markup.
func text(s string) string { return strings.NewReplacer("*", `\*`, "<", `\<`, "`", "").Replace(s) }

func flags(b *strings.Builder, title string, set *pflag.FlagSet) {
	if !set.HasAvailableFlags() {
		return
	}
	fmt.Fprintf(b, "\n## %s\n\n| flag | default | meaning |\n|---|---|---|\n", title)
	set.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		kind, usage := pflag.UnquoteUsage(f)
		if kind != "" {
			name += " " + kind
		}
		byDefault := f.DefValue
		if byDefault != "" && byDefault != "[]" {
			byDefault = "`" + byDefault + "`"
		} else {
			byDefault = ""
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", cell(name), cell(byDefault), cell(text(usage)))
	})
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// related links the commands around this one.
func related(b *strings.Builder, cmd *cobra.Command) {
	var lines []string
	link := func(c *cobra.Command) {
		lines = append(lines, fmt.Sprintf("- [%s](%s): %s", c.CommandPath(), file(c), text(c.Short)))
	}
	if cmd.HasParent() {
		link(cmd.Parent())
	}
	for _, sub := range commands(cmd) {
		link(sub)
	}
	if len(lines) > 0 {
		fmt.Fprintf(b, "\n## See also\n\n%s\n", strings.Join(lines, "\n"))
	}
}

package config

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/warrenmesh/warren/api/schema"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/config/fielddoc"
	"github.com/warrenmesh/warren/cmd/warren/internal/terminal"
)

// textWidth is where prose is broken.
const textWidth = 80

func newConfigExplainField(a *cli.App) *cobra.Command {
	var output string
	var recursive bool
	cmd := &cobra.Command{
		Use:   "explain-field [KIND.PATH]",
		Short: "Explain a field of a kind",
		Long: `Says what a field is for, its type, its default and what it may be, and lists
the fields inside it. A path starts with a kind, "EventTopic" or "topic" for
short, and may be copied from an error: indices are skipped. Without a path the
kinds are listed.

Needs neither a control plane nor a broker: it speaks of the kinds as this
version of warren knows them.`,
		Example: `  warren config explain-field EventSubscription.spec
  warren config explain-field topic.spec.publish.ttl
  warren config explain-field EventRoute --recursive`,
		Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(_ *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return fielddoc.Complete(typed), cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if err := cli.OneOf("output", output, cli.Text, cli.JSON, cli.YAML); err != nil {
				return err
			}
			return explainField(a, args, output, recursive)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", cli.Text, "`format`: text, json or yaml")
	cmd.Flags().BoolVarP(&recursive, "recursive", "r", false, "everything below, one field a line")
	cli.CompleteFlag(cmd, "output", cli.Text, cli.JSON, cli.YAML)
	return cmd
}

func explainField(a *cli.App, args []string, output string, recursive bool) error {
	if len(args) == 0 {
		return explainKinds(a, output)
	}
	field, err := fielddoc.Find(args[0])
	switch {
	case err != nil:
		return cli.Usage(err)
	case output != cli.Text:
		return cli.WriteValue(a.Out, output, fieldValue(field, recursive))
	case recursive:
		return write(a, fieldTree(field, a.OutStyle()))
	default:
		return write(a, fieldText(field, a.OutStyle()))
	}
}

func explainKinds(a *cli.App, output string) error {
	if output != cli.Text {
		var values []fieldOutput
		for _, k := range fielddoc.Kinds() {
			values = append(values, fieldValue(k, false))
		}
		return cli.WriteValue(a.Out, output, values)
	}
	var b strings.Builder
	for i, k := range fielddoc.Kinds() {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(a.OutStyle().Bold(k.Name) + "\n" + wrap(k.Node.Doc(), "  "))
		writeFacts(&b, k.Node, "  ")
	}
	return write(a, b.String())
}

func write(a *cli.App, text string) error {
	if _, err := fmt.Fprint(a.Out, text); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}

// fieldText shows one field and the fields in it.
func fieldText(f fielddoc.Field, style terminal.Style) string {
	var b strings.Builder
	b.WriteString(style.Bold(f.Path) + "  " + typeText(f) + "\n\n")
	b.WriteString(wrap(describe(f.Node), "  "))
	writeFacts(&b, f.Node, "  ")
	fields := f.Fields()
	if len(fields) == 0 {
		return b.String()
	}
	b.WriteString("\n" + style.Bold("FIELDS") + "\n")
	for _, c := range fields {
		b.WriteString("  " + style.Bold(c.Name) + "  " + typeText(c) + "\n" + wrap(describe(c.Node), "      "))
		writeFacts(&b, c.Node, "      ")
	}
	return b.String()
}

// fieldTree shows all fields below one, by indentation.
func fieldTree(f fielddoc.Field, style terminal.Style) string {
	var table terminal.Table
	fields := f.All()
	names := make([]string, len(fields))
	nameWidth, typeWidth := 0, 0
	for i, c := range fields {
		names[i] = strings.Repeat("  ", strings.Count(c.Path, ".")-strings.Count(f.Path, ".")) + c.Name
		nameWidth, typeWidth = max(nameWidth, len(names[i])), max(typeWidth, len(schema.TypeName(c.Node)))
	}
	for i, c := range fields {
		note, paint := treeNote(c, style)
		table.Cells(terminal.Cell{Text: names[i]}, terminal.Cell{Text: schema.TypeName(c.Node)},
			terminal.Cell{Text: cut(note, textWidth-nameWidth-typeWidth-4), Paint: paint})
	}
	var b strings.Builder
	_, _ = table.WriteTo(&b) // a Builder takes everything
	return b.String()
}

// treeNote is the one thing most worth knowing about a field.
func treeNote(f fielddoc.Field, style terminal.Style) (string, func(string) string) {
	switch {
	case f.Node.Unsupported:
		return "not supported yet", style.Yellow
	case f.Required:
		return "required", style.Bold
	}
	for _, fact := range schema.Facts(f.Node) {
		if fact.Name == "Default" {
			return fact.Text, style.Faint
		}
	}
	return "", nil
}

// cut shortens text to n columns.
func cut(text string, n int) string {
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	return strings.TrimRight(string([]rune(text)[:n-1]), " ,") + "…"
}

func typeText(f fielddoc.Field) string {
	text := schema.TypeName(f.Node)
	if f.Required {
		text += ", required"
	}
	return text
}

// describe is what is said about the field, else about its type.
func describe(n *schema.Node) string {
	if n.Description != "" {
		return n.Doc()
	}
	return schema.Resolve(n).Doc()
}

// writeFacts writes one fact a line.
func writeFacts(b *strings.Builder, n *schema.Node, indent string) {
	for _, f := range schema.Facts(n) {
		b.WriteString(hanging(f.Name+": "+f.Text, indent, indent+strings.Repeat(" ", len(f.Name)+2)))
	}
}

// wrap breaks text into lines of at most textWidth columns.
func wrap(text, indent string) string { return hanging(text, indent, indent) }

// hanging is wrap with another indent from the second line on.
func hanging(text, first, rest string) string {
	var b strings.Builder
	line := first
	used := false // the line has a word
	for word := range strings.FieldsSeq(text) {
		if used && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > textWidth {
			b.WriteString(line + "\n")
			line, used = rest, false
		}
		if used {
			line += " "
		}
		line += word
		used = true
	}
	b.WriteString(line + "\n")
	return b.String()
}

// fieldOutput is a field for scripts.
type fieldOutput struct {
	Path        string        `json:"path"`
	Type        string        `json:"type"`
	Required    bool          `json:"required"`
	Supported   bool          `json:"supported"`
	Default     string        `json:"default,omitempty"`
	Range       string        `json:"range,omitempty"`
	Values      []string      `json:"values,omitempty"`
	Description string        `json:"description"`
	Fields      []fieldOutput `json:"fields,omitempty"`
}

// fieldValue is a field and the fields in it, all of them with deep.
func fieldValue(f fielddoc.Field, deep bool) fieldOutput {
	out := oneField(f)
	for _, c := range f.Fields() {
		if deep && !fielddoc.Recursive(c) {
			out.Fields = append(out.Fields, fieldValue(c, true))
		} else {
			out.Fields = append(out.Fields, oneField(c))
		}
	}
	return out
}

func oneField(f fielddoc.Field) fieldOutput {
	out := fieldOutput{
		Path: f.Path, Type: schema.TypeName(f.Node), Required: f.Required, Supported: !f.Node.Unsupported, Description: describe(f.Node),
	}
	for _, fact := range schema.Facts(f.Node) {
		switch fact.Name {
		case "Default":
			out.Default = fact.Text
		case "Range":
			out.Range = fact.Text
		case "Values":
			out.Values = strings.Split(fact.Text, ", ")
		}
	}
	return out
}

package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
)

func TestDocsEveryReasonOfAnErrorIsExplained(t *testing.T) {
	t.Parallel()
	help, _ := mustRead(t, "docs/troubleshooting.md")
	table, _ := mustRead(t, "docs/errors.md")
	found := reasons(t)
	if len(found) < 20 {
		t.Fatalf("proxy/refusal has the reasons %q, want 20 or more", found)
	}
	for _, reason := range found {
		if !strings.Contains(table, "`"+reason+"`") {
			t.Errorf("docs/errors.md has no %s", reason)
		}
		if !startsParagraph(help, reason) {
			t.Errorf("docs/troubleshooting.md has no paragraph that begins with **%s**", reason)
		}
	}
}

func TestTheReasonsOfErrorsAreThoseOfTheProto(t *testing.T) {
	t.Parallel()
	found := append(reasons(t), "INTERNAL")
	for _, reason := range found {
		if _, ok := eventsv1.ErrorReason_value[reason]; !ok {
			t.Errorf("warren.events.v1.ErrorReason has no %s", reason)
		}
	}
	for reason, number := range eventsv1.ErrorReason_value {
		if number != 0 && !slices.Contains(found, reason) {
			t.Errorf("ErrorReason has %s, which the sidecar never says", reason)
		}
	}
}

// startsParagraph reports whether the bold text at the beginning of a paragraph
// contains a reason.
func startsParagraph(page, reason string) bool {
	for line := range strings.Lines(page) {
		bold, isBold := strings.CutPrefix(line, "**")
		title, _, _ := strings.Cut(bold, "**")
		for word := range strings.FieldsFuncSeq(title, func(r rune) bool { return r == ',' || r == ' ' || r == '.' }) {
			if isBold && word == reason {
				return true
			}
		}
	}
	return false
}

// reasons are the constants of proxy/refusal in capitals.
func reasons(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "proxy/refusal/refusal.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, spec := range g.Specs {
			for _, value := range spec.(*ast.ValueSpec).Values {
				literal, ok := value.(*ast.BasicLit)
				if !ok || literal.Kind != token.STRING {
					continue
				}
				if text, err := strconv.Unquote(literal.Value); err == nil && text == strings.ToUpper(text) {
					all = append(all, text)
				}
			}
		}
	}
	return all
}

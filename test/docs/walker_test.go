package docs

import (
	"strings"
	"testing"
)

// These tests check the tests of the pages: a page with an error must fail.

func TestABlockKeepsItsPlaceItsFileAndItsMarks(t *testing.T) {
	t.Parallel()
	all, err := blocks("p.md", "text\n\n<!-- needs: grpcurl -->\n<!-- not run: a reason -->\n```yaml a/b.yaml\nx: 1\n```\n")
	if err != nil || len(all) != 1 {
		t.Fatalf("%v, %v", all, err)
	}
	b := all[0]
	if b.String() != "p.md:6" || b.lang != "yaml" || b.file != "a/b.yaml" || b.text != "x: 1\n" || b.mark["needs"] != "grpcurl" || b.mark["not run"] != "a reason" {
		t.Errorf("got %+v", b)
	}
}

func TestPagesThatHideSomethingAreRefused(t *testing.T) {
	t.Parallel()
	for name, page := range map[string]string{
		"a block that does not end":    "```sh\nls\n",
		"a mark without a block":       "<!-- not run: x -->\n",
		"a mark away from its block":   "<!-- not run: x -->\ntext\n```sh\nls\n```\n",
		"a mark that is spelled wrong": "<!-- notrun: x -->\n```nonsense\nls\n```\n",
		"a block without a language":   "```\nls\n```\n",
		"JSON that does not parse":     "```json\n{\"a\":}\n```\n",
		"an object with a typo":        "```yaml\napiVersion: warrenmesh.io/v1alpha1\nkind: EventBroker\nmetadata: {name: a, namespace: b}\nspec: {tipe: Memory}\n```\n",
		"Go that does not parse":       "```go\nx := := 1\n```\n",
		"no diagram":                   "```mermaid\nflowchat LR\n```\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all, err := blocks("p.md", page)
			if err == nil && len(all) == 1 {
				err = all[0].check(t.TempDir(), nil)
			}
			if err == nil {
				t.Error("a page with this error passes")
			}
		})
	}
}

func TestCommandsGoOnUntilTheShellCallsThemComplete(t *testing.T) {
	t.Parallel()
	b := &block{lang: "console", text: "$ echo 'a\n  b' |\n  cat\na\n$ ls \\\n  -l\n$ true\n"}
	got, err := b.commands(t.Context())
	if err != nil || len(got) != 3 {
		t.Fatalf("%q, %v", got, err)
	}
	if got[0].line != "echo 'a\n  b' |\n  cat" || got[0].output != "a\n" || got[1].line != "ls \\\n  -l" || got[2].output != "" {
		t.Errorf("got %q", got)
	}
	if _, err := (&block{lang: "console", text: "output\n"}).commands(t.Context()); err == nil {
		t.Error("output without a command passes")
	}
	if _, err := (&block{lang: "sh", text: "echo 'a\n"}).commands(t.Context()); err == nil {
		t.Error("a command that does not end passes")
	}
}

func TestOutputsAreComparedButForWhatDiffersFromRunToRun(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		want, got string
		equal     bool
	}{
		{"published d27ac5e7-644e-4ca1-a8e1-a2dd3836de88 to a in 13ms", "published 00000000-644e-4ca1-a8e1-a2dd3836de88 to a in 1.2s\n", true},
		{"published order-1 to a in 13ms", "published order-2 to a in 13ms", false},
		{"A  1\nB  2", "A     1\nB     2", true},
		{"first\n…\nlast", "first\nsecond\nlast", true},
		{"first\n…", "second", false},
		{"first", "first\nsecond", false},
		{"route: a.b", "route: axb", false},
		{"ackDeadline 30s", "ackDeadline 31s", false},
		{"5 problems", "4 problems", false},
	} {
		if matches(test.want, test.got) != test.equal {
			t.Errorf("%q for %q: equal is %t", test.got, test.want, !test.equal)
		}
	}
}

func TestAProgramThatDoesNotCompileIsBlamedOnItsBlock(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("compiles")
	}
	p, err := goProgramOf(&block{page: "docs/p.md", line: 7, lang: "go", text: "var n int = \"text\"\nfmt.Println(n)\n"})
	if err != nil {
		t.Fatal(err)
	}
	err = compile(t.Context(), t.TempDir(), []goProgram{p})
	if err == nil || !strings.Contains(err.Error(), "docs/p.md:7") {
		t.Errorf("got %v, want the block's place", err)
	}
}

package docs

import (
	"context"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// packages are the packages that a block may use without import clauses.
var packages = map[string]string{
	"codes":      "google.golang.org/grpc/codes",
	"context":    "context",
	"errdetails": "google.golang.org/genproto/googleapis/rpc/errdetails",
	"errors":     "errors",
	"eventsv1":   "github.com/warrenmesh/warren/api/events/v1",
	"fmt":        "fmt",
	"grpc":       "google.golang.org/grpc",
	"insecure":   "google.golang.org/grpc/credentials/insecure",
	"io":         "io",
	"log":        "log",
	"os":         "os",
	"status":     "google.golang.org/grpc/status",
	"time":       "time",
}

// goProgram is a go block as a program, or as a package when it is only compiled.
type goProgram struct {
	block  *block
	name   string // of its directory and its binary
	source string
	output string // that it must print; "" when it is only compiled, or run by a command
}

// outputComment ends a block that is run, as in an Example.
var outputComment = regexp.MustCompile(`(?s)// Output: ?(.*)\z`)

// listenOrDial finds the addresses in Go blocks.
var listenOrDial = regexp.MustCompile(`"127\.0\.0\.1:(\d+)"`)

// goProgramOf makes a program of a go block.
func goProgramOf(b *block) (goProgram, error) {
	p := goProgram{block: b, name: fmt.Sprintf("%s_%d", strings.NewReplacer("/", "_", ".md", "").Replace(b.page), b.line)}
	text := b.text
	if b.file != "" {
		p.name = path.Base(path.Dir(b.file))
		p.source = environmentAddresses(text)
		return p, nil
	}
	body := ""
	switch m := outputComment.FindStringSubmatch(text); {
	case m != nil:
		p.output = strings.ReplaceAll(m[1], "// ", "")
		body = "func main() {\n" + text + "\n}\n"
	case regexp.MustCompile(`(?m)^(func|type) `).MatchString(text):
		body = text
	default:
		body = "func _() {\n" + text + "\n}\n"
	}
	body = environmentAddresses(body)
	clause := "package snippet\n"
	if p.output != "" {
		clause = "package main\n"
	}
	imports, err := importsOf(clause + body)
	p.source = clause + imports + body
	return p, err
}

// environmentAddresses makes a program read its addresses from the environment.
func environmentAddresses(text string) string {
	text, changed := listenOrDial.ReplaceAllString(text, `os.Getenv("ADDRESS_$1")`), listenOrDial.MatchString(text)
	if changed && strings.Contains(text, "import (\n") && !strings.Contains(text, "\t\"os\"\n") {
		text = strings.Replace(text, "import (\n", "import (\n\t\"os\"\n", 1)
	}
	return text
}

// importsOf returns the import clauses that a file needs.
func importsOf(source string) (string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), "block.go", source, 0)
	if err != nil {
		return "", err
	}
	var used []string
	ast.Inspect(file, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && packages[x.Name] != "" && x.Obj == nil && !slices.Contains(used, x.Name) {
				used = append(used, x.Name)
			}
		}
		return true
	})
	var clauses strings.Builder
	for _, name := range used {
		fmt.Fprintf(&clauses, "import %s %q\n", name, packages[name])
	}
	return clauses.String(), nil
}

// compile builds all programs into dir as if they were below this folder. An overlay
// puts them there for the compiler, so that nothing is written into the tree.
func compile(ctx context.Context, dir string, programs []goProgram) error {
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	here, err := os.Getwd()
	if err != nil {
		return err
	}
	args := []string{"build", "-race", "-buildvcs=false", "-ldflags=-s -w", "-overlay", filepath.Join(dir, "overlay.json")}
	if slices.ContainsFunc(programs, func(p goProgram) bool { return strings.HasPrefix(p.source, "package main\n") }) {
		args = append(args, "-o", dir+"/bin/")
	}
	for _, p := range programs {
		file := filepath.Join(dir, p.name+".go")
		if err := os.WriteFile(file, []byte(p.source), 0o600); err != nil {
			return err
		}
		overlay.Replace[filepath.Join(here, "blocks", p.name, "main.go")] = file
		args = append(args, "./blocks/"+p.name)
	}
	text, err := json.Marshal(overlay)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "overlay.json"), text, 0o600)
	}
	if err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("go blocks do not compile: %w\n%s", err, blame(out, programs))
	}
	return nil
}

// blame replaces the names of temporary files with the positions of their blocks.
func blame(out []byte, programs []goProgram) []byte {
	for _, p := range programs {
		file := regexp.MustCompile(`\S*/` + regexp.QuoteMeta(p.name) + `\.go\b`)
		out = file.ReplaceAll(out, []byte("block "+p.block.String()+", as a file"))
	}
	return out
}

// runGo runs a program whose block shows its output. A program whose block names a file
// is put where `go run` finds it.
func (s *session) runGo(b *block) {
	s.Helper()
	p, err := goProgramOf(b)
	if err != nil {
		s.Fatalf("%s: %v", b, err)
	}
	if b.file == "" && p.output == "" {
		return
	}
	s.link(filepath.Join(goDir, "bin", p.name), "bin/"+p.name)
	if p.output != "" {
		s.finish(b, command{line: "bin/" + p.name, output: p.output})
	}
}

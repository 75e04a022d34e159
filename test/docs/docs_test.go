package docs

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/warrenmesh/warren/test/internal/product"
)

const buildTime = 10 * time.Minute // on a slow machine with an empty cache

var (
	programs product.Programs // TestMain builds them
	goDir    string           // its bin/ has the programs of go blocks, which TestMain builds
)

func TestMain(m *testing.M) {
	flag.Parse()
	if !testing.Short() {
		if err := build(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(goDir)
		os.Exit(code)
	}))
}

// build builds the product, then the Go programs of the pages.
func build() (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), buildTime)
	defer cancel()
	if programs, err = product.Build(ctx); err != nil {
		return err
	}
	list, err := pages()
	if err != nil {
		return err
	}
	var inGo []goProgram
	for _, page := range list {
		_, all, err := read(page)
		if err != nil {
			return err
		}
		for _, b := range all {
			if _, marked := b.mark["not run"]; marked || b.lang != "go" || hasOwnTests(page) {
				continue
			}
			p, err := goProgramOf(b)
			if err != nil {
				return fmt.Errorf("%s: %w", b, err)
			}
			inGo = append(inGo, p)
		}
	}
	if goDir, err = os.MkdirTemp("", "warren-docs"); err != nil {
		return err
	}
	return compile(ctx, goDir, inGo)
}

// ownTests lists the folders whose pages have tests of their own.
var ownTests = map[string]string{
	"docs/clients/": "test/clients",
	"docs/cli/":     "cmd/warren",
}

func hasOwnTests(page string) bool {
	for folder := range ownTests {
		if strings.HasPrefix(page, folder) {
			return true
		}
	}
	return false
}

func TestDocsEveryBlockIsRunOrCompiled(t *testing.T) {
	t.Parallel()
	for _, page := range mustList(t) {
		if hasOwnTests(page) {
			continue
		}
		t.Run(page, func(t *testing.T) {
			t.Parallel()
			_, all := mustRead(t, page)
			tryPage(t, all)
		})
	}
}

func mustList(t *testing.T) []string {
	t.Helper()
	list, err := pages()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func mustRead(t *testing.T, page string) (string, []*block) {
	t.Helper()
	text, all, err := read(page)
	if err != nil {
		t.Fatal(err)
	}
	return text, all
}

// has reports whether the program that a block needs is installed. RabbitMQ must be.
func has(t *testing.T, b *block) bool {
	t.Helper()
	switch need := b.mark["needs"]; need {
	case "", "rabbitmq":
		return true
	case "grpcurl":
		_, err := grpcurl()
		if err != nil {
			t.Run(b.String(), func(t *testing.T) { t.Skip(err) })
		}
		return err == nil
	default:
		t.Fatalf("%s: the mark needs names %s, which this test does not know", b, need)
		return false
	}
}

// tryPage tests a page from top to bottom.
func tryPage(t *testing.T, all []*block) {
	t.Helper()
	var s *session
	for i, b := range all {
		if _, ok := b.mark["not run"]; ok {
			continue
		}
		if err := b.check(t.TempDir(), all[:i]); err != nil {
			t.Errorf("%s: %v", b, err)
			continue
		}
		if testing.Short() || !b.acts() || !has(t, b) {
			continue
		}
		if s == nil {
			s = newSession(t, all)
		}
		s.act(b)
	}
	if s != nil {
		s.settle("")
	}
}

// check tests a block without running it.
func (b *block) check(dir string, above []*block) error {
	switch b.lang {
	case "sh", "console":
		return nil
	case "go":
		_, err := goProgramOf(b)
		return err
	case "yaml":
		return b.checkObjects(dir, above)
	case "json":
		return checkJSON(b.text)
	case "mermaid":
		return checkMermaid(b.text)
	default:
		return fmt.Errorf("this test cannot check a block of %q: mark it as not run, with the reason", b.lang)
	}
}

// acts reports whether a block does something in a session.
func (b *block) acts() bool {
	switch b.lang {
	case "sh", "console", "go":
		return true
	default:
		return b.file != ""
	}
}

// act runs a block, or writes its file.
func (s *session) act(b *block) {
	s.Helper()
	switch b.lang {
	case "sh", "console":
		s.run(b)
	case "go":
		s.runGo(b)
	default:
		s.write(b.file, s.declared(b.text))
	}
}

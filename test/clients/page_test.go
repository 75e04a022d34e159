package clients

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// root of the repository, docs the pages.
const (
	root = "../.."
	docs = "../../docs/clients"
)

// block is a fenced block of a page.
type block struct {
	page, language, file string
	text                 string
}

var fence = regexp.MustCompile("(?ms)^```(\\w*) *(\\S*)\n(.*?)^```$")

// blocks reads all blocks of a page.
func blocks(t *testing.T, page string) []block {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(docs, page))
	if err != nil {
		t.Fatal(err)
	}
	var all []block
	for _, m := range fence.FindAllStringSubmatch(string(content), -1) {
		all = append(all, block{page: page, language: m[1], file: m[2], text: m[3]})
	}
	if n := strings.Count("\n"+string(content), "\n```"); n != 2*len(all) {
		t.Errorf("%s has %d fences, which are not %d blocks", page, n, len(all))
	}
	return all
}

// command is one line of a shell block, and the directory in which it runs.
type command struct {
	dir, line string
}

// commands reads the shell blocks of a page. Each block begins at the root of the
// repository.
func commands(t *testing.T, page string) []command {
	t.Helper()
	var all []command
	for _, b := range blocks(t, page) {
		if b.language != "sh" {
			continue
		}
		dir := root
		for line := range strings.Lines(strings.ReplaceAll(b.text, "\\\n", " ")) {
			line = strings.TrimSpace(line)
			if to, ok := strings.CutPrefix(line, "cd "); ok {
				dir = filepath.Join(dir, to)
				continue
			}
			all = append(all, command{dir, line})
		}
	}
	return all
}

func TestEveryProgramInTheClientPagesIsTheFileThatIsRun(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob(docs + "/*.md")
	if err != nil || len(pages) != 5 {
		t.Fatalf("pages are %v, %v; want a README and four languages", pages, err)
	}
	shown := make(map[string]bool)
	for _, page := range pages {
		for _, b := range blocks(t, filepath.Base(page)) {
			if b.language == "sh" {
				continue // the tests of the languages run its commands
			}
			content, err := os.ReadFile(filepath.Join(docs, b.file))
			if b.file == "" || err != nil {
				t.Errorf("%s: a block of %q names no file that can be read: %v", b.page, b.language, err)
				continue
			}
			if string(content) != b.text {
				t.Errorf("%s: the block %s is not what the file holds; copy the file", b.page, b.file)
			}
			shown[b.file] = true
		}
	}
	for _, pattern := range []string{"go/*/main.go", "go/internal/*/*.go", "node/*.js", "python/[a-z]*.py", "java/*.java", "*.proto", "config/*.yaml"} {
		files, err := filepath.Glob(filepath.Join(docs, pattern))
		if err != nil || len(files) == 0 {
			t.Errorf("no files %s: %v", pattern, err)
		}
		for _, path := range files {
			file, _ := filepath.Rel(docs, path)
			if !shown[file] && !strings.Contains(file, "_pb2") {
				t.Errorf("%s is on no page", file)
			}
		}
	}
}

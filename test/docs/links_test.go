package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestDocsLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	for _, page := range mustList(t) {
		text, _ := mustRead(t, page)
		for _, m := range link.FindAllStringSubmatch(prose(text), -1) {
			if err := follow(page, m[1]); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
}

func TestDocsEveryPageIsInTheIndex(t *testing.T) {
	t.Parallel()
	text, _ := mustRead(t, "docs/README.md")
	for _, page := range mustList(t) {
		name, below := strings.CutPrefix(page, "docs/")
		if below && !strings.Contains(name, "/") && name != "README.md" && !strings.Contains(text, "]("+name+")") {
			t.Errorf("docs/README.md does not link %s", name)
		}
	}
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	fenced  = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	dropped = regexp.MustCompile(`[^a-z0-9 _-]`)
)

// prose is a page without its blocks.
func prose(text string) string { return fenced.ReplaceAllString(text, "") }

// follow checks a link of a page. It does not follow links to other sites.
func follow(page, target string) error {
	if strings.Contains(target, "://") {
		return nil
	}
	file, anchor, _ := strings.Cut(target, "#")
	path := filepath.Join(root, page)
	if file != "" {
		path = filepath.Join(root, filepath.Dir(page), file)
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return fmt.Errorf("link %s: %w", target, err)
	case anchor == "" || info.IsDir() || !strings.HasSuffix(path, ".md"):
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for _, m := range heading.FindAllStringSubmatch(prose(string(text)), -1) {
		if strings.ReplaceAll(dropped.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-") == anchor {
			return nil
		}
	}
	return fmt.Errorf("link %s: there is no such heading", target)
}

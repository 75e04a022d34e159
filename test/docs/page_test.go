package docs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// root of the repository.
const root = "../.."

// block is a fenced block of a page.
type block struct {
	page string // path from the root
	line int    // of its text
	lang string
	file string // named by the info string
	text string
	mark map[string]string // from the HTML comments before it
}

// String is the position of the block.
func (b *block) String() string { return fmt.Sprintf("%s:%d", b.page, b.line) }

var (
	fence   = regexp.MustCompile("^( *)```+ *([a-z]*) *(.*?)$")
	comment = regexp.MustCompile(`^<!-- (not run|with|needs|meanwhile)(?:: (.+))? -->$`)
)

// blocks returns the blocks of a page.
func blocks(page, content string) ([]*block, error) {
	var (
		all  []*block
		open *block
		pad  string
		mark = map[string]string{}
	)
	for i, line := range strings.Split(content, "\n") {
		m := fence.FindStringSubmatch(line)
		switch {
		case open != nil && m != nil && m[2] == "":
			all, open = append(all, open), nil
		case open != nil:
			open.text += strings.TrimPrefix(line, pad) + "\n"
		case m != nil:
			pad = m[1]
			open = &block{page: page, line: i + 2, lang: m[2], file: m[3], mark: mark}
			mark = map[string]string{}
		default:
			if c := comment.FindStringSubmatch(strings.TrimSpace(line)); c != nil {
				mark[c[1]] = c[2]
			} else if strings.TrimSpace(line) != "" {
				if len(mark) > 0 {
					return nil, fmt.Errorf("%s:%d: a mark must stand right before its block", page, i)
				}
			}
		}
	}
	if open != nil || len(mark) > 0 {
		return nil, fmt.Errorf("%s: a block that does not end, or a mark without one", page)
	}
	return all, nil
}

// pages lists README.md and everything below docs/, as paths from the root.
func pages() ([]string, error) {
	list := []string{"README.md"}
	err := filepath.WalkDir(filepath.Join(root, "docs"), func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "node_modules":
			return fs.SkipDir
		case strings.HasSuffix(path, ".md"):
			rel, err := filepath.Rel(root, path)
			list = append(list, filepath.ToSlash(rel))
			return err
		}
		return nil
	})
	return list, err
}

// read returns a page's text and blocks.
func read(page string) (string, []*block, error) {
	content, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		return "", nil, err
	}
	all, err := blocks(page, string(content))
	return string(content), all, err
}

// checkJSON parses a sequence of values.
func checkJSON(text string) error {
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	for n := 0; ; n++ {
		var v any
		switch err := d.Decode(&v); {
		case errors.Is(err, io.EOF) && n > 0:
			return nil
		case err != nil:
			return err
		}
	}
}

// checkMermaid checks the kind of a diagram, and that every part that begins ends.
func checkMermaid(text string) error {
	kind := strings.Fields(text + " ?")[0]
	if !slices.Contains([]string{"flowchart", "sequenceDiagram", "stateDiagram-v2"}, kind) {
		return fmt.Errorf("%q is no diagram", kind)
	}
	begun := regexp.MustCompile(`(?m)^\s*(subgraph|alt|loop|par|opt)\b`).FindAllString(text, -1)
	if ended := regexp.MustCompile(`(?m)^\s*end$`).FindAllString(text, -1); len(begun) != len(ended) {
		return fmt.Errorf("%d parts begin, %d end", len(begun), len(ended))
	}
	return nil
}

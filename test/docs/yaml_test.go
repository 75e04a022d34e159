package docs

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/warrenmesh/warren/controlplane"
)

// checkObjects checks a yaml block as `warren config validate` would. It adds the files
// that the block's mark names. If the block is saved, it also adds the blocks above
// that are saved beside it; an object of the block replaces theirs.
func (b *block) checkObjects(dir string, above []*block) error {
	files := map[string]string{"block.yaml": b.text}
	for _, other := range above {
		beside := b.file != "" && path.Dir(other.file) == path.Dir(b.file) && other.file != b.file
		if other.lang == "yaml" && other.file != "" && (beside || other.file == b.mark["with"]) {
			if rest := without(other.text, b.text); rest != "" {
				files["above-"+path.Base(other.file)] = rest
			}
		}
	}
	if with := b.mark["with"]; with != "" && len(files) == 1 {
		if err := addFiles(files, with, b.text); err != nil {
			return err
		}
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	summary, problems := controlplane.Check(dir)
	for _, p := range problems {
		return fmt.Errorf("%s:%d: %s: %s", p.File, p.Line, p.Field, p.Message)
	}
	if summary.Resources == 0 {
		return errors.New("declares nothing")
	}
	return nil
}

// addFiles adds a file, or the files of a directory, without the objects that text has.
func addFiles(files map[string]string, with, text string) error {
	pattern := filepath.Join(root, with)
	if !strings.HasSuffix(with, ".yaml") {
		pattern = filepath.Join(pattern, "*.yaml")
	}
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) == 0 {
		return fmt.Errorf("no files %s: %w", pattern, err)
	}
	for _, file := range found {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		// A file that declares nothing else is left out, because the block replaces it.
		if rest := without(string(content), text); rest != "" {
			files["with-"+filepath.Base(file)] = rest
		}
	}
	return nil
}

var identity = regexp.MustCompile(`(?m)^kind: (\w+)\nmetadata: \{name: ([a-z0-9-]+), namespace: ([a-z0-9-]+)\}$`)

// without removes the objects from text that block has, too.
func without(text, block string) string {
	var rest []string
	for object := range strings.SplitSeq(text, "\n---\n") {
		if id := identity.FindString(object); id == "" || !strings.Contains(block, id) {
			rest = append(rest, object)
		}
	}
	return strings.Join(rest, "\n---\n")
}

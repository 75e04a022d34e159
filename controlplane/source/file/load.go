package file

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/warrenmesh/warren/controlplane/declare"
)

// maxFileBytes bounds one file. A mesh of thousands of topics is well below it.
const maxFileBytes = 8 << 20

// Load reads the directory and decodes its files. A directory that is absent or holds
// no YAML file is a problem. As an empty set it would remove all objects.
func Load(dir string) (declare.Set, []declare.Problem) {
	r := load(dir, new(memory))
	return r.set, r.problems
}

// Check returns an error that says what to do when the directory is absent, is
// not a directory or holds no YAML file.
func Check(dir string) error {
	_, err := names(dir)
	return err
}

// digest identifies the content of a directory.
type digest [sha256.Size]byte

// memory holds the decoded files of the last load, so that a change of one file costs
// only that file. It belongs to one goroutine; the zero value is empty.
type memory struct {
	parts map[digest]declare.Batch // by a file's name and content
}

// decode returns what files declare and the digest of each. Known files are not
// decoded again, and files that are gone are forgotten.
func (m *memory) decode(files []File) (parts []declare.Batch, sums []digest) {
	known := m.parts
	m.parts = make(map[digest]declare.Batch, len(files))
	for _, f := range files {
		sum := digestOf([]File{f}, nil)
		p, ok := known[sum]
		if !ok {
			p = decode(f)
		}
		m.parts[sum] = p
		parts, sums = append(parts, p), append(sums, sum)
	}
	return parts, sums
}

// reading is the result of one read of a directory.
type reading struct {
	set      declare.Set
	problems []declare.Problem
	sum      digest
	files    map[string]fileForm
}

// fileForm is the part of a file that reads are compared by.
type fileForm struct {
	sum   digest
	ended bool // its last line has its line break
}

func load(dir string, m *memory) reading {
	files, problems := read(dir)
	r := reading{sum: digestOf(files, problems), files: make(map[string]fileForm, len(files))}
	parts, sums := m.decode(files)
	for i, f := range files {
		r.files[f.Name] = fileForm{sum: sums[i], ended: bytes.HasSuffix(f.Data, []byte("\n"))}
	}
	unread := declare.Batch{Problems: problems, Incomplete: len(problems) > 0}
	r.set, r.problems = declare.Declare(append(parts, unread)...)
	return r
}

// read returns the files of the directory and what could not be read.
func read(dir string) ([]File, []declare.Problem) {
	list, err := names(dir)
	if err != nil {
		return nil, []declare.Problem{{Message: err.Error()}}
	}
	var files []File
	var problems []declare.Problem
	for _, name := range list {
		data, err := readFile(filepath.Join(dir, name))
		switch {
		case err == nil:
			files = append(files, File{Name: name, Data: data})
		case !gone(filepath.Join(dir, name)):
			problems = append(problems, declare.Problem{File: name, Message: err.Error()})
		}
	}
	return files, problems
}

// gone reports whether a name was removed since the directory was listed. A dangling
// symbolic link is not gone.
func gone(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}

func names(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("directory %q does not exist: create it and put *.yaml files with warrenmesh.io/v1alpha1 objects there, or name another directory", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("read directory %q: %w: name a directory that this process may read", dir, err)
	}
	var list []string
	for _, e := range entries {
		if isYAML(e.Name()) && !e.IsDir() {
			list = append(list, e.Name())
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("directory %q holds no *.yaml or *.yml file: declare at least one object there, or name another directory", dir)
	}
	return list, nil
}

// isYAML reports whether a file of that name is read. Hidden files are skipped:
// editors and Kubernetes' volumes keep copies in them.
func isYAML(name string) bool {
	ext := filepath.Ext(name)
	return (ext == ".yaml" || ext == ".yml") && !strings.HasPrefix(name, ".")
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, readError(err)
	}
	// Checked before opening: opening a pipe would wait for its writer.
	if !info.Mode().IsRegular() {
		return nil, errors.New("is a directory or a special file: want a regular file or a symbolic link to one")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, readError(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, readError(err)
	}
	if len(data) > maxFileBytes {
		return nil, fmt.Errorf("is larger than %d MiB: split it into several files", maxFileBytes>>20)
	}
	return data, nil
}

// readError drops the path, which the problem's File names already.
func readError(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		err = pathErr.Err
	}
	return fmt.Errorf("cannot be read: %w: make it a file this process may read", err)
}

func digestOf(files []File, problems []declare.Problem) digest {
	h := sha256.New()
	for _, f := range files {
		fmt.Fprintf(h, "%q %d\n", f.Name, len(f.Data))
		h.Write(f.Data)
	}
	for _, p := range problems {
		fmt.Fprintf(h, "%q\n", p.String())
	}
	return digest(h.Sum(nil))
}

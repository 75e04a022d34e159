package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Read returns all complete lines of a journal; none when the file does not exist.
func Read(path string) ([]Record, error) {
	return NewTail(path).Next()
}

// Tail reads a journal while it is written.
type Tail struct {
	path   string
	offset int64
	line   int
}

// NewTail starts at the beginning of the file, which may not exist yet.
func NewTail(path string) *Tail { return &Tail{path: path} }

// Next returns the complete lines written since the last call. For a line that is not
// JSON it returns an error that names file and line, and the tail stays before that
// line.
func (t *Tail) Next() ([]Record, error) {
	file, err := os.Open(t.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	defer func() { _ = file.Close() }()
	content, err := io.ReadAll(io.NewSectionReader(file, t.offset, 1<<62))
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	content = content[:bytes.LastIndexByte(content, '\n')+1]
	records, err := decode(content, t.path, t.line)
	if err != nil {
		return nil, err
	}
	t.offset += int64(len(content))
	t.line += len(records)
	return records, nil
}

func decode(content []byte, path string, line int) ([]Record, error) {
	var records []Record
	for text := range bytes.Lines(content) {
		var r Record
		if err := json.Unmarshal(text, &r); err != nil {
			return nil, fmt.Errorf("%s:%d: decode journal line: %w", path, line+len(records)+1, err)
		}
		records = append(records, r)
	}
	return records, nil
}

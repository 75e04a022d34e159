package product

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"sync"
)

// Record is one line of a program's log.
type Record map[string]any

// Message returns the record's message.
func (r Record) Message() string { return r.Text("msg") }

// Text returns a field that is a string; "" when it is not one.
func (r Record) Text(key string) string {
	s, _ := r[key].(string)
	return s
}

// Texts returns a field that is a list of strings.
func (r Record) Texts(key string) []string {
	list, _ := r[key].([]any)
	out := make([]string, 0, len(list))
	for _, v := range list {
		s, _ := v.(string)
		out = append(out, s)
	}
	return out
}

// book keeps a program's output: all lines, and the lines that are log records. It
// implements io.Writer and is safe for concurrent use.
type book struct {
	mu      sync.Mutex
	rest    []byte
	lines   []string
	records []Record
}

var _ io.Writer = (*book)(nil)

// Write implements io.Writer.
func (b *book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rest = append(b.rest, p...)
	for {
		line, rest, ok := bytes.Cut(b.rest, []byte("\n"))
		if !ok {
			return len(p), nil
		}
		b.lines = append(b.lines, string(line))
		record := Record{}
		if json.Unmarshal(line, &record) == nil {
			b.records = append(b.records, record)
		}
		b.rest = rest
	}
}

// find returns the first record for which match returns true.
func (b *book) find(match func(Record) bool) (Record, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.records {
		if match(r) {
			return r, true
		}
	}
	return nil, false
}

// contains reports whether a line contains text.
func (b *book) contains(text string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.ContainsFunc(b.lines, func(line string) bool { return strings.Contains(line, text) })
}

// tail returns the last n lines.
func (b *book) tail(n int) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.TrimSpace(strings.Join(b.lines[max(0, len(b.lines)-n):], "\n") + "\n" + string(b.rest))
}

// accident returns the first line about a data race or a panic, with the lines after
// it.
func (b *book) accident() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, line := range b.lines {
		if strings.HasPrefix(line, "WARNING: DATA RACE") || strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
			return strings.Join(b.lines[i:min(len(b.lines), i+60)], "\n")
		}
	}
	return ""
}

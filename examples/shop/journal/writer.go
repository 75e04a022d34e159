package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// syncEvery bounds how much a crash of the whole machine can lose. A crash of the
// service loses nothing, because each Append is one write to the operating system.
const syncEvery = time.Second

// Writer appends records to a file.
type Writer struct {
	mu     sync.Mutex // guards all below
	file   *os.File
	buf    bytes.Buffer
	synced time.Time
}

// Open opens a journal for appending, and creates it when it does not exist. It removes
// an incomplete last line: Append never returned for it.
func Open(path string) (*Writer, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644) //nolint:gosec // the path is the caller's flag
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	if err := cutTornLine(file); err != nil {
		return nil, errors.Join(fmt.Errorf("repair journal %s: %w", path, err), file.Close())
	}
	return &Writer{file: file, synced: time.Now()}, nil
}

// Append writes the records in one write, and returns when the operating system has
// them. A zero Time becomes the current time.
func (w *Writer) Append(records ...Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf.Reset()
	lines := json.NewEncoder(&w.buf)
	for _, r := range records {
		if r.Time.IsZero() {
			r.Time = time.Now()
		}
		if err := lines.Encode(r); err != nil {
			return fmt.Errorf("encode journal line: %w", err)
		}
	}
	if _, err := w.file.Write(w.buf.Bytes()); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	if time.Since(w.synced) < syncEvery {
		return nil
	}
	w.synced = time.Now()
	if err := w.file.Sync(); err != nil {
		return fmt.Errorf("sync journal: %w", err)
	}
	return nil
}

// Close syncs and closes the file. Append fails afterwards.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return errors.Join(w.file.Sync(), w.file.Close())
}

// cutTornLine removes an incomplete last line.
func cutTornLine(file *os.File) error {
	content, err := io.ReadAll(file)
	if err != nil {
		return err
	}
	whole := int64(bytes.LastIndexByte(content, '\n') + 1)
	return file.Truncate(whole)
}

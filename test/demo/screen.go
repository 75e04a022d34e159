package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// quietFor is the least time between two status lines where lines cannot be updated.
const quietFor = time.Second

// screen prints lines that stay, and a status. On a terminal the status is updated in
// place; elsewhere it is printed now and then. It is safe for concurrent use.
type screen struct {
	out io.Writer
	tty bool

	mu      sync.Mutex // guards all below
	status  string
	printed time.Time
}

func newScreen(out *os.File) *screen {
	info, err := out.Stat()
	tty := err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb" && os.Getenv("TERM") != ""
	return &screen{out: out, tty: tty}
}

// say prints a line that stays.
func (s *screen) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
	_, _ = fmt.Fprintf(s.out, format+"\n", args...)
	s.draw()
}

// show updates the status.
func (s *screen) show(status string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tty {
		s.clear()
		s.status = status
		s.draw()
		return
	}
	if status != s.status && time.Since(s.printed) >= quietFor {
		s.status, s.printed = status, time.Now()
		_, _ = fmt.Fprintln(s.out, status)
	}
}

// settle prints the last status as a line that stays.
func (s *screen) settle(status string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
	s.status = ""
	_, _ = fmt.Fprintln(s.out, status)
}

// write prints a block of text.
func (s *screen) write(block func(io.Writer) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
	return block(s.out)
}

func (s *screen) clear() {
	if s.tty && s.status != "" {
		_, _ = io.WriteString(s.out, "\r\x1b[K")
	}
}

func (s *screen) draw() {
	if s.tty && s.status != "" {
		_, _ = io.WriteString(s.out, s.status)
	}
}

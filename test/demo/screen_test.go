package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestOnATerminalTheStatusIsUpdatedInPlace(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := &screen{out: &out, tty: true}
	s.show("1 of 9")
	s.show("2 of 9")
	s.say("edited")
	s.settle("9 of 9")
	want := "1 of 9" + "\r\x1b[K2 of 9" + "\r\x1b[Kedited\n2 of 9" + "\r\x1b[K9 of 9\n"
	if out.String() != want {
		t.Errorf("printed %q, want %q", out.String(), want)
	}
}

func TestWithoutATerminalTheStatusIsPrintedNowAndThen(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := &screen{out: &out}
	for i := range 1000 {
		s.show(fmt.Sprintf("%d of 1000", i)) // much less than a second
	}
	s.say("edited %s", "it")
	s.settle("done")
	if n := strings.Count(out.String(), "of 1000"); n < 1 || n > 100 {
		t.Errorf("%d status lines, want few:\n%s", n, out.String())
	}
	if strings.Contains(out.String(), "\x1b") || !strings.HasSuffix(out.String(), "edited it\ndone\n") {
		t.Errorf("printed %q", out.String())
	}
}

func TestABlockClearsTheStatus(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := &screen{out: &out, tty: true}
	s.show("1 of 9")
	if err := s.write(func(w io.Writer) error { _, err := io.WriteString(w, "table\n"); return err }); err != nil {
		t.Fatal(err)
	}
	if want := "1 of 9\r\x1b[Ktable\n"; out.String() != want {
		t.Errorf("printed %q, want %q", out.String(), want)
	}
}

package terminal

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestColourIsOnlyForTerminalsThatWantIt(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		width   int
		noColor bool
		env     map[string]string
		want    string
	}{
		{"a terminal has colour", 80, false, nil, "\x1b[31mx\x1b[0m"},
		{"a file has none", 0, false, nil, "x"},
		{"--no-color switches it off", 80, true, nil, "x"},
		{"NO_COLOR switches it off", 80, false, map[string]string{"NO_COLOR": "1"}, "x"},
		{"a dumb terminal has none", 80, false, map[string]string{"TERM": "dumb"}, "x"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			term := &Terminal{
				OutWidth: tt.width, NoColor: tt.noColor,
				Getenv: func(k string) string { return tt.env[k] },
			}
			if got := term.OutStyle().Red("x"); got != tt.want {
				t.Errorf("Red = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAFileIsNoTerminal(t *testing.T) {
	t.Parallel()
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if term := New(f, f, f, os.Getenv); term.OutWidth != 0 || term.ErrWidth != 0 {
		t.Errorf("widths %d and %d, want 0", term.OutWidth, term.ErrWidth)
	}
}

func TestTableAlignsByWhatIsSeen(t *testing.T) {
	t.Parallel()
	var table Table
	table.Row("NAME", "STATE", "NOTE")
	table.Cells(Cell{Text: "größer"}, Cell{Text: "ok", Paint: Style{on: true}.Green}, Cell{Text: "x"})
	table.Row("a", "pending", "")
	var b strings.Builder
	if _, err := table.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	want := "NAME    STATE    NOTE\n" +
		"größer  \x1b[32mok\x1b[0m       x\n" +
		"a       pending\n"
	if b.String() != want {
		t.Errorf("table:\n%s\nwant:\n%s", b.String(), want)
	}
}

func TestProgressDrawsABarOnATerminal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := Progress{Out: &out, Width: 60, Noun: "events", Count: func() Count {
		return Count{Done: 1500, Failed: 2, Part: 0.5}
	}}
	p.draw(time.Second)
	want := "\r\x1b[K[=======        ]  50%  1,500 events  1,500/s  2 failed"
	if got := out.String(); !strings.HasPrefix(got, "\r\x1b[K[=======") || !strings.HasSuffix(got, " 50%  1,500 events  1,500/s  2 failed") {
		t.Errorf("bar = %q, want about %q", got, want)
	}
	if got := len(strings.TrimPrefix(out.String(), "\r\x1b[K")); got >= 60 {
		t.Errorf("the line has %d columns, want fewer than 60", got)
	}
}

func TestProgressSkipsTheBarWhenTheEndIsUnknown(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := Progress{Out: &out, Width: 80, Noun: "events", Count: func() Count { return Count{Done: 3, Part: -1} }}
	p.draw(time.Second)
	if got, want := out.String(), "\r\x1b[K3 events  3/s"; got != want {
		t.Errorf("line = %q, want %q", got, want)
	}
}

func TestProgressWritesPlainLinesElsewhere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 12*time.Second)
		defer cancel()
		var out bytes.Buffer
		p := Progress{Out: &out, Noun: "events", Count: func() Count { return Count{Done: 100, Part: 0.25} }}
		p.Run(ctx)
		want := " 25%  100 events  20/s\n 25%  100 events  10/s\n"
		if out.String() != want {
			t.Errorf("progress:\n%s\nwant:\n%s", out.String(), want)
		}
	})
}

func TestProgressRemovesItsBar(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
		defer cancel()
		var out bytes.Buffer
		p := Progress{Out: &out, Width: 80, Noun: "events", Count: func() Count { return Count{Part: 0} }}
		p.Run(ctx)
		if !strings.HasSuffix(out.String(), "\r\x1b[K") {
			t.Errorf("the line is left as %q", out.String())
		}
	})
}

func TestThousands(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000"} {
		if got := Thousands(n); got != want {
			t.Errorf("Thousands(%d) = %q, want %q", n, got, want)
		}
	}
}

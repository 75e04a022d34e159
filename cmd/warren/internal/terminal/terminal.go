// Package terminal is what a command knows about its terminal: the streams, how
// wide they are, whether colour is wanted; and how tables and progress look there.
//
// It owns presentation only. Data goes to Out and messages to Err, always. A
// Terminal is safe for concurrent use as far as its writers are; Progress owns the
// line it draws.
//
//	t := terminal.New(os.Stdin, os.Stdout, os.Stderr, os.Getenv)
//	fmt.Fprintln(t.Err, t.ErrStyle().Red("refused"))
package terminal

import (
	"io"
	"os"
)

// Terminal is the streams of one command. The zero value of a width means that
// the stream is no terminal.
type Terminal struct {
	In       io.Reader
	Out      io.Writer
	Err      io.Writer
	OutWidth int // columns
	ErrWidth int // columns
	Getenv   func(string) string

	// Interactive is set when somebody at In can answer a question.
	Interactive bool

	// NoColor switches colour off whatever the streams are (--no-color).
	NoColor bool
	// Quiet drops progress and summaries; errors stay (--quiet).
	Quiet bool
}

// New looks at the process's streams once.
func New(in, out, err *os.File, getenv func(string) string) *Terminal {
	return &Terminal{
		In: in, Out: out, Err: err,
		OutWidth: width(out), ErrWidth: width(err), Getenv: getenv, Interactive: width(in) > 0,
	}
}

// OutStyle is how text on Out is coloured.
func (t *Terminal) OutStyle() Style { return Style{on: t.colour(t.OutWidth)} }

// ErrStyle is how text on Err is coloured.
func (t *Terminal) ErrStyle() Style { return Style{on: t.colour(t.ErrWidth)} }

// colour follows https://no-color.org: any non-empty NO_COLOR switches it off.
func (t *Terminal) colour(width int) bool {
	return width > 0 && !t.NoColor && t.Getenv("NO_COLOR") == "" && t.Getenv("TERM") != "dumb"
}

// Style colours text, or leaves it as it is; the zero Style does the latter. Either
// way what is not Printable in it is escaped, so coloured text cannot be coloured
// again.
type Style struct{ on bool }

// Red marks what is wrong.
func (s Style) Red(text string) string { return s.sgr("31", text) }

// Green marks what is in order.
func (s Style) Green(text string) string { return s.sgr("32", text) }

// Yellow marks what is not settled.
func (s Style) Yellow(text string) string { return s.sgr("33", text) }

// Bold marks a heading.
func (s Style) Bold(text string) string { return s.sgr("1", text) }

// Faint marks what matters less.
func (s Style) Faint(text string) string { return s.sgr("2", text) }

func (s Style) sgr(code, text string) string {
	text = Printable(text)
	if !s.on || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

package terminal

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Printable makes a text of others safe to print on one line: what a terminal would
// obey, or what would end the line, change the direction of writing or not be seen,
// is written as an escape as in Go's strings. So no text can forge a row, a title or
// a colour. Letters of all scripts stay as they are.
func Printable(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return !IsPrintable(r) }) && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			b.WriteString(`\x` + strconv.FormatUint(uint64(s[i]), 16))
		case IsPrintable(r):
			b.WriteRune(r)
		default:
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		i += n
	}
	return b.String()
}

// IsPrintable tells whether a character has a shape and no other effect: a letter, a
// mark, a number, punctuation, a symbol or a blank. Controls of the terminal and of
// the direction of writing are not, nor are breaks of lines.
func IsPrintable(r rune) bool { return unicode.IsGraphic(r) }

// PrintableLines is Printable for a text of several lines, which stay so.
func PrintableLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = Printable(lines[i])
	}
	return strings.Join(lines, "\n")
}

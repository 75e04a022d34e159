package terminal

import (
	"os"

	"golang.org/x/term"
)

// width returns the columns of a terminal, 0 for any other file. A terminal that
// does not know its size counts as 80 columns.
func width(f *os.File) int {
	columns, _, err := term.GetSize(int(f.Fd())) //nolint:gosec // a descriptor fits
	switch {
	case err != nil:
		return 0
	case columns == 0:
		return 80
	default:
		return columns
	}
}

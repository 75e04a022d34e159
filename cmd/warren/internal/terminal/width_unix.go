//go:build unix

package terminal

import (
	"os"

	"golang.org/x/sys/unix"
)

// width returns the columns of a terminal, 0 for any other file. A terminal that
// does not know its size counts as 80 columns.
func width(f *os.File) int {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	if size.Col == 0 {
		return 80
	}
	return int(size.Col)
}

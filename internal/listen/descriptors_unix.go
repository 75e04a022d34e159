//go:build unix

package listen

import "syscall"

// Descriptors returns how many files and connections the process may have open, 0 when
// that is not known.
func Descriptors() int {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return 0
	}
	return int(min(r.Cur, 1<<30)) //nolint:gosec // at most 1<<30
}

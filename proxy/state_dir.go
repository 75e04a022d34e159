package proxy

import (
	"fmt"
	"os"
	"syscall"
)

// othersWrite are the permissions of group and others to change a directory.
const othersWrite = 0o022

// ownDirectory makes the state directory, or refuses one that others can write to: they
// could put a configuration of theirs in the place of the last good one. A sticky
// directory such as /tmp is no better, for they could be first.
func ownDirectory(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("create state directory: %w", err)
	}
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return fmt.Errorf("state directory: %w", err)
	case !info.IsDir():
		return fmt.Errorf("state directory %q: is not a directory", dir)
	case info.Mode().Perm()&othersWrite != 0:
		return fmt.Errorf("state directory %q: others can write to it (%s): name one below it, which is made with mode 0700", dir, info.Mode())
	}
	// Whoever owns it can write to it.
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && !trusted(int(stat.Uid), os.Geteuid()) {
		return fmt.Errorf("state directory %q: belongs to user %d, who can write to it: name one of the sidecar's own", dir, stat.Uid)
	}
	return nil
}

// trusted reports whether a directory of owner is safe for the user self: root can
// write anywhere, and root itself trusts nobody.
func trusted(owner, self int) bool { return owner == self || owner == 0 }

// Package memory finds out how much memory the process may use, and divides it.
//
// The limit is the smaller of GOMEMLIMIT and the cgroup's limit (v2 memory.max, v1
// memory.limit_in_bytes, of every cgroup above, too). A container's kernel kills a
// process that exceeds the cgroup's.
package memory

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
)

// unlimited is the least value of cgroup v1 that means no limit.
const unlimited = 1 << 50

// Limit returns how many bytes the process may use, 0 when there is no limit.
func Limit() int64 {
	least := cgroup("/proc/self/cgroup", "/sys/fs/cgroup")
	if own := debug.SetMemoryLimit(-1); own < unlimited && (least == 0 || own < least) {
		least = own
	}
	return least
}

// programPages are the pages of the program's own file, which the kernel counts and
// the collector does not, and some room for allocations between two collections.
const programPages = 28 << 20

// SetFromCgroup makes the collector keep below nine tenths of the cgroup's limit. If
// the limit is small, it is what the limit leaves beside the program itself. A
// GOMEMLIMIT that is set already stays.
func SetFromCgroup() {
	if debug.SetMemoryLimit(-1) != math.MaxInt64 {
		return
	}
	if limit := cgroup("/proc/self/cgroup", "/sys/fs/cgroup"); limit > 0 {
		debug.SetMemoryLimit(limit - max(limit/10, min(limit/4, programPages)))
	}
}

// Share returns the part-th part of the limit, at least least and at most most. Without
// a limit it is most.
func Share(limit, part, least, most int64) int64 {
	if limit <= 0 {
		return most
	}
	return min(max(limit/part, least), most)
}

// cgroup returns the smallest limit of the cgroups that the file of a process names, 0
// when there is none. In a container the mount shows its own cgroup as the root.
func cgroup(process, mount string) int64 {
	raw, err := os.ReadFile(process)
	if err != nil {
		return 0
	}
	least := int64(0)
	for line := range strings.Lines(string(raw)) {
		// hierarchy:controllers:path
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		root, file := mount, "memory.max"
		switch {
		case parts[0] == "0" && parts[1] == "":
		case strings.Contains(","+parts[1]+",", ",memory,"):
			root, file = filepath.Join(mount, "memory"), "memory.limit_in_bytes"
		default:
			continue
		}
		for dir := filepath.Clean("/" + parts[2]); ; dir = filepath.Dir(dir) {
			if n := read(filepath.Join(root, dir, file)); n > 0 && (least == 0 || n < least) {
				least = n
			}
			if dir == "/" {
				break
			}
		}
	}
	return least
}

// read returns a limit, 0 for none ("max", or so much that it is none).
func read(path string) int64 {
	raw, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseUint(string(bytes.TrimSpace(raw)), 10, 64)
	if err != nil || n == 0 || n >= unlimited {
		return 0
	}
	return int64(n)
}

package proc

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// listening is the state of a listening socket in /proc/net/tcp.
const listening = "0A"

// Listener returns the process that listens on a TCP port of this machine, on any
// address. It returns ErrNotFound when no process does, or when the process belongs to
// another user.
func Listener(port int) (pid int, err error) {
	sockets := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table) //nolint:gosec // a file of the kernel
		if err != nil {
			continue // a machine without IPv6 has only one
		}
		for _, inode := range parseSockets(string(text), port) {
			sockets["socket:["+inode+"]"] = true
		}
	}
	descriptors, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return 0, fmt.Errorf("find who listens on port %d: %w", port, err)
	}
	for _, path := range descriptors {
		target, err := os.Readlink(path)
		if err != nil || !sockets[target] {
			continue // closed meanwhile, or not one of the sockets
		}
		return strconv.Atoi(strings.Split(path, "/")[2])
	}
	return 0, fmt.Errorf("find who listens on port %d: %w", port, ErrNotFound)
}

// parseSockets returns the inodes of the sockets that listen on port. The columns are
// number, local address:port in hexadecimal, remote address:port, state, queues, timer,
// retransmits, user, timeout, inode.
func parseSockets(table string, port int) []string {
	var inodes []string
	suffix := fmt.Sprintf(":%04X", port)
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) > 9 && fields[3] == listening && strings.HasSuffix(fields[1], suffix) {
			inodes = append(inodes, fields[9])
		}
	}
	return inodes
}

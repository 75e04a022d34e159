package localbroker

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// isOurs reports whether a process has mark in its command line: a pid read from a
// file may be somebody else's by now.
func isOurs(pid int, mark string) bool {
	return mark != "" && strings.Contains(commandLine(pid), mark)
}

// commandLine returns "" when there is no such process.
func commandLine(pid int) string {
	if b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline"); err == nil {
		return strings.ReplaceAll(string(b), "\x00", " ")
	}
	// Systems without /proc.
	ctx, cancel := context.WithTimeout(context.Background(), probeTimeout)
	defer cancel()
	b, err := exec.CommandContext(ctx, "ps", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return ""
	}
	return string(b)
}

// awaitGroupEnd blocks until a process group that was killed has no member left.
func awaitGroupEnd(group int) {
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for !errors.Is(syscall.Kill(-group, 0), syscall.ESRCH) {
		<-poll.C
	}
}

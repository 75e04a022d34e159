package localbroker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// isOurs reports whether a process has mark in its command line: the pid in a file may
// belong to another process by now.
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

// awaitStopped blocks until no thread of a process that was sent a SIGSTOP runs.
func awaitStopped(ctx context.Context, pid int) error {
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for !stopped(pid) {
		select {
		case <-poll.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for process %d to stop: %w", pid, ctx.Err())
		}
	}
	return nil
}

// stopped reports whether every thread of a process is stopped. A process that is
// gone has none that runs.
func stopped(pid int) bool {
	threads, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/stat")
	if err != nil || len(threads) == 0 {
		return stoppedByPS(pid)
	}
	for _, thread := range threads {
		// pid (name) state ...: the name may hold anything, even a parenthesis.
		b, err := os.ReadFile(thread)
		if _, state, ok := bytes.Cut(b[bytes.LastIndexByte(b, ')')+1:], []byte(" ")); err == nil && (!ok || state[0] != 'T') {
			return false
		}
	}
	return true
}

// stoppedByPS is stopped on systems without /proc, which tell it of a process.
func stoppedByPS(pid int) bool {
	ctx, cancel := context.WithTimeout(context.Background(), probeTimeout)
	defer cancel()
	b, err := exec.CommandContext(ctx, "ps", "-o", "state=", "-p", strconv.Itoa(pid)).Output()
	return err != nil || bytes.HasPrefix(bytes.TrimSpace(b), []byte("T"))
}

// awaitGroupEnd blocks until a process group that was killed has no member left.
func awaitGroupEnd(group int) {
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for !errors.Is(syscall.Kill(-group, 0), syscall.ESRCH) {
		<-poll.C
	}
}

package main

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// build builds the command under test.
func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "withbroker")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("build withbroker: %v\n%s", err, out)
	}
	return binary
}

func TestSignalEndsCommandAndBroker(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts a RabbitMQ")
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(context.Background(), build(t), "-dir", filepath.Join(dir, "node"), "--", "sh", "-c", "echo $AMQP_URL; exec sleep 600")
	cmd.Env = append(os.Environ(), "AMQP_URL=", "WITHBROKER_TEST="+dir)
	cmd.Stderr = t.Output()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "amqp://") {
		t.Errorf("the command saw AMQP_URL %q, %v", line, err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	killer := time.AfterFunc(5*time.Minute, func() { _ = cmd.Process.Kill() })
	defer killer.Stop()
	_ = cmd.Wait() // the exit code holds the result
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("exit code is %d, want 130", code)
	}
	if left := processesWith(t, "WITHBROKER_TEST="+dir); len(left) > 0 {
		t.Errorf("processes left: %q", left)
	}
}

func TestWithoutBrokerItFails(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds the command")
	}
	cmd := exec.CommandContext(t.Context(), build(t), "-dir", t.TempDir(), "--", "true")
	cmd.Env = append(os.Environ(), "AMQP_URL=amqp://127.0.0.1:1/")
	out, _ := cmd.CombinedOutput() // the exit code holds the result
	if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(string(out), "AMQP_URL") {
		t.Errorf("exit code is %d, want 1, and it says %q", code, out)
	}
}

// processesWith returns the command lines of the processes that have variable in their
// environment.
func processesWith(t *testing.T, variable string) []string {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil || len(dirs) == 0 {
		t.Skip("needs /proc")
	}
	var found []string
	for _, dir := range dirs {
		environ, _ := os.ReadFile(filepath.Join(dir, "environ")) // the process may have ended
		if strings.Contains(string(environ), variable) {
			cmdline, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
			found = append(found, strings.ReplaceAll(string(cmdline), "\x00", " "))
		}
	}
	return found
}

package install

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Output runs a short command and returns its output, or an error with it.
func Output(ctx context.Context, name string, args ...string) (string, error) {
	b, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	out := strings.TrimSpace(string(b))
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, args[0], err, out)
	}
	return out, nil
}

// runLong runs a command and reports every few seconds that it still runs. When ctx
// ends, the command is asked to end and given time: a package manager that is killed
// leaves its database locked.
func runLong(ctx context.Context, report Report, args []string) error {
	report("broker: running %v", args)
	output, err := os.CreateTemp("", "warren-install-*.log")
	if err != nil {
		return fmt.Errorf("run %v: %w", args, err)
	}
	defer func() { _ = os.Remove(output.Name()) }()
	defer func() { _ = output.Close() }()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "HOMEBREW_NO_AUTO_UPDATE=1")
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = 30 * time.Second
	began := time.Now()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Run() }()
	progress := time.NewTicker(10 * time.Second)
	defer progress.Stop()
	for {
		select {
		case err := <-ended:
			if err != nil {
				return errors.Join(fmt.Errorf("run %v: %w", args, err), errors.New(Tail(output.Name())))
			}
			return nil
		case <-progress.C:
			report("broker: still running after %.0fs: %s", time.Since(began).Seconds(), lastLine(Tail(output.Name())))
		}
	}
}

// Tail returns the last lines of a file, for an error.
func Tail(path string) string {
	const most = 2000
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	if len(b) > most {
		b = b[len(b)-most:]
	}
	return strings.TrimSpace(string(b))
}

func lastLine(text string) string { return text[strings.LastIndexByte(text, '\n')+1:] }

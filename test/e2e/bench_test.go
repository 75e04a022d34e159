package e2e

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// lastLine is the format of the benchmark's last line, which other programs parse.
var lastLine = regexp.MustCompile(`^bench: unary64/lib [\d.]+ stream/lib [\d.]+ drain/lib [\d.]+ e2e/lib [\d.]+ cpu_stream_us [\d.]+ cpu_unary_us [\d.]+$`)

func TestTheLoadDriverFindsEveryMessageOfEveryTarget(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("needs a RabbitMQ; not with -short")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	sidecar := programs.Path("sidecar")
	cmd := exec.CommandContext(ctx, programs.Path("bench"), //nolint:gosec // one of our programs
		"-sidecar", sidecar, "-before", sidecar, "-controlplane", programs.Path("controlplane"), "-socket", "tcp",
		"-quick", "-rounds", "1", "-repeats", "0", "-seconds", "0.05", "-drain", "300")
	cmd.Env, cmd.Stderr = os.Environ(), t.Output()
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it then ends the programs it started
	cmd.WaitDelay = time.Minute
	var out bytes.Buffer
	cmd.Stdout = &out
	_ = cmd.Run() // the exit code holds the result
	text := strings.TrimSpace(out.String())
	void := strings.Contains(text, "\nvoid: ") // a busy machine makes the run void; no message may be lost in any case
	if code := cmd.ProcessState.ExitCode(); void && code != 3 || !void && code != 0 {
		t.Errorf("exit code %d, void %t\n%s", code, void, text)
	}
	lines := strings.Split(text, "\n")
	if last := lines[len(lines)-1]; !lastLine.MatchString(last) {
		t.Errorf("the last line is %q", last)
	}
	for _, want := range []string{"unary64  before", "warren/before", "bench-before: "} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

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

// lastLines is the format of the benchmark's last lines, which other programs parse.
var lastLines = regexp.MustCompile(`\nbench: ` + figures + `\nbench-classic: ` + figures + `$`)

const figures = `unary64/lib [\d.]+ stream/lib [\d.]+ drain/lib [\d.]+ e2e/lib [\d.]+ cpu_unary_us [\d.]+ cpu_stream_us [\d.]+ cpu_drain_us [\d.]+ cpu_e2e_us [\d.]+`

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
	err := cmd.Run() // busy cores make figures void, which is no error: messages are counted in any case
	text := strings.TrimSpace(out.String())
	if err != nil {
		t.Errorf("%v\n%s", err, text)
	}
	if !lastLines.MatchString(text) {
		t.Errorf("the last lines are not as they should be:\n%s", text)
	}
	for _, want := range []string{"unary64  before", "warren/before", "bench-before: "} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

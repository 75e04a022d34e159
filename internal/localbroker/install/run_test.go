package install

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLongCommandShowsWhyItFailed(t *testing.T) {
	t.Parallel()
	if err := runLong(t.Context(), t.Logf, []string{"sh", "-c", "exit 0"}); err != nil {
		t.Errorf("a command that succeeds says %v", err)
	}
	err := runLong(t.Context(), t.Logf, []string{"sh", "-c", "echo no such package; exit 100"})
	if err == nil || !strings.Contains(err.Error(), "no such package") || !strings.Contains(err.Error(), "exit status 100") {
		t.Errorf("error is %v, want the command's words and status", err)
	}
}

func TestLongCommandIsAskedToEnd(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	began := filepath.Join(t.TempDir(), "began")
	if err := syscall.Mkfifo(began+".fifo", 0o600); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- runLong(ctx, t.Logf, []string{"sh", "-c", `trap "echo asked; exit 7" INT; : >"$0"; while :; do read -r line <"$0.fifo"; done`, began})
	}()
	for _, err := os.Stat(began); err != nil; _, err = os.Stat(began) { // the command runs
		select {
		case err := <-ended:
			t.Fatalf("the command ended with %v before it was asked to", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
	cancel()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "asked") {
		t.Errorf("error is %v, want that the command was asked to end", err)
	}
}

package daemon_test

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/warrenmesh/warren/cmd/internal/daemon"
)

func TestTheLogIsTextOnATerminalAndJSONElsewhere(t *testing.T) {
	t.Parallel()
	var elsewhere bytes.Buffer
	log, _, err := daemon.NewLogger(&elsewhere, "auto", "info", "sidecar", "v1")
	if err != nil {
		t.Fatal(err)
	}
	log.Info("hello", "took", 1500*time.Millisecond)
	if got := elsewhere.String(); !strings.HasPrefix(got, "{") || !strings.Contains(got, `"took":1500000000`) {
		t.Errorf("into a file: %s", got)
	}
	// What is written to the other end of a pseudo-terminal comes back as its echo.
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	log, _, err = daemon.NewLogger(terminal, "auto", "info", "sidecar", "v1")
	if err != nil {
		t.Fatal(err)
	}
	log.Info("hello", "took", 1500*time.Millisecond)
	echo := make([]byte, 4096)
	n, err := terminal.Read(echo)
	if got := string(echo[:n]); err != nil || !strings.Contains(got, "took=1.5s") {
		t.Errorf("on a terminal: %q, %v", got, err)
	}
	if _, _, err := daemon.NewLogger(&elsewhere, "xml", "info", "sidecar", "v1"); err == nil {
		t.Error("xml is taken for a format")
	}
}

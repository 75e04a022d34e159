package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/warrenmesh/warren/cmd/warren/internal/peer"
	"github.com/warrenmesh/warren/cmd/warren/internal/terminal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// forgery is clitest.Forgery, which a test inside this package cannot import.
const forgery = "a\x1b]0;owned\a\x1b[2J\r\nforged 10.0.0.1  SYNCED\u2028\u202egnp.exe\u2066\u200b\u009b31m\x7f"

func TestAFailedCallForgesNoLine(t *testing.T) {
	t.Parallel()
	var errOut bytes.Buffer
	a := &App{Terminal: &terminal.Terminal{Err: &errOut, Out: &errOut, Getenv: func(string) string { return "" }}, started: true}
	call := &CallError{Failure: peer.Explain(status.Error(codes.Internal, forgery), true), Op: "get status", What: "control plane", Address: "x"}
	a.exit(Root(a), call)
	a.exit(Root(a), errors.New(forgery))
	for _, r := range errOut.String() {
		if r != '\n' && !unicode.IsGraphic(r) {
			t.Errorf("has %U", r)
		}
	}
	if n := strings.Count(errOut.String(), "\n"); n != 3 {
		t.Errorf("%d lines, want 3:\n%s", n, errOut.String())
	}
}

func TestJSONKeepsEveryText(t *testing.T) {
	t.Parallel()
	text := forgery + "\U000e0041\u00e9"
	raw, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	var back string
	if err := json.Unmarshal(PlainJSON(raw), &back); err != nil || back != text {
		t.Errorf("got %q, %v", back, err)
	}
}

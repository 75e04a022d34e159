package process_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/warrenmesh/warren/internal/process"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shell is a program that runs script.
func shell(t *testing.T, script string) process.Spec {
	t.Helper()
	return process.Spec{Name: "shell", Path: "/bin/sh", Args: []string{"-c", script}, Log: filepath.Join(t.TempDir(), "log")}
}

func group(t *testing.T) *process.Group {
	t.Helper()
	g := process.NewGroup()
	t.Cleanup(func() { g.Kill(); g.Stop(time.Second) })
	return g
}

func TestStopEndsAProgramAndWhatItStarted(t *testing.T) {
	t.Parallel()
	g := group(t)
	spec := shell(t, `sleep 1000 & echo $!; wait`)
	p, err := g.Start(spec)
	if err != nil {
		t.Fatal(err)
	}
	child := firstNumber(t, p)
	g.Stop(10 * time.Second)
	if p.Running() {
		t.Error("the program still runs")
	}
	eventually(t, func() bool { return syscall.Kill(child, 0) != nil })
	select {
	case err := <-g.Failed():
		t.Errorf("a stop was reported as a failure: %v", err)
	default:
	}
}

func TestStopKillsAProgramThatWillNotEnd(t *testing.T) {
	t.Parallel()
	g := group(t)
	p, err := g.Start(shell(t, `trap "" TERM; echo 1; while :; do sleep 1; done`))
	if err != nil {
		t.Fatal(err)
	}
	firstNumber(t, p)
	g.Stop(50 * time.Millisecond)
	if p.Running() {
		t.Error("the program still runs")
	}
}

func TestAProgramThatEndsByItselfIsAFailureWithItsLog(t *testing.T) {
	t.Parallel()
	g := group(t)
	if _, err := g.Start(shell(t, `echo "bind: address in use" >&2; exit 3`)); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-g.Failed():
		if text := err.Error(); !strings.Contains(text, "shell: exit status 3") || !strings.Contains(text, "| bind: address in use") {
			t.Errorf("failure is %q", text)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("no failure was reported")
	}
}

func TestAProgramThatMayEndIsNoFailure(t *testing.T) {
	t.Parallel()
	g := group(t)
	spec := shell(t, `exit 0`)
	spec.MayEnd = true
	p, err := g.Start(spec)
	if err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	g.Stop(time.Second) // waits for the report
	select {
	case err := <-g.Failed():
		t.Errorf("reported %v", err)
	default:
	}
}

func TestRunReturnsHowAProgramEnded(t *testing.T) {
	t.Parallel()
	g := group(t)
	if err := g.Run(t.Context(), shell(t, `exit 0`)); err != nil {
		t.Errorf("code 0 is %v", err)
	}
	var failure *process.Failure
	if err := g.Run(t.Context(), shell(t, `exit 1`)); !errors.As(err, &failure) {
		t.Errorf("code 1 is %v, want a Failure", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.Run(ctx, shell(t, `sleep 1000`)); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled run is %v", err)
	}
}

func TestNothingStartsAfterStop(t *testing.T) {
	t.Parallel()
	g := group(t)
	g.Stop(time.Second)
	if _, err := g.Start(shell(t, `exit 0`)); !errors.Is(err, process.ErrStopped) {
		t.Errorf("error is %v", err)
	}
}

func TestFreePortsDiffer(t *testing.T) {
	t.Parallel()
	ports, err := process.FreePorts(t.Context(), 20)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(ports)
	if len(slices.Compact(ports)) != 20 {
		t.Errorf("ports are %v", ports)
	}
}

// firstNumber waits for the first line of a program's log.
func firstNumber(t *testing.T, p *process.Process) int {
	t.Helper()
	var number int
	eventually(t, func() bool {
		var err error
		number, err = strconv.Atoi(p.Tail(1))
		return err == nil
	})
	return number
}

func eventually(t *testing.T, done func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within 20 s (pid %d)", os.Getpid())
		}
	}
}

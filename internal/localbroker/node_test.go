package localbroker

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// startPrivate starts a private node, which the test stops.
func startPrivate(t *testing.T, dir string) *Broker {
	t.Helper()
	b, err := Start(t.Context(), Options{Dir: dir, Want: WantFrom(os.Getenv), Skip: []Step{Given, Running, Container}, Report: func(line string) { t.Log(line) }})
	if err != nil {
		t.Fatalf("start private node: %v", err)
	}
	t.Cleanup(func() {
		if err := b.Stop(context.Background()); err != nil {
			t.Errorf("stop private node: %v", err)
		}
	})
	if !b.Private || b.How == "" {
		t.Fatalf("broker is %+v, want a private one", b)
	}
	return b
}

func TestPrivateNodeComesBackAndLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts a RabbitMQ")
	}
	b := startPrivate(t, filepath.Join(t.TempDir(), "node"))
	n := b.server.(*node)
	if len(processes(t, n.token)) == 0 {
		t.Fatal("no process of the running node is seen, so the test would prove nothing")
	}
	first := n.current()
	wantNothingMounted(t, n.install.Root)

	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := b.Supervise(ctx); err != nil {
			t.Errorf("supervise: %v", err)
		}
	})
	defer func() { cancel(); wg.Wait() }()

	if err := b.Kill(t.Context()); err != nil {
		t.Fatalf("kill node: %v", err)
	}
	await(t, "the killed node is gone", func() bool { return isClosed(first.ended) })
	await(t, "the node answers again", func() bool { _, err := Probe(t.Context(), b.URL); return err == nil })
	if n.current().group == first.group {
		t.Error("the node that answers is the one that was killed")
	}

	cancel()
	wg.Wait()
	if err := b.Stop(t.Context()); err != nil {
		t.Fatalf("stop node: %v", err)
	}
	if left := processes(t, n.token); len(left) > 0 {
		t.Errorf("processes left after Stop: %q", left)
	}
	if _, err := Probe(t.Context(), b.URL); err == nil {
		t.Error("a stopped node answers")
	}
	if err := b.Stop(t.Context()); err != nil {
		t.Errorf("stop again: %v", err)
	}
}

func TestPrivateNodeDiesWithItsStarter(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts a RabbitMQ")
	}
	b := startPrivate(t, filepath.Join(t.TempDir(), "node"))
	n := b.server.(*node)
	// What the system does with the pipe of a process that was killed.
	if err := n.current().hold.Close(); err != nil {
		t.Fatalf("close pipe: %v", err)
	}
	await(t, "everything of the node is gone", func() bool { return len(processes(t, n.token)) == 0 })
}

func TestLeftoversOfAnEarlierNodeAreEnded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	token := "warren-leftover-" + strconv.Itoa(os.Getpid())
	mine, others := sleeper(t, token), sleeper(t, "somebody-else")
	for name, content := range map[string]string{
		"token": token + "\n-port 1 -address 127.0.0.1", "node.pid": strconv.Itoa(mine), "epmd.pid": strconv.Itoa(others), "kept": "a user's file",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	claimed, unlock, err := claim(dir)
	if err != nil {
		t.Fatalf("claim directory: %v", err)
	}
	defer unlock()
	await(t, "the leftover is ended", func() bool { return !isOurs(mine, token) })
	if !isOurs(others, "somebody-else") {
		t.Error("a process that is not ours was ended")
	}
	if _, err := os.Stat(filepath.Join(claimed, "kept")); err != nil {
		t.Errorf("a file that is not ours was removed: %v", err)
	}
	if _, err := os.Stat(filepath.Join(claimed, "node.pid")); err == nil {
		t.Error("the stale pid file is still there")
	}
}

func TestDirectoryInUseIsLeftAlone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "node")
	first, unlock, err := claim(dir)
	if err != nil {
		t.Fatal(err)
	}
	second, unlockSecond, err := claim(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer unlockSecond()
	if first == second {
		t.Fatalf("two claims got %s", first)
	}
	unlock()
	third, unlockThird, err := claim(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer unlockThird()
	if third != first {
		t.Errorf("claimed %s, want the free %s", third, first)
	}
}

// wantNothingMounted checks that a root that was fetched is an ordinary directory for
// everybody but its nodes: who removes it removes nothing of the machine's.
func wantNothingMounted(t *testing.T, root string) {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || root == "" {
		return // no fetched root, or a system whose nodes are never in one
	}
	if strings.Contains(string(mounts), " "+root+"/") {
		t.Errorf("something is mounted below %s:\n%s", root, mounts)
	}
	left, err := os.ReadDir(filepath.Join(root, "mnt"))
	if err != nil || len(left) > 0 {
		t.Errorf("the root the node runs in is seen from outside: %v, %v", left, err)
	}
}

// processes returns the command lines of all processes that were started with the
// token in their arguments or in their environment, wherever they are by now.
func processes(t *testing.T, token string) []string {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil || len(dirs) == 0 {
		t.Skip("needs /proc")
	}
	var found []string
	for _, dir := range dirs {
		environ, _ := os.ReadFile(filepath.Join(dir, "environ")) // may be gone
		cmdline, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		if strings.Contains(string(environ)+string(cmdline), token) {
			found = append(found, strings.ReplaceAll(string(cmdline), "\x00", " "))
		}
	}
	return found
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// await polls until ok, which nothing signals.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	deadline := time.After(2 * time.Minute)
	for !ok() {
		select {
		case <-poll.C:
		case <-deadline:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// sleeper starts a process with mark in its command line and returns its pid. It
// ends with the test, or when it is killed.
func sleeper(t *testing.T, mark string) int {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p, err := os.StartProcess("/bin/sh", []string{"sh", "-c", "read line", mark}, &os.ProcAttr{Files: []*os.File{read}})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _, _ = p.Wait() }()
	t.Cleanup(func() {
		_ = syscall.Kill(p.Pid, syscall.SIGKILL)
		_, _ = write.Close(), read.Close()
		<-ended
	})
	return p.Pid
}

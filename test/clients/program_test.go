package clients

import (
	"bytes"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// patience bounds every wait. Normally a wait takes a moment.
	patience = 4 * time.Minute
	// grace is how long a program may take to end after SIGTERM.
	grace = 20 * time.Second
)

// program is a running command of the pages. Its lines may be read while it runs.
type program struct {
	t    *testing.T
	line string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended

	mu     sync.Mutex // guards all below
	rest   []byte
	lines  []string
	errors bytes.Buffer
}

// start runs a command line in a directory. The command ends with the test at the
// latest.
func start(t *testing.T, dir, line string, env ...string) *program {
	t.Helper()
	p := &program{t: t, line: line, done: make(chan struct{})}
	p.cmd = exec.Command("bash", "-euc", "exec "+line) //nolint:gosec // a line of our own pages; ended by a signal
	p.cmd.Dir = dir
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = p, writerFunc(p.complain)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", line, err)
	}
	go func() {
		_ = p.cmd.Wait() // the process state holds the result
		close(p.done)
	}()
	t.Cleanup(func() {
		if !p.ended() {
			_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // it has a process group of its own
			<-p.done
		}
		if t.Failed() {
			t.Logf("$ %s\n%s", p.line, p.text())
		}
	})
	return p
}

// run runs a command line to its end.
func run(t *testing.T, dir, line string, env ...string) *program {
	t.Helper()
	p := start(t, dir, line, env...)
	p.await(3*patience, "to end", p.ended)
	return p
}

// mustRun is run for a command that must succeed.
func mustRun(t *testing.T, dir, line string, env ...string) *program {
	t.Helper()
	p := run(t, dir, line, env...)
	if code := p.code(); code != 0 {
		t.Fatalf("exit code %d of $ %s\n%s", code, line, p.text())
	}
	return p
}

// terminate sends SIGTERM. The program must end with the wanted code.
func (p *program) terminate(want int) {
	p.t.Helper()
	if p.ended() {
		p.t.Errorf("%s ended by itself with code %d", p.line, p.code())
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
	p.await(grace, "to end after SIGTERM", p.ended)
	if code := p.code(); code != want {
		p.t.Errorf("%s: %v after SIGTERM, want code %d", p.line, p.cmd.ProcessState, want)
	}
}

func (p *program) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func (p *program) code() int { return p.cmd.ProcessState.ExitCode() }

// await polls until ok. It fails the test when the program ends before.
func (p *program) await(limit time.Duration, what string, ok func() bool) {
	p.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(limit)
	for !ok() {
		select {
		case <-tick.C:
		case <-p.done:
			if !ok() {
				p.t.Fatalf("waited for %s %s: it ended with code %d\n%s", p.line, what, p.code(), p.text())
			}
		case <-deadline:
			p.t.Fatalf("waited for %s %s: not within %v\n%s", p.line, what, limit, p.text())
		}
	}
}

// says returns, in order, the ids that the program printed after a word.
func (p *program) says(word string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var ids []string
	for _, line := range p.lines {
		if rest, ok := strings.CutPrefix(line, word); ok && (rest == "" || rest[0] == ' ') {
			ids = append(ids, strings.TrimPrefix(rest, " "))
		}
	}
	return ids
}

// awaitAll waits until the program has printed a word for every id.
func (p *program) awaitAll(word string, ids []string) {
	p.t.Helper()
	p.await(patience, "to say "+word+" of all events", func() bool {
		said := make(map[string]bool)
		for _, id := range p.says(word) {
			said[id] = true
		}
		return !slices.ContainsFunc(ids, func(id string) bool { return !said[id] })
	})
}

func (p *program) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	shown := p.lines[max(0, len(p.lines)-40):]
	return strings.Join(shown, "\n") + string(p.rest) + "\n" + p.errors.String()
}

// Write implements io.Writer for standard output.
func (p *program) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rest = append(p.rest, b...)
	for {
		line, rest, ok := bytes.Cut(p.rest, []byte("\n"))
		if !ok {
			return len(b), nil
		}
		p.lines = append(p.lines, string(line))
		p.rest = rest
	}
}

// complain records standard error.
func (p *program) complain(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.errors.Write(b)
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

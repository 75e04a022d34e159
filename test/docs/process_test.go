package docs

import (
	"bytes"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a running command, with all processes that it starts.
type process struct {
	command
	block *block
	cmd   *exec.Cmd
	done  chan struct{} // closed when it has ended

	mu  sync.Mutex
	out bytes.Buffer // standard output and error, as on a terminal
}

// Write implements io.Writer.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

func (p *process) printed() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// start runs a command of a block; env is added to the session's.
func (s *session) start(b *block, c command, env []string) *process {
	s.Helper()
	p := &process{command: c, block: b, done: make(chan struct{})}
	line := s.here(c.line)
	if program, ok := strings.CutPrefix(line, "go run ./"); ok {
		line = "bin/" + program // built from its block
	}
	if s.rabbit != nil && strings.HasPrefix(line, "printf guest") {
		line = s.rabbit.account(line)
	}
	p.cmd = exec.Command("bash", "-e", "-o", "pipefail", "-c", line) //nolint:gosec // a command of our pages; ended by a signal, see stop
	p.cmd.Dir = s.dir
	p.cmd.Env = s.environment(env...)
	p.cmd.Stdout, p.cmd.Stderr = p, p
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		s.Fatalf("%s: %v", b, err)
	}
	go func() {
		_ = p.cmd.Wait() // the process state holds the result
		close(p.done)
	}()
	return p
}

// kill ends the process and all processes that it started.
func (p *process) kill() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // it may have ended
	<-p.done
}

// stop sends SIGTERM, kills the process if it does not end in time, and returns the exit
// code.
func (p *process) stop() int {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(patience):
		p.kill()
	}
	if strings.Contains(p.printed(), "WARNING: DATA RACE") {
		return 66
	}
	return p.cmd.ProcessState.ExitCode()
}

// Package process runs other programs, for the demo and the load driver, and makes
// sure that none of them outlives this one: each has a process group of its own, so
// that a Ctrl-C in the terminal reaches only this program, and it ends the rest in
// order.
//
// It owns start, stop, kill and the log files. It does not restart anything and it
// does not know what the programs do.
//
// All methods are safe for concurrent use.
//
//	services := process.NewGroup()
//	defer services.Stop(10 * time.Second)
//	billing, err := services.Start(process.Spec{Name: "billing", Path: "bin/billing", Log: "logs/billing.log"})
//	select {
//	case <-billing.Done():
//	case err := <-services.Failed():
//	}
package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Spec says what to run.
type Spec struct {
	// Name in messages.
	Name string
	// Path of the program; a bare name is looked up in PATH.
	Path string
	Args []string
	// Env is the whole environment; nil is this process's own.
	Env []string
	// Dir is the working directory; "" is this process's own.
	Dir string
	// Log is the file that gets standard output and error; it is appended to.
	Log string
	// MayEnd means that ending with code 0 is no failure.
	MayEnd bool
}

// Process is a program that was started.
type Process struct {
	spec Spec
	cmd  *exec.Cmd
	done chan struct{}
	err  error // set before done is closed
}

// start runs the program in a process group of its own. The caller must call
// wait in a goroutine it owns.
func start(spec Spec) (*Process, error) {
	log, err := os.OpenFile(spec.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644) //nolint:gosec // a log, for everybody to read
	if err != nil {
		return nil, fmt.Errorf("open log of %s: %w", spec.Name, err)
	}
	defer func() { _ = log.Close() }()           // the child has its own copy
	cmd := exec.Command(spec.Path, spec.Args...) //nolint:gosec,noctx // programs the caller built; stopped by Stop
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = spec.Env, spec.Dir, log, log
	cmd.SysProcAttr = ownGroup()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	return &Process{spec: spec, cmd: cmd, done: make(chan struct{})}, nil
}

// wait returns when the program has ended.
func (p *Process) wait() {
	p.err = p.cmd.Wait()
	p.signal(syscall.SIGKILL) // whatever it left in its group ends with it
	close(p.done)
}

// Name as in the Spec.
func (p *Process) Name() string { return p.spec.Name }

// PID of the program.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the program has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Running reports whether the program has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Stop asks the program to end, and kills its group when it has not within grace.
// It returns when the program has ended.
func (p *Process) Stop(grace time.Duration) {
	p.signal(syscall.SIGTERM)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		p.Kill()
	}
	<-p.done
}

// Kill ends the program and its group at once. It does not wait.
func (p *Process) Kill() { p.signal(syscall.SIGKILL) }

// signal sends to the whole group. After the end it does nothing: the number may
// belong to somebody else by then.
func (p *Process) signal(sig syscall.Signal) {
	if !p.Running() {
		return
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, sig)
}

// Tail returns the last lines of the program's log, at most n.
func (p *Process) Tail(n int) string { return tail(p.spec.Log, n) }

// Failure is the error of a program that ended by itself, with the end of its log.
// It may be called after Done only.
func (p *Process) Failure() error {
	how := "ended"
	if p.err != nil {
		how = p.err.Error()
	}
	return &Failure{Name: p.spec.Name, How: how, Log: p.spec.Log, Tail: p.Tail(15)}
}

// Failure is a program that ended when it should not.
type Failure struct {
	Name string
	// How it ended: "exit status 1".
	How string
	// Log is the path of its log, Tail the last lines of it.
	Log, Tail string
}

// Error shows the end of the log: that is where the reason is.
func (f *Failure) Error() string {
	return fmt.Sprintf("%s: %s; the end of %s:\n%s", f.Name, f.How, f.Log, indent(f.Tail))
}

// tail reads the end of a file; an unreadable one has none.
func tail(path string, n int) string {
	content, err := os.ReadFile(path) //nolint:gosec // a log that start opened
	if err != nil {
		return fmt.Sprintf("(no log: %v)", errors.Unwrap(err))
	}
	lines := bytes.Split(bytes.TrimRight(content, "\n"), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-n):], []byte("\n")))
}

func indent(text string) string { return "  | " + strings.ReplaceAll(text, "\n", "\n  | ") }

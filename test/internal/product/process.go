package product

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const (
	// patience bounds every wait. Normally a wait takes a moment; on a busy machine
	// RabbitMQ needs a minute to boot. It only determines how late a failure is
	// reported.
	patience = 4 * time.Minute
	// grace is how long a program may take to end after its test.
	grace = time.Minute
)

// Process is a running program.
type Process struct {
	t    T
	name string
	cmd  *exec.Cmd
	log  *book
	done chan struct{} // closed when it has ended

	mayEnd   bool
	signaled bool // by the test, which then checks the end itself
}

// Spec says what to run.
type Spec struct {
	// Name of the program in messages.
	Name string
	// Path of the binary.
	Path string
	Args []string
	// Env is added to this process's environment, without the variables that configure
	// Warren or OpenTelemetry.
	Env []string
	// MayEnd allows the program to end by itself with 0.
	MayEnd bool
}

// Run starts a program. It ends with the test at the latest.
func Run(t T, spec Spec) *Process {
	t.Helper()
	p := &Process{t: t, name: spec.Name, log: &book{}, done: make(chan struct{}), mayEnd: spec.MayEnd}
	p.cmd = exec.Command(spec.Path, spec.Args...) //nolint:gosec,noctx // one of our programs; ended by a signal, see finish
	p.cmd.Env = environment(spec.Env)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.SysProcAttr = diesWithUs()
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", spec.Name, err)
	}
	go func() {
		_ = p.cmd.Wait() // the process state holds the result
		close(p.done)
	}()
	t.Cleanup(p.finish)
	return p
}

func environment(extra []string) []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "OTEL_") && !strings.HasPrefix(kv, "WARREN_") {
			env = append(env, kv)
		}
	}
	// Otherwise the race detector would sleep a second at each exit. A sidecar that is ready
	// has reached its brokers, so that tests need no other wait; one of an older version
	// does not know the variable, and needs no telling.
	return append(append(env, "GORACE=atexit_sleep_ms=10", "WARREN_READY_REQUIRES_BROKER=true"), extra...)
}

// finish ends the program and checks how it ended, unless the test ended it.
func (p *Process) finish() {
	p.t.Helper()
	defer func() {
		if accident := p.log.accident(); accident != "" {
			p.t.Errorf("%s: %s", p.name, accident)
		}
		if p.t.Failed() {
			p.t.Logf("log of %s, the last lines:\n%s", p.name, p.log.tail(40))
		}
	}()
	if p.Ended() {
		if code := p.cmd.ProcessState.ExitCode(); !p.signaled && (!p.mayEnd || code != 0) {
			p.t.Errorf("%s ended before its test: %v", p.name, p.cmd.ProcessState)
		}
		return
	}
	p.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		if code := p.cmd.ProcessState.ExitCode(); code != 0 {
			p.t.Errorf("%s: %v after SIGTERM, want exit code 0", p.name, p.cmd.ProcessState)
		}
	case <-time.After(grace):
		p.t.Errorf("%s did not end within %s of SIGTERM", p.name, grace)
		p.Kill()
	}
}

// Signal sends a signal. The test must then check how the program ends.
func (p *Process) Signal(s syscall.Signal) {
	p.signaled = true
	_ = p.cmd.Process.Signal(s) // it may have ended
}

// Kill kills the program with SIGKILL and waits until it has ended.
func (p *Process) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.done
}

// PID is the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the program has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Ended reports whether the program has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// AwaitExit waits for the program to end, at most within, and returns its exit code.
func (p *Process) AwaitExit(within time.Duration) int {
	p.t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(within):
		p.t.Fatalf("%s did not end within %s", p.name, within)
		return 0
	}
}

// AwaitLog waits for a record with that message and returns it.
func (p *Process) AwaitLog(message string) Record {
	p.t.Helper()
	var found Record
	Eventually(p.t, fmt.Sprintf("%s logs %q", p.name, message), func() error {
		var ok bool
		if found, ok = p.log.find(func(r Record) bool { return r.Message() == message }); ok {
			return nil
		}
		if p.Ended() {
			p.t.Fatalf("%s ended: %v\n%s", p.name, p.cmd.ProcessState, p.log.tail(20))
		}
		return fmt.Errorf("its last lines are\n%s", p.log.tail(5))
	})
	return found
}

// Logged reports whether match returns true for any record.
func (p *Process) Logged(match func(Record) bool) bool {
	_, ok := p.log.find(match)
	return ok
}

// Wrote reports whether the log contains text.
func (p *Process) Wrote(text string) bool { return p.log.contains(text) }

// Eventually polls ok until it returns nil. It fails the test with the last error when
// that takes longer than patience.
func Eventually(t T, what string, ok func() error) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		err := ok()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within %s: %s: %v", patience, what, err)
		}
	}
}

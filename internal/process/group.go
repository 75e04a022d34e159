package process

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrStopped is returned by Start after Stop or Kill.
var ErrStopped = errors.New("the group of programs is stopping")

// Group holds programs that start one by one and stop together.
type Group struct {
	failed chan error // first failure only

	waiting sync.WaitGroup // one for each program

	mu        sync.Mutex // guards all below
	processes []*Process
	stopped   bool
}

// NewGroup makes an empty group.
func NewGroup() *Group { return &Group{failed: make(chan error, 1)} }

// Failed delivers the first program that ended without being told to.
func (g *Group) Failed() <-chan error { return g.failed }

// Start runs a program until it ends, or until Stop.
func (g *Group) Start(spec Spec) (*Process, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped {
		return nil, ErrStopped
	}
	p, err := start(spec)
	if err != nil {
		return nil, err
	}
	g.processes = append(g.processes, p)
	g.waiting.Go(func() {
		p.wait()
		g.ended(p)
	})
	return p, nil
}

// ended reports a program that ended by itself.
func (g *Group) ended(p *Process) {
	g.mu.Lock()
	stopped := g.stopped
	g.mu.Unlock()
	if stopped || (p.err == nil && p.spec.MayEnd) {
		return
	}
	select {
	case g.failed <- p.Failure():
	default:
	}
}

// Run runs a program to its end. When ctx ends first, the program's whole group
// is killed. A code other than 0 is a *Failure.
func (g *Group) Run(ctx context.Context, spec Spec) error {
	spec.MayEnd = true
	p, err := g.Start(spec)
	if err != nil {
		return err
	}
	select {
	case <-p.Done():
	case <-ctx.Done():
		p.Kill()
		<-p.Done()
		return fmt.Errorf("run %s: %w", spec.Name, ctx.Err())
	}
	if p.err != nil {
		return p.Failure()
	}
	return nil
}

// Stop asks all programs to end, kills those that have not within grace, and
// returns when all have ended. It is idempotent; Start fails afterwards.
func (g *Group) Stop(grace time.Duration) {
	var stopping sync.WaitGroup
	for _, p := range g.close() {
		stopping.Go(func() { p.Stop(grace) })
	}
	stopping.Wait()
	g.waiting.Wait()
}

// Kill ends all programs at once and does not wait. Start fails afterwards.
func (g *Group) Kill() {
	for _, p := range g.close() {
		p.Kill()
	}
}

// close forbids new programs and returns those there are.
func (g *Group) close() []*Process {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stopped = true
	return append([]*Process(nil), g.processes...)
}

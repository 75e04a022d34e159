package rig

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"runtime"
	"sync"

	"github.com/warrenmesh/warren/test/internal/product"
)

// trial is one run of a scenario, like testing.T for a test function. It can fail and
// continue, or end by Fatal. It runs the cleanups in reverse order.
type trial struct {
	ctx     context.Context //nolint:containedctx // of the run, like the context of testing.T
	verbose io.Writer

	mu       sync.Mutex // guards the rest
	failures []string
	cleanups []func()
	log      bytes.Buffer // for finding the reason of a failure
}

var _ product.T = (*trial)(nil)

// run runs f in its own goroutine, which Fatal may end, runs the cleanups, and returns
// the failures.
func (t *trial) run(f func()) []string {
	for _, step := range []func(){f, t.cleanup} {
		var ended sync.WaitGroup
		ended.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					stack := make([]byte, 8<<10)
					t.Errorf("panic: %v\n%s", p, stack[:runtime.Stack(stack, false)])
				}
			}()
			step()
		})
		ended.Wait()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failures
}

// cleanup runs the cleanups until there are none: a cleanup may add another.
func (t *trial) cleanup() {
	for {
		t.mu.Lock()
		n := len(t.cleanups)
		if n == 0 {
			t.mu.Unlock()
			return
		}
		f := t.cleanups[n-1]
		t.cleanups = t.cleanups[:n-1]
		t.mu.Unlock()
		var one sync.WaitGroup
		one.Go(f) // it may end by Fatal
		one.Wait()
	}
}

// Helper implements product.T.
func (t *trial) Helper() {}

// Context implements product.T.
func (t *trial) Context() context.Context { return t.ctx }

// Cleanup implements product.T.
func (t *trial) Cleanup(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cleanups = append(t.cleanups, f)
}

// Failed implements product.T.
func (t *trial) Failed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.failures) > 0
}

// Logf implements product.T.
func (t *trial) Logf(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(&t.log, format+"\n", args...)
	if t.verbose != nil {
		_, _ = fmt.Fprintf(t.verbose, "    "+format+"\n", args...)
	}
}

// Errorf implements product.T.
func (t *trial) Errorf(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failures = append(t.failures, fmt.Sprintf(format, args...))
}

// Fatal implements product.T.
func (t *trial) Fatal(args ...any) {
	t.Errorf("%s", fmt.Sprint(args...))
	runtime.Goexit()
}

// Fatalf implements product.T.
func (t *trial) Fatalf(format string, args ...any) {
	t.Errorf(format, args...)
	runtime.Goexit()
}

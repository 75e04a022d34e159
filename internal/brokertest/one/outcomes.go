package one

import (
	"fmt"
	"sync"
)

// Outcomes collects the outcomes of a batch and checks that each is told once.
type Outcomes struct {
	mu    sync.Mutex
	errs  []error
	told  []bool // guarded by mu
	wrong error  // guarded by mu; the first breach of Told's contract
	left  int    // guarded by mu
	done  chan struct{}
}

// NewOutcomes is for a batch of n, of which there is at least one.
func NewOutcomes(n int) *Outcomes {
	return &Outcomes{errs: make([]error, n), told: make([]bool, n), left: n, done: make(chan struct{})}
}

// Told is a broker.Told.
func (o *Outcomes) Told(from, to int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if from < 0 || to > len(o.errs) || from >= to {
		o.breach("told of messages %d to %d of %d", from, to, len(o.errs))
		return
	}
	for i := from; i < to; i++ {
		if o.told[i] {
			o.breach("told twice of message %d: %v, then %v", i, o.errs[i], err)
			return
		}
		o.told[i], o.errs[i] = true, err
	}
	if o.left -= to - from; o.left == 0 {
		close(o.done)
	}
}

func (o *Outcomes) breach(format string, args ...any) {
	if o.wrong == nil {
		o.wrong = fmt.Errorf(format, args...)
	}
}

// Done is closed when all have been told.
func (o *Outcomes) Done() <-chan struct{} { return o.done }

// Errors returns the outcomes, nil for those that have not been told, and the number of the
// latter. err says how the contract of Told was broken.
func (o *Outcomes) Errors() (errs []error, missing int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]error(nil), o.errs...), o.left, o.wrong
}

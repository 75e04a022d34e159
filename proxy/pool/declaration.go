package pool

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/warrenmesh/warren/proxy/broker"
)

// declaration is an object on its way to the broker, shared by a broker's nodes:
// it exists when one of them has declared it.
type declaration struct {
	// set at construction
	key    string
	object broker.Object
	life   context.Context //nolint:containedctx // ends when no configuration in force wants it
	drop   context.CancelFunc

	ready atomic.Bool // mirrors exists, so that an event takes no lock

	mu      sync.Mutex
	exists  bool          // guarded by mu
	err     error         // guarded by mu; why it could not be declared
	changed chan struct{} // guarded by mu; closed at the next change
}

func newDeclaration(ctx context.Context, w Declaration) *declaration {
	d := &declaration{key: w.Key, object: w.Object, changed: make(chan struct{})}
	d.life, d.drop = context.WithCancel(ctx)
	return d
}

// verdict is what a result means to those who read logs.
type verdict int

const (
	nothingNew verdict = iota
	refused            // for a new reason
	healed             // after a refusal
)

// conclude records what a node's try came to.
func (d *declaration) conclude(err error) verdict {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.exists {
		return nothingNew
	}
	before := d.err
	d.exists, d.err = err == nil, err
	d.ready.Store(d.exists)
	close(d.changed)
	d.changed = make(chan struct{})
	switch {
	case err == nil && before == nil:
		return nothingNew
	case err == nil:
		return healed
	case before == nil || before.Error() != err.Error():
		return refused
	default:
		return nothingNew
	}
}

// tried reports whether a node's try has come to a result.
func (d *declaration) tried() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.exists || d.err != nil
}

// refused returns why the broker does not take the declaration, nil when it does or was
// not reached.
func (d *declaration) refused() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil && broker.KindOf(d.err) == broker.Unavailable {
		return nil
	}
	return d.err
}

// errDropped says that a newer configuration replaced the declaration.
var errDropped = errors.New("the configuration has changed")

// wait returns when the declaration exists (nil), was refused, or was dropped
// (errDropped). While the broker cannot be reached it waits, at most until ctx
// ends: then the error is Unavailable.
func (d *declaration) wait(ctx context.Context) error {
	for {
		d.mu.Lock()
		exists, err, changed := d.exists, d.err, d.changed
		d.mu.Unlock()
		switch {
		case exists:
			return nil
		case d.life.Err() != nil:
			return errDropped
		case err != nil && broker.KindOf(err) != broker.Unavailable:
			return err
		}
		select {
		case <-changed:
		case <-d.life.Done():
		case <-ctx.Done():
			return &broker.Error{Kind: broker.Unavailable, Op: "declare " + d.key, Err: because(err, ctx.Err())}
		}
	}
}

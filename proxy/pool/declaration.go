package pool

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
)

// declaration is topology on its way to the broker, shared by a broker's nodes:
// it exists when one of them has declared it.
type declaration struct {
	// set at construction
	key      string
	topology broker.Topology
	life     context.Context //nolint:containedctx // ends when no configuration in force wants it
	drop     context.CancelFunc

	ready atomic.Bool // mirrors exists, so that an event takes no lock

	mu      sync.Mutex
	exists  bool          // guarded by mu
	err     error         // guarded by mu; why it could not be declared
	changed chan struct{} // guarded by mu; closed at the next change
}

func newDeclaration(ctx context.Context, w Declaration) *declaration {
	d := &declaration{key: w.Key, topology: w.Topology, changed: make(chan struct{})}
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

// settle records what a node's try came to.
func (d *declaration) settle(err error) verdict {
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

// orphans returns what only declarations that are wanted no more name, under Ignore,
// by which a driver forgets it.
func orphans(before map[*declaration]bool, wanted []*declaration) broker.Topology {
	out := broker.Topology{Policy: mesh.Ignore}
	gone := maps.Clone(before)
	for _, d := range wanted {
		delete(gone, d)
	}
	if len(gone) == 0 {
		return out
	}
	exchanges, queues := namesOf(wanted)
	for d := range gone {
		for _, x := range d.topology.Exchanges {
			if !exchanges[x.Name] {
				out.Exchanges = append(out.Exchanges, x)
			}
		}
		for _, q := range d.topology.Queues {
			if !queues[q.Name] {
				out.Queues = append(out.Queues, q)
			}
		}
	}
	return out
}

// moved returns what led to queues and partitioners that declared has, too, and is not
// part of it any more.
func moved(before, declared map[*declaration]bool) broker.Topology {
	out := broker.Topology{Policy: mesh.Manage}
	queues, bindings := map[string]bool{}, map[broker.Binding]bool{}
	partitioners, sources := map[string]bool{}, map[[2]string]bool{}
	for d := range declared {
		if d.topology.Policy != mesh.Manage {
			continue
		}
		for _, b := range d.topology.Bindings {
			queues[b.Queue], bindings[b] = true, true
		}
		for _, p := range d.topology.Partitioners {
			partitioners[p.Name], sources[[2]string{p.Name, p.Exchange}] = true, true
		}
	}
	for d := range before {
		if declared[d] || d.topology.Policy != mesh.Manage {
			continue
		}
		for _, b := range d.topology.Bindings {
			if queues[b.Queue] && !bindings[b] {
				out.Gone = append(out.Gone, b)
			}
		}
		for _, p := range d.topology.Partitioners {
			if partitioners[p.Name] && !sources[[2]string{p.Name, p.Exchange}] {
				out.GonePartitioners = append(out.GonePartitioners, p)
			}
		}
	}
	return out
}

// namesOf returns the names of what ds declare.
func namesOf(ds []*declaration) (exchanges, queues map[string]bool) {
	exchanges, queues = map[string]bool{}, map[string]bool{}
	for _, d := range ds {
		for _, x := range d.topology.Exchanges {
			exchanges[x.Name] = true
		}
		for _, q := range d.topology.Queues {
			queues[q.Name] = true
		}
	}
	return exchanges, queues
}

func equalTopology(a, b broker.Topology) bool {
	return a.Policy == b.Policy &&
		slices.Equal(a.Exchanges, b.Exchanges) &&
		slices.Equal(a.Queues, b.Queues) &&
		slices.Equal(a.Bindings, b.Bindings) &&
		slices.EqualFunc(a.Partitioners, b.Partitioners, func(x, y broker.Partitioner) bool {
			return x.Name == y.Name && x.Exchange == y.Exchange && slices.Equal(x.Queues, y.Queues)
		})
}

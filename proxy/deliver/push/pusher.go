// Package push hands events to the service beside the sidecar by calling it, and settles
// each by the answer:
//
//	intake ──▶ worker ──▶ Handler.Handle ──▶ Verdict ──▶ settler
//
// A Pusher owns a worker for each subscription with a push port; how the service is called
// is its Handler's, which a door makes.
package push

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/warrenmesh/warren/internal/join"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/deliver/internal/intake"
	"github.com/warrenmesh/warren/proxy/deliver/internal/settler"
	"github.com/warrenmesh/warren/proxy/snapshot"
)

// Options configure a Pusher.
type Options struct {
	// Dial returns the service at a port of this host. It does not wait for it. Required.
	Dial func(port uint32) (Handler, error)
}

// Pusher hands the events of subscriptions with a push port to the service beside the
// sidecar. It follows the configuration: one worker for each such subscription.
//
// At most the subscription's prefetch of calls are under way at once. A call's deadline is
// the ack deadline. Nothing is taken from the broker while the service is not ready. When
// it goes away during a call, that is repeated within the ack deadline once it is back.
type Pusher struct {
	shared *settler.Shared
	intake *intake.Intake
	opts   Options

	mu      sync.Mutex
	workers map[mesh.Name]*worker // guarded by mu; by the configuration in force
	running map[*worker]struct{}  // guarded by mu; those, and the ones that are ending
	closed  bool                  // guarded by mu
	ending  join.Group            // of running
}

// New builds a Pusher.
func New(shared *settler.Shared, in *intake.Intake, opts Options) *Pusher {
	return &Pusher{shared: shared, intake: in, opts: opts, workers: map[mesh.Name]*worker{}, running: map[*worker]struct{}{}}
}

// Apply makes the workers those the subscriptions ask for. Unchanged ones go on;
// what only changes filters, attempts or deadlines is taken over by the running
// worker. Removed ones are stopped in the background: what they hold and have not
// settled goes back.
func (p *Pusher) Apply(subs map[mesh.Name]*snapshot.Subscription) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	for name, w := range p.workers {
		next, ok := subs[name]
		if !ok || next.PushPort == 0 || w.needsRestart(next) {
			w.cancel()
			delete(p.workers, name)
			continue
		}
		w.Update(next)
	}
	for name, sub := range subs {
		if _, running := p.workers[name]; sub.PushPort != 0 && !running {
			p.workers[name] = p.start(name, sub)
		}
	}
}

// Stop ends all workers' intake, lets calls under way finish until ctx ends, then
// cancels them. It returns when all have ended, at the latest a second after ctx.
func (p *Pusher) Stop(ctx context.Context) {
	p.mu.Lock()
	p.closed = true
	running := slices.Collect(maps.Keys(p.running))
	p.mu.Unlock()
	for _, w := range running {
		w.cancel()
	}
	intake.End(ctx, &p.ending, func() {
		for _, w := range running {
			w.abort()
		}
	})
}

// start is called with mu held.
func (p *Pusher) start(name mesh.Name, sub *snapshot.Subscription) *worker {
	taking, cancel := context.WithCancel(context.Background())
	calls, abort := context.WithCancel(context.Background())
	w := &worker{
		Settler: settler.New(calls, p.shared, name, sub), intake: p.intake,
		opts: p.opts, port: sub.PushPort, cancel: cancel, abort: abort,
		slots: make(chan struct{}, intake.Outstanding(sub.Subscription)),
		log:   p.shared.Logger.With("subscription", name.String()),
	}
	p.running[w] = struct{}{}
	p.ending.Go(func() {
		defer abort()
		w.run(taking, calls)
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.running, w)
	})
	return w
}

package deliver

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"sync"

	"github.com/warrenmesh/warren/internal/join"
	"github.com/warrenmesh/warren/mesh"
)

// PushOptions configure a Pusher.
type PushOptions struct {
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
	service *Service
	opts    PushOptions

	mu      sync.Mutex
	workers map[mesh.Name]*pushWorker // guarded by mu; by the configuration in force
	running map[*pushWorker]struct{}  // guarded by mu; those, and the ones that are ending
	closed  bool                      // guarded by mu
	ending  join.Group                // of running
}

// NewPusher builds a Pusher that shares s's brokers, counters and drain.
func NewPusher(s *Service, opts PushOptions) *Pusher {
	return &Pusher{service: s, opts: opts, workers: map[mesh.Name]*pushWorker{}, running: map[*pushWorker]struct{}{}}
}

// Apply makes the workers those the subscriptions ask for. Unchanged ones go on;
// what only changes filters, attempts or deadlines is taken over by the running
// worker. Removed ones are stopped in the background: what they hold and have not
// settled goes back.
func (p *Pusher) Apply(subs map[mesh.Name]*Subscription) {
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
		w.subscription.Store(next)
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
	if p.ending.Wait(ctx) == nil {
		return
	}
	for _, w := range running {
		w.abort()
	}
	awaitCut(&p.ending)
}

// start is called with mu held.
func (p *Pusher) start(name mesh.Name, sub *Subscription) *pushWorker {
	intake, cancel := context.WithCancel(context.Background())
	calls, abort := context.WithCancel(context.Background())
	w := &pushWorker{
		settler: settler{service: p.service, name: name, id: strconv.FormatUint(sessionCounter.Add(1), 36), life: calls},
		opts:    p.opts, port: sub.PushPort, cancel: cancel, abort: abort,
		slots: make(chan struct{}, outstanding(sub.Subscription)),
		log:   p.service.opts.Logger.With("subscription", name.String()),
	}
	w.subscription.Store(sub)
	p.running[w] = struct{}{}
	p.ending.Go(func() {
		defer abort()
		w.run(intake, calls)
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.running, w)
	})
	return w
}

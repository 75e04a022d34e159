package load

import (
	"context"
	"sync"
)

// Group owns the goroutines of a load.
type Group struct {
	life   context.Context //nolint:containedctx // of everything that the group runs
	cancel context.CancelFunc

	stopping    chan struct{}
	stopOnce    sync.Once
	publishers  sync.WaitGroup
	subscribers sync.WaitGroup
}

// NewGroup returns a group that ends with ctx at the latest. Nothing runs yet.
func NewGroup(ctx context.Context) *Group {
	g := &Group{stopping: make(chan struct{})}
	g.life, g.cancel = context.WithCancel(ctx)
	return g
}

// Publish runs a publisher's loop. The loop ends soon after stop is closed, and at once
// when ctx ends.
func (g *Group) Publish(loop func(ctx context.Context, stop <-chan struct{})) {
	g.publishers.Go(func() { loop(g.life, g.stopping) })
}

// Subscribe runs a subscriber until the group stops.
func (g *Group) Subscribe(s *Subscriber) {
	g.subscribers.Go(func() { s.Run(g.life) })
}

// StopPublishing stops making new events, and waits until every event is answered or
// its publisher has given up. It is idempotent.
func (g *Group) StopPublishing() {
	g.stopOnce.Do(func() { close(g.stopping) })
	g.publishers.Wait()
}

// Stop ends everything at once and waits for it. It is idempotent.
func (g *Group) Stop() {
	g.cancel()
	g.StopPublishing()
	g.subscribers.Wait()
}

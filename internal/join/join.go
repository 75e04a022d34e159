// Package join waits for goroutines, until they end or a context does.
//
// A sync.WaitGroup cannot stop waiting early. A caller that gives up leaves a
// goroutine in Wait behind, which outlives the Stop that started it.
package join

import (
	"context"
	"sync"
)

// Group is a sync.WaitGroup whose Wait ends with a context. Its zero value is ready; it
// must not be copied. It may be added to while somebody waits.
type Group struct {
	mu   sync.Mutex
	n    int           // guarded by mu
	idle chan struct{} // guarded by mu; closed when n gets 0; nil while nobody waits
}

// Add counts one more running goroutine.
func (g *Group) Add() {
	g.mu.Lock()
	g.n++
	g.mu.Unlock()
}

// Done counts one less. It panics when there is none.
func (g *Group) Done() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.n--; g.n < 0 {
		panic("join: Done without Add")
	}
	if g.n == 0 && g.idle != nil {
		close(g.idle)
		g.idle = nil
	}
}

// Go runs f in a goroutine and counts it until f returns.
func (g *Group) Go(f func()) {
	g.Add()
	go func() {
		defer g.Done()
		f()
	}()
}

// Wait returns nil once all have ended. When ctx ends first it returns ctx's error.
func (g *Group) Wait(ctx context.Context) error {
	g.mu.Lock()
	if g.n == 0 {
		g.mu.Unlock()
		return nil
	}
	if g.idle == nil {
		g.idle = make(chan struct{})
	}
	idle := g.idle
	g.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

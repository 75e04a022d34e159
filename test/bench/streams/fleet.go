package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// patience is how long the next acknowledgement may take.
const patience = time.Minute

// fleet is many streams, and what is waited for.
type fleet struct {
	streams []*stream
	bytes   atomic.Int64 // of resources received since connect

	reported atomic.Int64 // reports since the last call of report

	closing atomic.Bool
	running sync.WaitGroup
	failed  chan error // of a stream that ended by itself; holds one

	expected atomic.Pointer[expectation]
}

// expectation is a number of acknowledgements of one resource.
type expectation struct {
	name string
	left atomic.Int64
	done chan time.Time // gets the time of the last
}

func newFleet(n int, files mesh) *fleet {
	f := &fleet{failed: make(chan error, 1)}
	for i := range n {
		own := ownTopic(min(i/users, files.topics-1))
		f.streams = append(f.streams, &stream{fleet: f, id: i, topics: []string{"topic/shop/" + sharedTopic, "topic/shop/" + own}})
	}
	return f
}

// connect opens all streams and returns when each has an answer to all it asked for.
func (f *fleet) connect(ctx context.Context, address string) error {
	const dialers = 64
	f.closing.Store(false)
	f.bytes.Store(0)
	done := f.expect("", len(f.streams))
	g, dialing := errgroup.WithContext(ctx)
	g.SetLimit(dialers)
	for _, s := range f.streams {
		g.Go(func() error {
			if err := s.dial(dialing, address); err != nil {
				return err
			}
			f.running.Go(func() { f.follow(s) })
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	_, err := f.wait(ctx, done)
	return err
}

func (f *fleet) follow(s *stream) {
	err := s.follow()
	if f.closing.Load() {
		return
	}
	select {
	case f.failed <- fmt.Errorf("stream %d ended: %w", s.id, err):
	default: // one is enough
	}
}

// close ends all streams and waits for their goroutines.
func (f *fleet) close() {
	f.closing.Store(true)
	for _, s := range f.streams {
		s.close()
	}
	f.running.Wait()
}

// expect waits for n acknowledgements of a topic's routes from now on; "" stands for
// the answers to the first requests.
func (f *fleet) expect(topic string, n int) *expectation {
	e := &expectation{done: make(chan time.Time, 1)}
	if topic != "" {
		e.name = "topic/shop/" + topic
	}
	e.left.Store(int64(n))
	f.expected.Store(e)
	return e
}

// acknowledged takes note of what a stream has acknowledged.
func (f *fleet) acknowledged(name string) {
	if e := f.expected.Load(); e != nil && e.name == name && e.left.Add(-1) == 0 {
		e.done <- time.Now()
	}
}

func (f *fleet) wait(ctx context.Context, e *expectation) (time.Time, error) {
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case at := <-e.done:
		return at, nil
	case err := <-f.failed:
		return time.Time{}, err
	case <-ctx.Done():
		return time.Time{}, ctx.Err()
	case <-late.C:
		return time.Time{}, fmt.Errorf("%d acknowledgements did not come within %s", e.left.Load(), patience)
	}
}

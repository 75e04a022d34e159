package client

import (
	"context"
	"time"
)

const (
	// saveShare bounds the part of the time that is spent writing: a big mesh's file
	// has megabytes, and other programs use the disk too.
	saveShare = 20
	// maxSaveDelay bounds the delay that follows one slow write.
	maxSaveDelay = time.Minute
)

// saver writes the state file away from the config path: a slow disk must not
// hold up a configuration. It has one slot; a newer state replaces the one that
// waits in it, so a burst of changes is one write.
type saver struct {
	path  string
	delay time.Duration // at least
	took  time.Duration // the last write; of run's goroutine
	slot  chan *lastGood
	noted func(error) // told the result of each write
}

func newSaver(path string, delay time.Duration, noted func(error)) *saver {
	return &saver{path: path, delay: delay, slot: make(chan *lastGood, 1), noted: noted}
}

// put hands over a state and never blocks. Only one goroutine may call it.
func (s *saver) put(g *lastGood) {
	select {
	case <-s.slot:
	default:
	}
	s.slot <- g
}

// run writes until ctx ends, and then what still waits.
func (s *saver) run(ctx context.Context) {
	for {
		select {
		case g := <-s.slot:
			s.gather(ctx)
			s.write(s.newest(g))
		case <-ctx.Done():
			if g := s.newest(nil); g != nil {
				s.write(g)
			}
			return
		}
	}
}

// gather waits until the next write is due, or for the end.
func (s *saver) gather(ctx context.Context) {
	t := time.NewTimer(max(s.delay, min(saveShare*s.took, maxSaveDelay)))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func (s *saver) newest(g *lastGood) *lastGood {
	select {
	case newer := <-s.slot:
		return newer
	default:
		return g
	}
}

func (s *saver) write(g *lastGood) {
	began := time.Now()
	g.SavedAt = began.UTC()
	s.noted(writeLastGood(s.path, g))
	s.took = time.Since(began)
}

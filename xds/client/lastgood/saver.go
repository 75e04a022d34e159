package lastgood

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

// Saver writes the state file away from the config path: a slow disk must not
// hold up a configuration. It has one slot; a newer state replaces the one that
// waits in it, so a burst of changes is one write.
type Saver struct {
	path  string
	delay time.Duration // at least
	took  time.Duration // the last write; of Run's goroutine
	slot  chan *Content
	noted func(error) // told the result of each write
}

// NewSaver returns a saver of the file at path, which waits for delay before each write so
// that changes gather. It calls noted with the result of each, from Run's goroutine.
func NewSaver(path string, delay time.Duration, noted func(error)) *Saver {
	return &Saver{path: path, delay: delay, slot: make(chan *Content, 1), noted: noted}
}

// Put hands over a state and never blocks. Only one goroutine may call it.
func (s *Saver) Put(g *Content) {
	select {
	case <-s.slot:
	default:
	}
	s.slot <- g
}

// Run writes until ctx ends, and then what still waits.
func (s *Saver) Run(ctx context.Context) {
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
func (s *Saver) gather(ctx context.Context) {
	t := time.NewTimer(max(s.delay, min(saveShare*s.took, maxSaveDelay)))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func (s *Saver) newest(g *Content) *Content {
	select {
	case newer := <-s.slot:
		return newer
	default:
		return g
	}
}

func (s *Saver) write(g *Content) {
	began := time.Now()
	g.SavedAt = began.UTC()
	s.noted(Write(s.path, g))
	s.took = time.Since(began)
}

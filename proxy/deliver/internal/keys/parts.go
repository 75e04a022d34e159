package keys

import "time"

// Load is what a part has given in its epoch.
type Load struct {
	Part   string
	Epoch  uint64
	Held   int       // events that are not settled
	Taken  int       // of those, in the caller's hands
	Parked int       // of those, waiting for their next attempt
	Oldest time.Time // arrival of the oldest; zero when none is held
}

// Loads describes each part from which something has come in its present epoch.
// A part gives nothing to those that stand by, and
// goes on giving to the one it began with.
func (s *Sequence) Loads() []Load {
	s.mu.Lock()
	defer s.mu.Unlock()
	loads := make([]Load, 0, len(s.parts))
	for _, src := range s.parts {
		l := Load{Part: src.name, Epoch: src.epoch, Held: src.held, Taken: len(src.taken), Parked: src.parked}
		for _, line := range src.lines {
			if at := line.events[0].arrived; l.Oldest.IsZero() || at.Before(l.Oldest) {
				l.Oldest = at
			}
		}
		loads = append(loads, l)
	}
	return loads
}

// Pause takes nothing more from a part until Resume, or until its epoch is
// lost. The channel returned is closed when nothing of it is taken any more.
func (s *Sequence) Pause(part string) (idle <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	done := make(chan struct{})
	src := s.parts[part]
	if src == nil {
		close(done)
		return done
	}
	src.paused = true
	src.idle = append(src.idle, done)
	src.signalIdle()
	return done
}

// Resume ends a pause.
func (s *Sequence) Resume(part string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	src := s.parts[part]
	if src == nil {
		return
	}
	src.paused, src.idle = false, nil
	s.ready = append(s.ready, src.withheld...)
	src.withheld = nil
	s.signal()
}

// signalIdle tells those that wait for the part to be idle when it is.
func (src *source) signalIdle() {
	if len(src.taken) > 0 {
		return
	}
	for _, done := range src.idle {
		close(done)
	}
	src.idle = nil
}

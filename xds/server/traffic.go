package server

import (
	"sync/atomic"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/warrenmesh/warren/xds/server/internal/delta"
)

// Traffic counts responses of one type since the start.
type Traffic struct {
	Pushes uint64 // sent
	Acks   uint64 // accepted as a whole
	Nacks  uint64 // refused, in part or as a whole
}

// Traffic returns what was exchanged with all sidecars, by type URL; a type that was
// never sent is not in it.
func (s *Server) Traffic() map[string]Traffic {
	out := map[string]Traffic{}
	for typeURL, t := range s.traffic {
		if n := t.pushes.Load(); n > 0 {
			out[typeURL] = Traffic{Pushes: n, Acks: t.acks.Load(), Nacks: t.nacks.Load()}
		}
	}
	return out
}

// traffic counts by type URL. The map is complete from the start and never changes.
type traffic map[string]*counts

type counts struct{ pushes, acks, nacks atomic.Uint64 }

func newTraffic() traffic {
	t := traffic{}
	for _, typeURL := range delta.Types {
		t[typeURL] = &counts{}
	}
	return t
}

// of returns the counts of a type that is served.
func (t traffic) of(typeURL string) *counts { return t[typeURL] }

// answered counts the answer to a response that is known.
func (t traffic) answered(typeURL string, req *discoveryv3.DeltaDiscoveryRequest) {
	if req.GetErrorDetail() == nil {
		t.of(typeURL).acks.Add(1)
	} else {
		t.of(typeURL).nacks.Add(1)
	}
}

// signal wakes everyone who waits for a change. It takes no lock: each stream notifies
// at each request and response.
type signal struct {
	waiting atomic.Pointer[chan struct{}] // nil when nobody waits
}

func (s *signal) notify() {
	if s.waiting.Load() == nil {
		return // most often
	}
	if ch := s.waiting.Swap(nil); ch != nil {
		close(*ch)
	}
}

func (s *signal) wait() <-chan struct{} {
	for {
		if ch := s.waiting.Load(); ch != nil {
			return *ch
		}
		ch := make(chan struct{})
		if s.waiting.CompareAndSwap(nil, &ch) {
			return ch
		}
	}
}

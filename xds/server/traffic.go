package server

import discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

// Traffic counts responses of one type since the start.
type Traffic struct {
	Pushes uint64 // sent
	Acks   uint64 // accepted as a whole
	Nacks  uint64 // refused, in part or as a whole
}

// Traffic returns what was exchanged with all sidecars, by type URL; a type that was
// never sent is not in it.
func (s *Server) Traffic() map[string]Traffic {
	s.acks.mu.Lock()
	defer s.acks.mu.Unlock()
	out := make(map[string]Traffic, len(s.acks.traffic))
	for typeURL, t := range s.acks.traffic {
		out[typeURL] = *t
	}
	return out
}

// countPush is called with mu held.
func (t *tracker) countPush(typeURL string) {
	if t.traffic[typeURL] == nil {
		t.traffic[typeURL] = &Traffic{}
	}
	t.traffic[typeURL].Pushes++
}

// countAnswer is called with mu held, before the answer is taken in. What answers
// nothing that is known counts as nothing.
func (t *tracker) countAnswer(s *stream, req *discoveryv3.DeltaDiscoveryRequest) {
	for _, r := range s.unanswered {
		if r.nonce != req.GetResponseNonce() {
			continue
		}
		if req.GetErrorDetail() == nil {
			t.traffic[r.typeURL].Acks++
		} else {
			t.traffic[r.typeURL].Nacks++
		}
	}
}

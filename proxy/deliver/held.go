package deliver

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/warrenmesh/warren/mesh"
)

// maxHeldKeys bounds the keys held back for one subscription. A key beyond it is
// not held: its next event is delivered, and that is logged.
const maxHeldKeys = 10_000

// HeldKeys lists, sorted, the keys of a subscription that this sidecar holds back:
// one of their events was dead-lettered, under mesh.Hold, and what follows of them
// is dead-lettered too until ReleaseKeys. They are kept in memory: a restart of the
// sidecar, and another sidecar that takes the partition over, know nothing of them.
func (s *Service) HeldKeys(sub mesh.Name) []string { return s.held(sub).list() }

// ReleaseKeys lets the named keys of a subscription flow again, all of them when
// none is named, and returns how many were held. What was dead-lettered meanwhile
// stays a dead letter.
func (s *Service) ReleaseKeys(sub mesh.Name, keys ...string) int { return s.held(sub).release(keys) }

// held returns the keys held for a subscription. They outlive its streams.
func (s *Service) held(sub mesh.Name) *heldKeys {
	s.memory.Lock()
	defer s.memory.Unlock()
	h := s.heldKeys[sub]
	if h == nil {
		h = &heldKeys{}
		s.heldKeys[sub] = h
	}
	return h
}

// heldKeys is a bounded set of keys. The zero value is empty. It is safe for
// concurrent use.
type heldKeys struct {
	some atomic.Bool // saves the lock while there are none

	mu   sync.Mutex
	keys map[string]struct{} // guarded by mu
}

// add reports whether the key is held now.
func (h *heldKeys) add(key string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.keys[key]; ok {
		return true
	}
	if len(h.keys) >= maxHeldKeys {
		return false
	}
	if h.keys == nil {
		h.keys = map[string]struct{}{}
	}
	h.keys[key] = struct{}{}
	h.some.Store(true)
	return true
}

func (h *heldKeys) has(key string) bool {
	if !h.some.Load() {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	_, ok := h.keys[key]
	return ok
}

func (h *heldKeys) list() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]string, 0, len(h.keys))
	for key := range h.keys {
		out = append(out, key)
	}
	slices.Sort(out)
	return out
}

func (h *heldKeys) release(keys []string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	before := len(h.keys)
	for _, key := range keys {
		delete(h.keys, key)
	}
	if len(keys) == 0 {
		clear(h.keys)
	}
	h.some.Store(len(h.keys) > 0)
	return before - len(h.keys)
}

package keys

import (
	"slices"
	"sync"
	"sync/atomic"
)

// MaxHeld bounds the keys held back for one subscription. A key beyond it is
// not held: its next event is delivered, and that is logged.
const MaxHeld = 10_000

// Held is a bounded set of keys. The zero value is empty. It is safe for
// concurrent use.
type Held struct {
	some atomic.Bool // saves the lock while there are none

	mu   sync.Mutex
	keys map[string]struct{} // guarded by mu
}

// Add reports whether the key is held now.
func (h *Held) Add(key string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.keys[key]; ok {
		return true
	}
	if len(h.keys) >= MaxHeld {
		return false
	}
	if h.keys == nil {
		h.keys = map[string]struct{}{}
	}
	h.keys[key] = struct{}{}
	h.some.Store(true)
	return true
}

// Has reports whether the key is held.
func (h *Held) Has(key string) bool {
	if !h.some.Load() {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	_, ok := h.keys[key]
	return ok
}

// List returns the keys, sorted.
func (h *Held) List() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]string, 0, len(h.keys))
	for key := range h.keys {
		out = append(out, key)
	}
	slices.Sort(out)
	return out
}

// Release lets the named keys go, all of them when none is named, and returns how many
// were held.
func (h *Held) Release(names []string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	before := len(h.keys)
	for _, key := range names {
		delete(h.keys, key)
	}
	if len(names) == 0 {
		clear(h.keys)
	}
	h.some.Store(len(h.keys) > 0)
	return before - len(h.keys)
}

package keys

import (
	"sync"

	"github.com/warrenmesh/warren/mesh"
)

// Holds are the keys held back, by subscription. They outlive its streams. The zero value
// is empty. It is safe for concurrent use.
type Holds struct {
	mu sync.Mutex
	by map[mesh.Name]*Held // guarded by mu
}

// Of returns the keys held for a subscription.
func (h *Holds) Of(sub mesh.Name) *Held {
	h.mu.Lock()
	defer h.mu.Unlock()
	held := h.by[sub]
	if held == nil {
		if h.by == nil {
			h.by = map[mesh.Name]*Held{}
		}
		held = &Held{}
		h.by[sub] = held
	}
	return held
}

// Package grow has a map that only grows, for values that belong to the configuration
// and are looked up for every event.
package grow

import (
	"maps"
	"sync"
	"sync/atomic"
)

// Map is copied whenever a key is added, so that a lookup takes no lock and allocates
// nothing. It is for few keys that are added rarely: adding n of them copies n²/2. The
// zero value is empty. It is safe for concurrent use.
type Map[K comparable, V any] struct {
	current atomic.Pointer[map[K]V] // nil while empty; replaced, never changed

	mu sync.Mutex // held while replacing
}

// Get returns what was added for key, and whether something was.
func (m *Map[K, V]) Get(key K) (V, bool) {
	v, ok := m.All()[key]
	return v, ok
}

// Add returns what is kept for key, and keeps what first returns if there is nothing
// yet. first is called at most once for a key; it must not use the map.
func (m *Map[K, V]) Add(key K, first func() V) V {
	m.mu.Lock()
	defer m.mu.Unlock()
	if had, ok := m.Get(key); ok {
		return had
	}
	next := maps.Clone(m.All())
	if next == nil {
		next = map[K]V{}
	}
	made := first()
	next[key] = made
	m.current.Store(&next)
	return made
}

// All returns everything that was added until now; it must not be changed.
func (m *Map[K, V]) All() map[K]V {
	if all := m.current.Load(); all != nil {
		return *all
	}
	return nil
}

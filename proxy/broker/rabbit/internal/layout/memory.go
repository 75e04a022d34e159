package layout

import (
	"maps"
	"slices"
	"sync"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
)

// memory is what was declared under Manage, by name; a later topology with the
// same object replaces the earlier, so that what others manage from now on is
// declared no more. The zero value is empty.
type memory struct {
	mu        sync.Mutex
	exchanges map[string]mesh.Exchange
	queues    map[string]queueing.Queue
	bindings  map[queueing.Binding]struct{}
	parted    map[string]queueing.Partitioner
	single    map[string]struct{} // queues with a single active consumer, whoever declares them
}

// Remember remembers t, if it was declared under Manage, or forgets what others manage from now on.
func (m *memory) Remember(t queueing.Topology) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.exchanges == nil {
		m.exchanges, m.queues = map[string]mesh.Exchange{}, map[string]queueing.Queue{}
		m.bindings, m.parted = map[queueing.Binding]struct{}{}, map[string]queueing.Partitioner{}
		m.single = map[string]struct{}{}
	}
	for _, q := range t.Queues {
		delete(m.single, q.Name)
		if q.SingleActive {
			m.single[q.Name] = struct{}{}
		}
	}
	if t.Policy != mesh.Manage {
		m.forget(t)
		return
	}
	for _, x := range t.Exchanges {
		m.exchanges[x.Name] = x
	}
	for _, q := range t.Queues {
		m.queues[q.Name] = q
	}
	for _, b := range t.Gone {
		delete(m.bindings, b)
	}
	for _, p := range t.GonePartitioners {
		if m.parted[p.Name].Exchange == p.Exchange {
			delete(m.parted, p.Name)
		}
	}
	for _, b := range t.Bindings {
		m.bindings[b] = struct{}{}
	}
	for _, p := range t.Partitioners {
		m.parted[p.Name] = p
	}
}

// forget drops the objects of t, with what leads to its queues: bindings,
// partitioners and the waiting rooms before them. It is called with mu held.
func (m *memory) forget(t queueing.Topology) {
	for _, x := range t.Exchanges {
		delete(m.exchanges, x.Name)
	}
	for _, q := range t.Queues {
		delete(m.queues, q.Name)
		maps.DeleteFunc(m.queues, func(_ string, room queueing.Queue) bool { return room.Forward == q.Name })
		maps.DeleteFunc(m.bindings, func(b queueing.Binding, _ struct{}) bool { return b.Queue == q.Name })
		maps.DeleteFunc(m.parted, func(_ string, p queueing.Partitioner) bool { return slices.Contains(p.Queues, q.Name) })
	}
	for _, p := range t.Partitioners {
		delete(m.parted, p.Name)
	}
}

// All returns everything remembered, in no particular order.
func (m *memory) All() queueing.Topology {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := queueing.Topology{Policy: mesh.Manage}
	for _, x := range m.exchanges {
		t.Exchanges = append(t.Exchanges, x)
	}
	for _, q := range m.queues {
		t.Queues = append(t.Queues, q)
	}
	for b := range m.bindings {
		t.Bindings = append(t.Bindings, b)
	}
	for _, p := range m.parted {
		t.Partitioners = append(t.Partitioners, p)
	}
	return t
}

// SingleActive tells the queues that let one consumer at a time receive.
func (m *memory) SingleActive(queue string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.single[queue]
	return ok
}

// HasQueue reports whether a queue of that name is remembered.
func (m *memory) HasQueue(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.queues[name]
	return ok
}

// HasExchange reports whether an exchange of that name is remembered.
func (m *memory) HasExchange(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.exchanges[name]
	return ok
}

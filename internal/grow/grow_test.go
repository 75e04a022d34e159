package grow_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/warrenmesh/warren/internal/grow"
)

func TestEveryKeyIsMadeOnceAndFoundByAll(t *testing.T) {
	t.Parallel()
	var m grow.Map[int, *int]
	if _, ok := m.Get(0); ok || m.All() != nil {
		t.Error("the zero value is not empty")
	}
	const keys = 50
	var made atomic.Int32
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for key := range keys {
				got, ok := m.Get(key)
				if !ok {
					got = m.Add(key, func() *int { made.Add(1); return &key })
				}
				if again, ok := m.Get(key); !ok || again != got || *got != key {
					t.Errorf("key %d: %v, then %v", key, got, again)
				}
			}
		})
	}
	workers.Wait()
	if made.Load() != keys || len(m.All()) != keys {
		t.Errorf("%d made, %d kept, want %d of each", made.Load(), len(m.All()), keys)
	}
}

func TestLookingUpAllocatesNothing(t *testing.T) {
	var m grow.Map[string, int]
	m.Add("a", func() int { return 1 })
	if n := testing.AllocsPerRun(100, func() { _, _ = m.Get("a") }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

package limit_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/warrenmesh/warren/proxy/limit"
)

func TestBudget(t *testing.T) {
	t.Parallel()
	t.Run("bounds the count", func(t *testing.T) {
		t.Parallel()
		b := limit.NewBudget(2, 0)
		for take, want := range []bool{true, true, false} {
			if got := b.TryTake(1); got != want {
				t.Errorf("take %d: %v, want %v", take+1, got, want)
			}
		}
		b.Give(1)
		if !b.TryTake(1) {
			t.Error("what was given back cannot be taken")
		}
	})
	t.Run("bounds the bytes", func(t *testing.T) {
		t.Parallel()
		b := limit.NewBudget(0, 10)
		if !b.TryTake(6) || b.TryTake(5) || !b.TryTake(4) {
			t.Error("want 6 and 4, and not 5, of 10 bytes")
		}
		if n, bytes := b.InUse(); n != 2 || bytes != 10 {
			t.Errorf("in use: %d things, %d bytes", n, bytes)
		}
	})
	t.Run("leaves parts of the bytes to others", func(t *testing.T) {
		t.Parallel()
		b := limit.NewBudget(0, 40)
		if !b.TryTakeOf(10, 4) || b.TryTakeOf(1, 4) {
			t.Error("want 10 of 40 bytes for a quarter, and not 11")
		}
		if !b.TryTake(30) || b.TryTake(1) {
			t.Error("want 30 of 40 bytes for the others, and not 31")
		}
		b.Give(10)
		if b.TryTakeOf(1, 4) {
			t.Error("a quarter is free, and the others have three: a part is of all that is in use")
		}
	})
	t.Run("lets one oversized thing through alone", func(t *testing.T) {
		t.Parallel()
		b := limit.NewBudget(10, 10)
		if !b.TryTake(100) {
			t.Error("refused though nothing is in use")
		}
		if b.TryTake(1) {
			t.Error("let something in beside it")
		}
	})
	t.Run("without bounds refuses nothing", func(t *testing.T) {
		t.Parallel()
		b := limit.NewBudget(0, 0)
		for range 1000 {
			if !b.TryTake(1 << 40) {
				t.Fatal("refused")
			}
		}
	})
}

func TestBudgetNeverExceedsItsBoundsUnderContention(t *testing.T) {
	t.Parallel()
	b := limit.NewBudget(8, 0)
	var holding, most atomic.Int64
	var workers sync.WaitGroup
	for range 32 {
		workers.Go(func() {
			for range 2000 {
				if !b.TryTake(1) {
					continue
				}
				n := holding.Add(1)
				for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
				}
				holding.Add(-1)
				b.Give(1)
			}
		})
	}
	workers.Wait()
	if most.Load() > 8 {
		t.Errorf("%d held at once, want at most 8", most.Load())
	}
	if n, bytes := b.InUse(); n != 0 || bytes != 0 {
		t.Errorf("left in use: %d, %d bytes", n, bytes)
	}
}

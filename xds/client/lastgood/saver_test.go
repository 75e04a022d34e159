package lastgood

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pass lets the bubble's time go by.
func pass(d time.Duration) { <-time.After(d) }

func TestASlowDiskIsWrittenToLessOften(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var takes time.Duration
		done := make(chan struct{})
		s := NewSaver(filepath.Join(t.TempDir(), "last-good.json"), time.Second, func(error) {
			pass(takes)
			done <- struct{}{}
		})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { s.Run(ctx) })
		next := func(takesNow time.Duration) time.Duration {
			began := time.Now()
			takes = takesNow
			s.Put(&Content{Format: Format})
			<-done
			return time.Since(began) - takesNow
		}
		next(2 * time.Second)
		if got := next(time.Hour); got != 40*time.Second {
			t.Errorf("after a write of 2 s the next one comes after %v, want 40 s", got)
		}
		if got := next(0); got != time.Minute {
			t.Errorf("after a write of an hour the next one comes after %v, want a minute", got)
		}
		cancel()
		wg.Wait()
	})
}

func TestABurstOfChangesIsOneWrite(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "last-good.json")
		var writes int
		s := NewSaver(path, time.Second, func(error) { writes++ })
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { s.Run(ctx) })
		for i := range 10 {
			s.Put(&Content{Format: Format, Version: fmt.Sprint(i)})
			pass(50 * time.Millisecond)
		}
		pass(time.Second)
		synctest.Wait()
		if g, err := Read(path); err != nil || writes != 1 || g.Version != "9" {
			t.Errorf("%d writes, the file has %+v (%v); want one of the last state", writes, g, err)
		}
		s.Put(&Content{Format: Format, Version: "flushed"})
		cancel()
		wg.Wait()
		if g, err := Read(path); err != nil || g.Version != "flushed" {
			t.Errorf("after the stop the file has %+v (%v)", g, err)
		}
	})
}

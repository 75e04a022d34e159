package pace_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warrenmesh/warren/internal/pace"
)

func TestABucketGivesItsBurstAndThenItsRate(t *testing.T) {
	t.Parallel()
	b := pace.NewBucket(10, 3)
	now := time.Unix(1000, 0)
	taken := func(at time.Time, tries int) (n int) {
		for range tries {
			if b.TryTake(at) {
				n++
			}
		}
		return n
	}
	if n := taken(now, 10); n != 3 {
		t.Errorf("%d of 10 taken at once, want the burst of 3", n)
	}
	if n := taken(now.Add(100*time.Millisecond), 10); n != 1 {
		t.Errorf("%d taken after 100 ms at 10 a second, want 1", n)
	}
	if n := taken(now.Add(time.Hour), 10); n != 3 {
		t.Errorf("%d taken after an hour, want the burst of 3", n)
	}
	b.Return()
	if n := taken(now.Add(time.Hour), 10); n != 1 {
		t.Errorf("%d taken after one came back, want 1", n)
	}
	if n := taken(now, 1); n != 0 {
		t.Error("a clock that goes back gives tokens")
	}
}

func TestReservationsAreServedInTheirOrder(t *testing.T) {
	t.Parallel()
	b := pace.NewBucket(10, 1)
	now := time.Unix(1000, 0)
	for i, want := range []time.Duration{0, 100 * time.Millisecond, 200 * time.Millisecond} {
		if got := b.Reserve(now, 1); got != want {
			t.Errorf("reservation %d waits %s, want %s", i+1, got, want)
		}
	}
	if got := b.Reserve(now.Add(300*time.Millisecond), 1); got != 0 {
		t.Errorf("waits %s though all tokens have come, want 0", got)
	}
}

func TestALogStaysShortAndSaysWhatItLeftOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := pace.NewLog(slog.New(slog.NewTextHandler(&out, nil)), 2, time.Minute)
		for range 1000 {
			l.Warn("resource does not exist", "resource", "topic/a/b")
		}
		if n := strings.Count(out.String(), "\n"); n != 2 {
			t.Errorf("%d lines of 1000, want 2", n)
		}
		<-time.After(time.Minute)
		l.Warn("resource does not exist")
		if !strings.Contains(out.String(), "left_out=998") {
			t.Errorf("the log does not say that 998 lines were left out:\n%s", out.String())
		}
	})
}

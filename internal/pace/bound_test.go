package pace_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/warrenmesh/warren/internal/pace"
)

// Whenever takers come, no span of time sees more of them served than the burst and what
// the rate gives in that span.
func TestNoSpanSeesMoreThanBurstAndRate(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(11, 12))
	for range 50 {
		rate, burst := 1+random.Float64()*100, 1+float64(random.IntN(20))
		b := pace.NewBucket(rate, burst)
		now := time.Unix(1000, 0)
		var served []time.Time
		for range 300 {
			now = now.Add(time.Duration(random.Int64N(int64(50 * time.Millisecond))))
			if b.TryTake(now) {
				served = append(served, now)
			}
		}
		for i := range served {
			for j := i; j < len(served); j++ {
				if most := burst + served[j].Sub(served[i]).Seconds()*rate; float64(j-i+1) > most+1e-6 {
					t.Fatalf("%d in %s, at most %.2f were due (rate %.2f, burst %.0f)", j-i+1, served[j].Sub(served[i]), most, rate, burst)
				}
			}
		}
	}
}

func TestAClockThatGoesBackGivesNoTokens(t *testing.T) {
	t.Parallel()
	b := pace.NewBucket(1, 1)
	now := time.Unix(1000, 0)
	if !b.TryTake(now) || b.TryTake(now) {
		t.Fatal("a bucket of one token gave none, or two")
	}
	for _, at := range []time.Duration{-time.Hour, -time.Second, 0, 999 * time.Millisecond} {
		if b.TryTake(now.Add(at)) {
			t.Errorf("a token came at %s", at)
		}
	}
	if !b.TryTake(now.Add(time.Second)) {
		t.Error("no token came after a second")
	}
}

func TestATokenThatIsReturnedIsThereAgainButNeverMoreThanTheBurst(t *testing.T) {
	t.Parallel()
	b := pace.NewBucket(0.001, 2)
	now := time.Unix(1000, 0)
	b.Return() // it is full
	for i, want := range []bool{true, true, false} {
		if got := b.TryTake(now); got != want {
			t.Errorf("taker %d gets %t, want %t", i+1, got, want)
		}
	}
	b.Return()
	if !b.TryTake(now) || b.TryTake(now) {
		t.Error("one token was returned, none or two were there")
	}
}

func TestManyTokensAreReservedAtOnceAndWaitedForInOrder(t *testing.T) {
	t.Parallel()
	b := pace.NewBucket(10, 5)
	now := time.Unix(1000, 0)
	for i, test := range []struct {
		n    int
		want time.Duration
	}{{5, 0}, {10, time.Second}, {0, time.Second}, {1, 1100 * time.Millisecond}} {
		if got := b.Reserve(now, test.n); got != test.want {
			t.Errorf("reservation %d waits %s, want %s", i+1, got, test.want)
		}
	}
	if b.TryTake(now.Add(1100 * time.Millisecond)) {
		t.Error("a token was free that is reserved")
	}
	if !b.TryTake(now.Add(1200 * time.Millisecond)) {
		t.Error("no token is free once what was reserved has come")
	}
}

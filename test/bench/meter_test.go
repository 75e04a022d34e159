package main

import (
	"testing"
	"time"
)

// near compares with a tolerance for floating-point errors.
func near(a, b float64) bool { return a-b < 1e-9 && b-a < 1e-9 }

func TestASampleIsWhatHappenedBetweenTwoReadings(t *testing.T) {
	t.Parallel()
	at := time.Now()
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	a := reading{at: at, driver: ms(10), sidecars: ms(20), broker: ms(30), others: ms(1), machine: ms(1000), count: 500}
	b := reading{at: at.Add(2 * time.Second), driver: ms(110), sidecars: ms(220), broker: ms(430), others: ms(11), machine: ms(2310), count: 10_500}
	m := &meter{broker: 1}
	got := m.between(a, b)
	if !near(got.rate, 5000) || !near(got.driver, 10) || !near(got.sidecar, 20) || !near(got.broker, 40) || !near(got.foreign, 0.3) {
		t.Errorf("sample %+v", got)
	}
	m.broker = 0
	if got := m.between(a, b); got.foreign != 0 {
		t.Errorf("without the broker's time %v cores count as foreign", got.foreign)
	}
	b.machine = a.machine // its resolution is coarser
	if got := (&meter{broker: 1}).between(a, b); got.foreign != 0 {
		t.Errorf("foreign %v, want 0", got.foreign)
	}
	if got := m.between(a, a); got != (sample{}) {
		t.Errorf("of no time: %+v", got)
	}
}

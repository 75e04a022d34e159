package measure

import (
	"os"
	"slices"
	"testing"
	"time"
)

// near compares with a tolerance for floating-point errors.
func near(a, b float64) bool { return a-b < 1e-9 && b-a < 1e-9 }

func TestASampleIsWhatHappenedBetweenTwoReadings(t *testing.T) {
	t.Parallel()
	at := time.Now()
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	a := reading{at: at, driver: ms(10), sidecars: ms(20), broker: ms(30), all: ms(61), machine: ms(1000), count: 500}
	b := reading{at: at.Add(2 * time.Second), driver: ms(110), sidecars: ms(220), broker: ms(430), all: ms(771), machine: ms(2310), count: 10_500}
	m := &Meter{brokers: []int{1}}
	got := m.between(a, b)
	if !near(got.Rate, 5000) || !near(got.Driver, 10) || !near(got.Sidecar, 20) || !near(got.Broker, 40) || !near(got.Foreign, 0.3) {
		t.Errorf("sample %+v", got)
	}
	if got := new(Meter).between(a, b); got.Foreign != 0 {
		t.Errorf("without the broker's time %v cores count as foreign", got.Foreign)
	}
	b.machine = a.machine // its resolution is coarser
	if got := m.between(a, b); got.Foreign != 0 {
		t.Errorf("foreign %v, want 0", got.Foreign)
	}
	if got := m.between(a, a); got != (Sample{}) {
		t.Errorf("of no time: %+v", got)
	}
}

func TestEveryProcessOfTheComparisonCountsAsOurs(t *testing.T) {
	t.Parallel()
	self := os.Getpid()
	m := &Meter{}
	alone, err := m.read(nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	m.Add(self, self) // as if it were two idle sidecars
	m.AddBroker(self)
	m.AddBroker(self)
	all, err := m.read([]int{self}, 0)
	if err != nil || all.all < 4*alone.driver || all.sidecars < alone.driver || all.broker < alone.driver || all.broker > 2*all.driver {
		t.Errorf("read %+v, %v; the driver alone had used %v", all, err, alone.driver)
	}
	m.Remove(self)
	if len(m.ours) != 0 {
		t.Errorf("%v are left", m.ours)
	}
}

func TestASidecarCountsInTheWorkloadsItWorksIn(t *testing.T) {
	t.Parallel()
	two, one := &Target{Publisher: 7, Subscriber: 8}, &Target{Publisher: 7, Subscriber: 7}
	for kind, want := range map[Kind][2][]int{
		Unary: {{7}, {7}}, Stream: {{7}, {7}}, Batch: {{7}, {7}}, Drain: {{8}, {7}}, EndToEnd: {{7, 8}, {7}},
	} {
		for i, target := range []*Target{two, one} {
			if got := target.sidecars(Workload{Kind: kind}); !slices.Equal(got, want[i]) {
				t.Errorf("kind %d of target %d: processes %v, want %v", kind, i, got, want[i])
			}
		}
		if got := new(Target).sidecars(Workload{Kind: kind}); len(got) > 0 {
			t.Errorf("kind %d without sidecars: %v", kind, got)
		}
	}
}

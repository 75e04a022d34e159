package soak_test

import (
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/warrenmesh/warren/test/faults/soak"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var kinds = []soak.Kind{
	{Name: "kill", Targets: 3, Min: 2 * time.Second, Max: 10 * time.Second},
	{Name: "cut", Weight: 3},
	{Name: "alarm", Min: time.Second, Max: 5 * time.Second},
}

func TestASeedAlwaysGivesTheSameSchedule(t *testing.T) {
	t.Parallel()
	const golden = "testdata/seed-7.txt"
	var got strings.Builder
	soak.Print(&got, 7, soak.Generate(7, 2*time.Minute, kinds))
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("got:\n%swant:\n%s", got.String(), want)
	}
}

func TestAnotherSeedGivesAnotherSchedule(t *testing.T) {
	t.Parallel()
	if reflect.DeepEqual(soak.Generate(1, time.Minute, kinds), soak.Generate(2, time.Minute, kinds)) {
		t.Error("seeds 1 and 2 give the same steps")
	}
}

func TestALongerRunBeginsAsAShorterOne(t *testing.T) {
	t.Parallel()
	short, long := soak.Generate(3, time.Minute, kinds), soak.Generate(3, time.Hour, kinds)
	if len(short) == 0 || len(long) <= len(short) || !reflect.DeepEqual(long[:len(short)], short) {
		t.Errorf("%d steps in a minute, %d in an hour, and they begin differently", len(short), len(long))
	}
}

func TestFaultsLeaveTimeToRecoverAndKeepTheirBounds(t *testing.T) {
	t.Parallel()
	const total = time.Hour
	seen := map[string]int{}
	targets := map[int]bool{}
	byName := map[string]soak.Kind{}
	for _, k := range kinds {
		byName[k.Name] = k
	}
	free := time.Duration(1)
	for _, s := range soak.Generate(11, total, kinds) {
		k := byName[s.Kind]
		seen[s.Kind]++
		targets[s.Target] = true
		if s.At < free {
			t.Errorf("%v begins before the run has recovered at %v", s, free)
		}
		if s.Target < 0 || s.Target >= max(k.Targets, 1) || s.Lasts < k.Min || s.Lasts > k.Max {
			t.Errorf("%v is outside of %+v", s, k)
		}
		free = s.At + s.Lasts + 3*time.Second
	}
	if free > total {
		t.Errorf("the last fault needs until %v", free)
	}
	if len(seen) != len(kinds) || seen["cut"] < seen["kill"] || len(targets) != 3 {
		t.Errorf("an hour drew %v on %v: every kind and target, and cut most often", seen, targets)
	}
}

func TestWithoutKindsOrTimeThereAreNoFaults(t *testing.T) {
	t.Parallel()
	if n := len(soak.Generate(1, time.Hour, nil)) + len(soak.Generate(1, 5*time.Second, kinds)); n != 0 {
		t.Errorf("%d faults", n)
	}
}

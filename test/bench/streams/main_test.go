package main

import (
	"io"
	"slices"
	"testing"
	"time"

	"github.com/warrenmesh/warren/controlplane"
)

func TestFlagsAreChecked(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-streams", "7"}, {"-streams", "x"}, {"-changes", "0"}, {"-reports", "7s"}, {"-reports", "-5s"}, {"more"}} {
		if o, err := parse(args, io.Discard); err == nil {
			t.Errorf("%q: got %+v", args, o)
		}
	}
	o, err := parse(nil, io.Discard)
	if err != nil || !slices.Equal(o.streams, []int{1000, 5000, 10000}) {
		t.Errorf("without flags: %+v, %v", o, err)
	}
}

func TestAPercentileIsOneOfTheValues(t *testing.T) {
	t.Parallel()
	values := make([]time.Duration, 20)
	for i := range values {
		values[i] = time.Duration(i + 1)
	}
	for p, want := range map[int]time.Duration{1: 1, 50: 10, 99: 20, 100: 20} {
		if got := percentile(values, p); got != want {
			t.Errorf("p%d is %d, want %d", p, got, want)
		}
	}
	if got := percentile(values[:1], 50); got != 1 {
		t.Errorf("the median of one value is %d", got)
	}
}

// The bench would otherwise wait in vain for what never comes into force.
func TestTheFilesAreValid(t *testing.T) {
	t.Parallel()
	for _, topics := range []int{1, 3} {
		files := mesh{dir: t.TempDir(), topics: topics}
		if err := files.write(); err != nil {
			t.Fatal(err)
		}
		if err := files.change(sharedTopic, 5); err != nil {
			t.Fatal(err)
		}
		summary, problems := controlplane.Check(files.dir)
		if len(problems) > 0 || summary.Objects["EventRoute"] != topics+1 {
			t.Errorf("%d topics: %+v, %v", topics, summary, problems)
		}
	}
}

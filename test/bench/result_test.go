package main

import (
	"slices"
	"strings"
	"testing"
)

// measured is a result with one sample of lib and one of warren for each pair of rates.
func measured(w workload, rates ...[2]float64) *result {
	r := &result{workload: w, samples: map[string][]sample{}}
	for _, pair := range rates {
		r.add(round{libName: {rate: pair[0], driver: w.reference}, warrenName: {rate: pair[1], sidecar: pair[1] / 10}}, false)
	}
	return r
}

// costing is a result in which lib used driver µs of CPU a message.
func costing(w workload, driver float64) *result {
	r := &result{workload: w, samples: map[string][]sample{}}
	r.add(round{libName: {driver: driver}}, false)
	return r
}

func TestTheLastLineHasMediansOfPairsAndSaysWhatWasNotMeasured(t *testing.T) {
	t.Parallel()
	results := []*result{
		measured(unary64, [2]float64{100, 80}, [2]float64{200, 180}, [2]float64{100, 70}),
		measured(stream, [2]float64{100, 121}),
		measured(drain, [2]float64{1, 1.004}),
	}
	const want = "bench: unary64/lib 0.80 stream/lib 1.21 drain/lib 1.00 e2e/lib - cpu_stream_us 12.1 cpu_unary_us 8.0"
	if got := line(results, warrenName); got != want {
		t.Errorf("the line is %q\nwant %q", got, want)
	}
	if got := line(results, beforeName); !strings.HasPrefix(got, "bench-before: ") {
		t.Errorf("the line of the sidecar before is %q", got)
	}
}

func TestARunIsValidOnAMachineThatIsFasterOrSlowerThroughout(t *testing.T) {
	t.Parallel()
	for _, machine := range []float64{0.5, 1, 3} {
		var results []*result
		for _, w := range allWorkloads {
			results = append(results, costing(w, machine*w.reference*1.2))
		}
		if got := faults(results, "classic"); len(got) > 0 {
			t.Errorf("on a machine %v times as slow: %q", machine, got)
		}
	}
}

func TestARunIsVoidWhenOneWorkloadOfLibIsOutOfProportion(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		factor float64
		want   string
	}{{0.7, "stream: lib took 6.7 µs of CPU a message, -30 %"}, {1.3, "stream: lib took 12.5 µs of CPU a message, +30 %"}, {1.2, ""}} {
		results := []*result{costing(unary64, unary64.reference), costing(stream, stream.reference*c.factor), costing(drain, drain.reference), costing(endToEnd, 99)}
		got := faults(results, "classic")
		if (c.want == "") != (len(got) == 0) || len(got) > 0 && !strings.HasPrefix(got[0], c.want) {
			t.Errorf("stream costs %v of what it should: %q, want %q", c.factor, got, c.want)
		}
		if got := faults(results, "quorum"); len(got) > 0 {
			t.Errorf("on quorum queues, which the references do not cover: %q", got)
		}
		if got := faults(results[:2], "classic"); len(got) > 0 {
			t.Errorf("two workloads cannot tell which one is off: %q", got)
		}
	}
}

func TestARunIsVoidWhenARoundStayedDisturbed(t *testing.T) {
	t.Parallel()
	r := measured(unary1, [2]float64{1, 1})
	r.add(round{libName: {}, warrenName: {foreign: 0.3}}, true)
	if got := faults([]*result{r}, "classic"); len(got) != 1 || !strings.HasPrefix(got[0], "unary1: in 1 of 2 rounds") {
		t.Errorf("faults %q", got)
	}
}

func TestTheForeignCPUOfARoundIsTheWorstOfItsPhases(t *testing.T) {
	t.Parallel()
	if got := (round{libName: {foreign: 0.1}, warrenName: {foreign: 0.4}, beforeName: {}}).foreign(); got != 0.4 {
		t.Errorf("foreign %v, want 0.4", got)
	}
}

func TestFlagsChangeWhatQuickPresets(t *testing.T) {
	t.Parallel()
	quick, err := parse([]string{"-quick"}, t.Output())
	if err != nil || quick.rounds != 5 || len(quick.workloads) != 4 || quick.socket != "unix" || quick.queue != "classic" {
		t.Errorf("quick is %+v, %v", quick, err)
	}
	full, err := parse([]string{"-workloads", "drain,unary16", "-rounds", "2", "-seconds", "0.5", "-queue", "quorum"}, t.Output())
	names := []string{}
	for _, w := range full.workloads {
		names = append(names, w.name)
	}
	if err != nil || full.rounds != 2 || full.measured.Seconds() != 0.5 || full.warmup > full.measured || !slices.Equal(names, []string{"drain", "unary16"}) {
		t.Errorf("full is %+v, %v", full, err)
	}
	for _, bad := range []string{"-socket=pipe", "-queue=stream", "-workloads=unary2"} {
		if o, err := parse([]string{bad}, t.Output()); err == nil {
			t.Errorf("%s is accepted as %+v", bad, o)
		}
	}
}

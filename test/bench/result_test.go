package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/warrenmesh/warren/test/bench/internal/measure"
)

// measured is a result with one sample of lib and one of warren for each pair of rates.
func measured(w workload, rates ...[2]float64) *result {
	r := &result{workload: w}
	for _, pair := range rates {
		r.add(round{libName: {Rate: pair[0], Driver: 30}, warrenName: {Rate: pair[1], Sidecar: pair[1] / 10}})
	}
	return r
}

func TestTheLastLineHasMediansOfPairsAndSaysWhatWasNotMeasured(t *testing.T) {
	t.Parallel()
	o := outcome{queue: "quorum", results: []*result{
		measured(unary64, [2]float64{100, 80}, [2]float64{200, 180}, [2]float64{100, 70}),
		measured(stream, [2]float64{100, 121}),
		measured(drain, [2]float64{1, 1.004}),
	}}
	const figures = " unary64/lib 0.80 stream/lib 1.21 drain/lib 1.00 e2e/lib - cpu_unary_us 8.0 cpu_stream_us 12.1 cpu_drain_us 0.1 cpu_e2e_us -"
	if got := o.line(warrenName); got != "bench:"+figures {
		t.Errorf("the line is  %q\nwant %q", got, "bench:"+figures)
	}
	o.queue = "classic"
	if got := o.line(warrenName); got != "bench-classic:"+figures {
		t.Errorf("the line of classic queues is %q", got)
	}
	if got := o.line(beforeName); !strings.HasPrefix(got, "bench-classic-before: unary64/lib - ") {
		t.Errorf("the line of a sidecar that was not measured is %q", got)
	}
}

func TestTheLinesForScriptsAreTheLast(t *testing.T) {
	t.Parallel()
	quorum, classic := measured(stream, [2]float64{100, 90}), measured(stream, [2]float64{100, 50})
	quorum.valid[0][beforeName] = measure.Sample{Rate: 30, Sidecar: 18}
	var out strings.Builder
	printAll(&out, []outcome{{queue: "quorum", results: []*result{quorum}}, {queue: "classic", results: []*result{classic}, idle: []idleSample{{1, 30, 9, 60}, {0.5, 31, 10, 40}, {0.75, 29, 8, 50}}}}, 170*time.Nanosecond, true)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for i, want := range []string{"bench-before: ", "bench: ", "bench-classic: "} {
		if got := lines[len(lines)-3+i]; !strings.HasPrefix(got, want) {
			t.Errorf("line %d from the end is %q, want %s", 3-i, got, want)
		}
	}
	for _, want := range []string{
		"stream: warren/before 3.00 (3.00-3.00), p50 -, p99 -, sidecar CPU 0.50 (9.0 µs, before 18.0 µs)",
		"idle: classic cpu_ms_per_s 0.75 rss_mb 30.0 anonymous_mb 9.0 ready_ms 50\n",
		"quorum queues, lib's CPU µs a message: stream 30.0; an empty system call takes 0.17 µs",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, out.String())
		}
	}
}

func TestLatenciesAtAFixedRateAreCompared(t *testing.T) {
	t.Parallel()
	r := &result{workload: fixed("rate200", 200)}
	r.add(round{libName: {P50: time.Millisecond, P99: 4 * time.Millisecond, P999: time.Second}, warrenName: {P50: 2 * time.Millisecond, P99: 5 * time.Millisecond, P999: time.Second}})
	var out strings.Builder
	(&outcome{queue: "quorum", results: []*result{r}}).latencies(&out)
	if want := "rate200: warren/lib p50 2.00 p99 1.25 p99.9 1.00\n"; out.String() != want {
		t.Errorf("it says %q, want %q", out.String(), want)
	}
}

func TestARoundIsVoidForForeignCPUOnly(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		round round
		void  bool
	}{
		{round{libName: {Foreign: 0.25}, warrenName: {}}, false},
		{round{libName: {Foreign: 0.1}, warrenName: {Foreign: 0.26}, beforeName: {}}, true},
		{round{libName: {Driver: 900, Rate: 1}, warrenName: {Rate: 1e6}}, false}, // however odd the figures are
	} {
		if got := c.round.void(); got != c.void {
			t.Errorf("%+v is void: %t", c.round, got)
		}
	}
}

func TestAVoidRoundCountsOnlyWhenThereIsNoOther(t *testing.T) {
	t.Parallel()
	r := &result{workload: unary64}
	r.add(round{libName: {Rate: 100}, warrenName: {Rate: 10, Foreign: 0.5}})
	if got := r.ratio(warrenName, libName, rate).Median; got != 0.1 || !strings.HasPrefix(r.fault(), "unary64: in each of 1 rounds") {
		t.Errorf("ratio %v, fault %q", got, r.fault())
	}
	r.add(round{libName: {Rate: 100}, warrenName: {Rate: 80}})
	if got := r.ratio(warrenName, libName, rate).Median; got != 0.8 || r.fault() != "" {
		t.Errorf("ratio %v, fault %q", got, r.fault())
	}
}

func TestFlagsChangeWhatPresetsSay(t *testing.T) {
	t.Parallel()
	quick, err := parse([]string{"-quick"}, t.Output())
	if err != nil || len(quick.plans) != 2 || quick.plans[0].queue != "quorum" || quick.plans[0].rounds != 5 ||
		quick.plans[1].queue != "classic" || quick.plans[1].rounds != 3 || len(quick.plans[0].workloads) != 4 || quick.socket != "unix" {
		t.Errorf("quick is %+v, %v", quick, err)
	}
	full, err := parse([]string{"-workloads", "drain,unary16", "-rounds", "2", "-seconds", "0.1", "-queue", "classic"}, t.Output())
	if err != nil || len(full.plans) != 1 {
		t.Fatalf("full is %+v, %v", full, err)
	}
	var names []string
	for _, w := range full.plans[0].workloads {
		names = append(names, w.Name)
	}
	if full.plans[0].rounds != 2 || full.phases.Measured != 100*time.Millisecond || full.phases.Warmup > full.phases.Measured || !slices.Equal(names, []string{"drain", "unary16"}) {
		t.Errorf("full is %+v", full)
	}
	curves, err := parse([]string{"-curves", "-curve", "sizes,nodes", "-queue", "classic"}, t.Output())
	if err != nil || !slices.Equal(curves.curves, []string{"sizes", "nodes"}) || len(curves.plans) != 1 || curves.plans[0].queue != "classic" {
		t.Errorf("curves are %+v, %v", curves, err)
	}
	for _, bad := range []string{"-socket=pipe", "-queue=stream", "-workloads=unary2", "-curve=height", "-dapr=50001"} {
		if o, err := parse([]string{bad}, t.Output()); err == nil {
			t.Errorf("%s is accepted as %+v", bad, o)
		}
	}
}

func TestShapesOfAPairTellEveryDifference(t *testing.T) {
	t.Parallel()
	a := map[string]string{"exchange": "e", "header ce-id": "a string of 5 bytes"}
	if got := unequal(a, map[string]string{"exchange": "e", "header ce-id": "a string of 5 bytes"}); got != "" {
		t.Errorf("equal shapes differ: %s", got)
	}
	want := `header ce-id is "a string of 5 bytes" of warren and "" of lib, header x is "" of warren and "bool" of lib`
	if got := unequal(a, map[string]string{"exchange": "e", "header x": "bool"}); got != want {
		t.Errorf("the difference is %s\nwant %s", got, want)
	}
}

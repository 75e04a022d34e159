package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/warrenmesh/warren/internal/localbroker"
	"github.com/warrenmesh/warren/test/bench/internal/dapr"
	"github.com/warrenmesh/warren/test/bench/internal/measure"
)

// options of a run.
type options struct {
	sidecar, before, controlplane string
	url                           string // of the broker
	socket                        string // unix or tcp
	repeats                       int    // at most so many void rounds of a workload are measured again
	phases                        measure.Options
	prefetch                      int
	plans                         []plan
	profiles                      string           // directory; "" means none are taken
	dapr                          dapr.Options     // without an address there is no Dapr
	curves                        []string         // names; none means that plans are run
	cluster                       string           // directory of the broker with several nodes
	want                          localbroker.Want // which RabbitMQ those nodes are
}

// plan is what is compared with one type of queue.
type plan struct {
	queue     string // quorum or classic
	rounds    int
	workloads []workload
	share     time.Duration // for a workload and each of its targets: a round that would take longer does not begin
}

// prefetch is the subscription's, for all targets.
const prefetch = 256

// quick measures for 80 s, so that it fits into two minutes with the start of all
// programs. A busy machine starts them more slowly, and measures fewer rounds.
func quick() options {
	return options{
		phases: measure.Options{Measured: 700 * time.Millisecond, Warmup: 200 * time.Millisecond, Drain: 12_000},
		plans:  []plan{{"quorum", 5, inLine, 6200 * time.Millisecond}, {"classic", 3, inLine, 3800 * time.Millisecond}},
	}
}

func full() options {
	return options{
		phases: measure.Options{Measured: 3 * time.Second, Warmup: 500 * time.Millisecond, Drain: 60_000},
		plans:  []plan{{"quorum", 5, allWorkloads, time.Minute}, {"classic", 5, inLine, time.Minute}},
	}
}

func forCurves() options {
	return options{
		phases: measure.Options{Measured: 1500 * time.Millisecond, Warmup: 300 * time.Millisecond, Drain: 1},
		plans:  []plan{{"quorum", 3, []workload{endToEnd}, time.Minute}},
	}
}

// parse reads the command line. Flags override the preset.
func parse(args []string, stderr io.Writer) (options, error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	isQuick := flags.Bool("quick", false, "measure the four workloads of the last lines, shortly")
	isCurves := flags.Bool("curves", false, "measure end to end while one thing grows, instead of the workloads")
	curves := flags.String("curve", "", "comma-separated `names` of curves for -curves, out of "+strings.Join(curveNames(), ", "))
	sidecar := flags.String("sidecar", ".run/bench/sidecar", "`path` of the sidecar to measure")
	before := flags.String("before", "", "`path` of another sidecar to measure in the same rounds")
	controlplane := flags.String("controlplane", ".run/bench/controlplane", "`path` of the control plane")
	socket := flags.String("socket", "unix", "how services reach their sidecar: unix or tcp")
	queue := flags.String("queue", "", "type of the queues: quorum or classic (default both)")
	rounds := flags.Int("rounds", 0, "rounds of each workload (default 5; 3 on classic queues with -quick, and of each point of a curve)")
	repeats := flags.Int("repeats", 3, "how many void rounds of a workload are measured again")
	seconds := flags.Float64("seconds", 0, "measured seconds of a publishing phase (default 3; 0.7 with -quick, 1.5 with -curves)")
	messages := flags.Int("drain", 0, "messages of a drain (default 60000; 12000 with -quick)")
	workloads := flags.String("workloads", "", "comma-separated `names` out of "+strings.Join(workloadNames(), ", "))
	profiles := flags.String("profile", "", "`directory` for CPU profiles of the sidecars, taken instead of figures")
	var d dapr.Options
	flags.StringVar(&d.Address, "dapr", "", "`host:port` of the gRPC API of a Dapr sidecar to compare with")
	flags.StringVar(&d.PubSub, "dapr-pubsub", "pubsub", "`name` of its pub/sub component")
	flags.StringVar(&d.Topic, "dapr-topic", "bench", "`topic` to publish to and subscribe to")
	flags.StringVar(&d.Queue, "dapr-queue", "bench-bench", "`queue` of the subscription: its component's consumerID, a hyphen, the topic")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	o := full()
	switch {
	case *isCurves:
		o = forCurves()
	case *isQuick:
		o = quick()
	}
	o.sidecar, o.before, o.controlplane, o.socket, o.profiles, o.dapr = *sidecar, *before, *controlplane, *socket, *profiles, d
	o.prefetch, o.repeats, o.cluster = prefetch, *repeats, ".run/rabbitmq-bench-cluster"
	for i := range o.plans {
		if *rounds > 0 {
			o.plans[i].share *= time.Duration(max(1, (*rounds+o.plans[i].rounds-1)/o.plans[i].rounds))
			o.plans[i].rounds = *rounds
		}
	}
	if *seconds > 0 {
		more := time.Duration(*seconds*float64(time.Second)) - o.phases.Measured
		o.phases.Measured += more
		for i := range o.plans {
			o.plans[i].share += max(more, 0) * time.Duration(o.plans[i].rounds)
		}
		o.phases.Warmup = min(o.phases.Warmup, o.phases.Measured)
	}
	if *messages > 0 {
		o.phases.Drain = *messages
	}
	if *isCurves {
		o.curves = curveNames()
	}
	return o, o.choose(*queue, *workloads, *curves)
}

// choose selects queues, workloads and curves, and checks the flags that have few
// allowed values.
func (o *options) choose(queue, names, curves string) error {
	if !slices.Contains([]string{"unix", "tcp"}, o.socket) {
		return fmt.Errorf("-socket is %q, want unix or tcp", o.socket)
	}
	if o.dapr.Address != "" {
		if _, _, err := net.SplitHostPort(o.dapr.Address); err != nil {
			return fmt.Errorf("-dapr: %w", err)
		}
	}
	if queue != "" {
		if !slices.Contains([]string{"quorum", "classic"}, queue) {
			return fmt.Errorf("-queue is %q, want quorum or classic", queue)
		}
		if len(o.curves) > 0 {
			o.plans[0].queue = queue
		}
		o.plans = slices.DeleteFunc(o.plans, func(p plan) bool { return p.queue != queue })
	}
	var chosen []workload
	for name := range strings.FieldsFuncSeq(names, comma) {
		w, ok := find(name)
		if !ok {
			return fmt.Errorf("-workloads: there is no %q", name)
		}
		chosen = append(chosen, w)
	}
	for i := range o.plans {
		if len(chosen) > 0 {
			o.plans[i].workloads = chosen
		}
	}
	if curves != "" {
		o.curves = strings.Split(curves, ",")
	}
	for _, name := range o.curves {
		if !slices.Contains(curveNames(), name) {
			return fmt.Errorf("-curve: there is no %q", name)
		}
	}
	return nil
}

func comma(r rune) bool { return r == ',' }

func workloadNames() (names []string) {
	for _, w := range allWorkloads {
		names = append(names, w.Name)
	}
	return names
}

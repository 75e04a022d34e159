package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/warrenmesh/warren/internal/localbroker"
	"github.com/warrenmesh/warren/test/bench/internal/measure"
	"github.com/warrenmesh/warren/test/bench/internal/mesh"
)

// curve is one thing that grows while all else stays. What is measured is end to end, so
// that both sidecars work and no queue fills.
type curve struct {
	name   string
	points []int
	mesh   func(n int, o *mesh.Options)     // changes the sidecars; nil: they stay
	load   func(n int, w *measure.Workload) // changes the load; nil: it stays
}

// nodesCurve has a broker of its own for each point but the first.
const nodesCurve = "nodes"

// maxFlight bounds the bytes in flight of large bodies, and leastWindow the window of one
// of many streams.
const (
	maxFlight   = 16 << 20
	leastWindow = 4
	streamsFull = 1024 // unconfirmed on all streams together
)

var allCurves = []curve{
	{name: "topics", points: []int{1, 10, 100, 500, 2000}, mesh: func(n int, o *mesh.Options) { o.Topics = n }},
	{name: "routes", points: []int{1, 10, 100, 500, 2000}, mesh: func(n int, o *mesh.Options) { o.Rules = n }},
	{name: "subscriptions", points: []int{1, 10, 100, 500}, mesh: func(n int, o *mesh.Options) { o.Subscriptions = n }},
	{name: "streams", points: []int{1, 4, 16, 64, 256}, load: func(n int, w *measure.Workload) {
		w.Streams, w.N = n, max(streamsFull/n, leastWindow)
	}},
	{name: "sizes", points: []int{100, 1 << 10, 10 << 10, 100 << 10, 1 << 20}, load: func(n int, w *measure.Workload) {
		w.Size, w.N = n, min(w.N, maxFlight/n)
	}},
	{name: "partitions", points: []int{1, 4, 16}, mesh: func(n int, o *mesh.Options) { o.Partitions = n }},
	{name: nodesCurve, points: []int{1, 3}},
}

func curveNames() (names []string) {
	for _, c := range allCurves {
		names = append(names, c.name)
	}
	return names
}

// point is what was measured at one value.
type point struct {
	curve string
	n     int
	began time.Duration // how long the sidecars and their control plane took to start
	*result
}

// runCurves measures every curve in turn. A point is compared with lib in the same
// rounds, because the machine drifts from one point to the next.
func (s *session) runCurves(ctx context.Context) (points []point, err error) {
	opened := len(s.closers)
	defer func() { err = errors.Join(err, s.closeTo(opened)) }()
	c := &comparison{session: s, plan: s.opts.plans[0]}
	if err := c.open(ctx); err != nil {
		return nil, err
	}
	for _, curve := range allCurves {
		if !slices.Contains(s.opts.curves, curve.name) {
			continue
		}
		for _, n := range curve.points {
			p, err := c.point(ctx, curve, n)
			if err != nil {
				return points, fmt.Errorf("%s %d: %w", curve.name, n, err)
			}
			points = append(points, p)
		}
	}
	return points, nil
}

func (c *comparison) point(ctx context.Context, curve curve, n int) (p point, err error) {
	if curve.name == nodesCurve && n > 1 {
		return c.clustered(ctx, n)
	}
	opened := len(c.closers)
	defer func() { err = errors.Join(err, c.closeTo(opened)) }()
	w, start := endToEnd, time.Now()
	if curve.load != nil {
		curve.load(n, &w.Workload)
	}
	// Sidecars of its own, so that their memory is not that of the point before.
	target, err := c.openMesh(ctx, warrenName, c.opts.sidecar, c.plan.queue, func(o *mesh.Options) {
		if curve.mesh != nil {
			curve.mesh(n, o)
		}
	})
	if err != nil {
		return p, err
	}
	began := time.Since(start)
	w.Name = fmt.Sprintf("%s=%d", curve.name, n)
	r, err := c.rounds(ctx, w, []*running{c.lib, target})
	return point{curve: curve.name, n: n, began: began, result: r}, err
}

// clustered measures on a broker of n nodes, which runs for this point alone.
func (c *comparison) clustered(ctx context.Context, n int) (p point, err error) {
	cluster, err := localbroker.StartCluster(ctx, localbroker.Options{
		Dir: c.opts.cluster, Want: c.opts.want, Report: func(line string) { _, _ = fmt.Fprintln(c.say, line) },
	}, n)
	if err != nil {
		return p, err
	}
	defer cluster.Stop()
	s, err := openSession(c.opts, cluster.Members[0].URL(), c.say)
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	for _, m := range cluster.Members {
		pid, err := m.PID()
		if err != nil {
			return p, err
		}
		s.meter.AddBroker(pid)
		s.nodes = append(s.nodes, m.Address())
	}
	s.meter.Add(c.warren.Publisher, c.warren.Subscriber, c.warren.mesh.ControlPlane()) // idle meanwhile
	on := &comparison{session: s, plan: c.plan}
	start := time.Now()
	if err := on.open(ctx); err != nil {
		return p, err
	}
	began := time.Since(start)
	w := endToEnd
	w.Name = fmt.Sprintf("%s=%d", nodesCurve, n)
	r, err := on.rounds(ctx, w, []*running{on.lib, on.warren})
	return point{curve: nodesCurve, n: n, began: began, result: r}, err
}

// printCurves writes the table of all points.
func printCurves(w io.Writer, points []point) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(tw, "curve\tn\tlib msgs/s\twarren msgs/s\t/lib\tp50 ms\tp99 ms\tsidecar µs\tbroker µs\tRSS MB\tstart s\t")
	for _, p := range points {
		of := func(pick func(measure.Sample) float64) float64 { return p.median(warrenName, pick) }
		_, _ = fmt.Fprintf(tw, "%s\t%d\t%.0f\t%.0f\t%.2f\t%.2f\t%.2f\t%.1f\t%.1f\t%.0f\t%s\t\n", p.curve, p.n, p.median(libName, rate), of(rate),
			p.ratio(warrenName, libName, rate).Median, of(p50), of(p99), of(sidecar), of(broker), of(memory), fmt.Sprintf("%.1f", p.began.Seconds()))
	}
	_ = tw.Flush()
	for _, p := range points {
		if why := p.fault(); why != "" {
			_, _ = fmt.Fprintln(w, "void:", why)
		}
	}
}

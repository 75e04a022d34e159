package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/warrenmesh/warren/test/bench/internal/measure"
)

// Names of the targets, and the order in which a round measures and a table shows them.
const (
	libName    = "lib"
	warrenName = "warren"
	beforeName = "before" // the sidecar of -before
	baseName   = "base"   // warren as it is in the workload without the variant
	daprName   = "dapr"
)

var targetNames = []string{libName, warrenName, baseName, beforeName, daprName}

// comparison compares targets by one plan.
type comparison struct {
	*session
	plan plan

	lib, warren, before, dapr *running // before and dapr may be nil
}

// compare opens the targets of a plan, measures all workloads, and closes the targets.
func (s *session) compare(ctx context.Context, p plan) (out outcome, err error) {
	opened := len(s.closers)
	defer func() { err = errors.Join(err, s.closeTo(opened)) }()
	c := &comparison{session: s, plan: p}
	out.queue = p.queue
	if err := c.open(ctx); err != nil {
		return out, err
	}
	for _, w := range p.workloads {
		if w.Name == idleName {
			if out.idle, err = c.idle(ctx); err != nil {
				return out, err
			}
			continue
		}
		r, err := c.workload(ctx, w)
		if err != nil {
			return out, err
		}
		out.results = append(out.results, r)
	}
	return out, nil
}

func (c *comparison) open(ctx context.Context) (err error) {
	if c.warren, err = c.openMesh(ctx, warrenName, c.opts.sidecar, c.plan.queue, nil); err != nil {
		return err
	}
	if c.lib, err = c.openLib(c.warren); err != nil {
		return err
	}
	if err := c.fair(ctx, c.warren, c.lib); err != nil {
		return err
	}
	if c.opts.before != "" {
		if c.before, err = c.openMesh(ctx, beforeName, c.opts.before, c.plan.queue, nil); err != nil {
			return err
		}
	}
	if c.opts.dapr.Address != "" {
		c.dapr, err = c.openDapr(ctx)
	}
	return err
}

// workload measures one workload in rounds. A variant has meshes of its own, which run
// only for it.
func (c *comparison) workload(ctx context.Context, w workload) (r *result, err error) {
	opened := len(c.closers)
	defer func() { err = errors.Join(err, c.closeTo(opened)) }()
	targets, err := c.targets(ctx, w)
	if err != nil {
		return nil, err
	}
	return c.rounds(ctx, w, targets)
}

// targets are those that take part in a workload, in the order of a round.
func (c *comparison) targets(ctx context.Context, w workload) ([]*running, error) {
	targets := []*running{c.lib}
	if w.variant == plain {
		targets = append(targets, c.warren)
		if c.before != nil {
			targets = append(targets, c.before)
		}
		if c.dapr != nil && w.Rate == 0 && w.Kind != measure.Stream {
			targets = append(targets, c.dapr)
		}
		return targets, nil
	}
	varied, err := c.openMesh(ctx, warrenName, c.opts.sidecar, c.plan.queue, w.variant.apply)
	if err != nil {
		return nil, err
	}
	base := *c.warren.Target
	base.Name = baseName
	targets = append(targets, varied, &running{Target: &base, mesh: c.warren.mesh})
	if c.opts.before == "" {
		return targets, nil
	}
	before, err := c.openMesh(ctx, beforeName, c.opts.before, c.plan.queue, w.variant.apply)
	return append(targets, before), err
}

// roundOf measures each target once.
func (s *session) roundOf(ctx context.Context, w workload, targets []*running) (round, error) {
	out := round{}
	for _, t := range targets {
		sample, err := s.phases.Measure(ctx, t.Target, w.Workload)
		if err != nil {
			return nil, err
		}
		out[t.Name] = sample
	}
	return out, nil
}

// rounds measures as many rounds as the plan says, or as its time allows, but one. A void
// round is measured again while there is time.
func (c *comparison) rounds(ctx context.Context, w workload, targets []*running) (*result, error) {
	r := &result{workload: w}
	end := time.Now().Add(c.plan.share * time.Duration(len(targets)))
	for n, repeats := 1, 0; n <= c.plan.rounds; {
		begin := time.Now()
		round, err := c.roundOf(ctx, w, targets)
		if err != nil {
			return nil, err
		}
		r.add(round)
		c.report(w, n, round, targets)
		if now := time.Now(); now.Add(now.Sub(begin)).After(end) {
			break // the next one would take as long
		}
		if round.void() && repeats < c.opts.repeats {
			repeats++
			continue
		}
		n++
	}
	return r, nil
}

// report prints one round.
func (c *comparison) report(w workload, n int, round round, targets []*running) {
	_, _ = fmt.Fprintf(c.say, "%-7s %-10s round %d:", c.plan.queue, w.Name, n)
	for _, t := range targets {
		if w.Rate > 0 {
			_, _ = fmt.Fprintf(c.say, "  %s p50 %.2f ms p99 %.2f ms", t.Name, p50(round[t.Name]), p99(round[t.Name]))
			continue
		}
		_, _ = fmt.Fprintf(c.say, "  %s %.0f/s", t.Name, round[t.Name].Rate)
	}
	if round.void() {
		_, _ = fmt.Fprintf(c.say, "  void: %.2f cores were busy with something else", round.foreign())
	}
	_, _ = fmt.Fprintln(c.say)
}

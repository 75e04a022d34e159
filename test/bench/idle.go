package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/warrenmesh/warren/test/bench/internal/proc"
	"github.com/warrenmesh/warren/test/bench/internal/stat"
)

// idleName is a workload without messages: what a sidecar costs while nothing happens, and
// how long it takes to start. There is nothing to compare it with.
const idleName = "idle"

// settle is how long a sidecar is left alone before it is measured, so that what its start
// leaves behind is done.
const settle = 3 * time.Second

// idleSample is one measurement of the sidecar beside the subscriber.
type idleSample struct {
	cpu            float64 // milliseconds of CPU in a second
	rss, anonymous float64 // MB
	ready          float64 // milliseconds from exec to ready, with the last good file alone
}

// idle measures a sidecar with one open stream of deliveries that has nothing to do: each
// round as long as a publishing phase. Then it stops the control plane and starts the
// sidecar again, once for each round.
func (c *comparison) idle(ctx context.Context) (samples []idleSample, err error) {
	opened := len(c.closers)
	defer func() { err = errors.Join(err, c.closeTo(opened)) }()
	t, err := c.openMesh(ctx, warrenName, c.opts.sidecar, c.plan.queue, nil) // one that has not worked
	if err != nil {
		return nil, err
	}
	release, err := t.mesh.Hold(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	if err := rest(ctx, settle); err != nil {
		return nil, err
	}
	for range c.plan.rounds {
		s, err := c.watchIdle(ctx, t.mesh.Subscriber())
		if err != nil {
			return nil, err
		}
		samples = append(samples, s)
	}
	release()
	c.meter.Remove(t.mesh.ControlPlane(), t.mesh.Subscriber())
	t.mesh.StopControlPlane()
	for i := range samples {
		took, err := t.mesh.Restart(ctx)
		if err != nil {
			return nil, err
		}
		samples[i].ready = float64(took) / float64(time.Millisecond)
		s := samples[i]
		_, _ = fmt.Fprintf(c.say, "%-7s %-10s round %d:  CPU %.2f ms/s  RSS %.1f MB, anonymous %.1f MB  ready after %.0f ms\n",
			c.plan.queue, idleName, i+1, s.cpu, s.rss, s.anonymous, s.ready)
	}
	return samples, nil
}

// watchIdle measures CPU and memory of one round.
func (c *comparison) watchIdle(ctx context.Context, pid int) (s idleSample, err error) {
	began := time.Now()
	before, err := proc.CPU(pid)
	if err != nil {
		return s, err
	}
	if err := rest(ctx, c.opts.phases.Measured); err != nil {
		return s, err
	}
	after, err := proc.CPU(pid)
	if err != nil {
		return s, err
	}
	rss, anonymous, err := proc.Memory(pid)
	s.cpu = float64(after-before) / float64(time.Millisecond) / time.Since(began).Seconds()
	s.rss, s.anonymous = float64(rss)/(1<<20), float64(anonymous)/(1<<20)
	return s, err
}

// rest waits for d, or returns why ctx ended.
func rest(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// printIdle writes the medians.
func printIdle(w io.Writer, queue string, samples []idleSample) {
	of := func(pick func(idleSample) float64) float64 {
		values := make([]float64, 0, len(samples))
		for _, s := range samples {
			values = append(values, pick(s))
		}
		return stat.Median(values)
	}
	_, _ = fmt.Fprintf(w, "idle: %s cpu_ms_per_s %.2f rss_mb %.1f anonymous_mb %.1f ready_ms %.0f\n", queue,
		of(func(s idleSample) float64 { return s.cpu }), of(func(s idleSample) float64 { return s.rss }),
		of(func(s idleSample) float64 { return s.anonymous }), of(func(s idleSample) float64 { return s.ready }))
}

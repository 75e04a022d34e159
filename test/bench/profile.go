package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// takeProfiles runs each workload of a plan once while the sidecars are profiled.
func (s *session) takeProfiles(ctx context.Context, p plan) (err error) {
	opened := len(s.closers)
	defer func() { err = errors.Join(err, s.closeTo(opened)) }()
	if err := os.MkdirAll(s.opts.profiles, 0o755); err != nil { //nolint:gosec // for everybody to read
		return fmt.Errorf("make the directory of profiles: %w", err)
	}
	c := &comparison{session: s, plan: p}
	if err := c.open(ctx); err != nil {
		return err
	}
	for _, w := range p.workloads {
		if w.Name == idleName {
			continue // there is nothing to see in it
		}
		if err := c.profileWorkload(ctx, w); err != nil {
			return err
		}
	}
	return nil
}

func (c *comparison) profileWorkload(ctx context.Context, w workload) (err error) {
	opened := len(c.closers)
	defer func() { err = errors.Join(err, c.closeTo(opened)) }()
	targets, err := c.targets(ctx, w)
	if err != nil {
		return err
	}
	for _, t := range targets {
		if t.mesh == nil || t.Name == baseName {
			continue
		}
		if err := c.profile(ctx, w, t); err != nil {
			return err
		}
	}
	return nil
}

// profile profiles the measured part of one phase.
func (c *comparison) profile(ctx context.Context, w workload, t *running) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	prefix := filepath.Join(c.opts.profiles, c.plan.queue+"-"+w.Name+"-"+t.Name+"-")
	var profiling sync.WaitGroup
	var profileErr error
	defer func() {
		if err != nil {
			cancel() // the rest of the profile is not needed
		}
		profiling.Wait()
		cancel()
		err = errors.Join(err, profileErr)
	}()
	c.phases.Begin = func() {
		profiling.Go(func() { profileErr = t.mesh.Profile(ctx, prefix, max(int(c.opts.phases.Measured/time.Second), 1)) })
	}
	s, err := c.phases.Measure(ctx, t.Target, w.Workload)
	if err == nil {
		_, _ = fmt.Fprintf(c.say, "%-7s %-10s %s: %.0f/s while profiled, in %s*.pprof\n", c.plan.queue, w.Name, t.Name, s.Rate, prefix)
	}
	return err
}

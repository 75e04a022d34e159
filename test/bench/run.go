package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/test/bench/internal/lib"
	"github.com/warrenmesh/warren/test/bench/internal/mesh"
)

// Names of the targets.
const (
	libName    = "lib"
	warrenName = "warren"
	beforeName = "before"
)

// maxForeign is how many cores other processes may use in a phase.
const maxForeign = 0.25

// runner compares the targets.
type runner struct {
	opts    options
	say     io.Writer // progress for the user
	phases  phases
	targets []*target // lib is first, warren second
	closers []func() error
	began   time.Time
}

// open starts and connects all targets.
func (r *runner) open(ctx context.Context) error {
	meter, err := newMeter(r.opts.url)
	if err != nil {
		return err
	}
	conn, err := amqp.Dial(r.opts.url)
	if err != nil {
		return fmt.Errorf("dial the broker: %w", err)
	}
	r.closers = append(r.closers, conn.Close)
	queues, err := conn.Channel()
	if err != nil {
		return fmt.Errorf("open channel: %w", err)
	}
	r.phases = phases{opts: &r.opts, meter: meter, queue: queues}
	name := "bench-" + strings.ToLower(rand.Text()[:8])
	if err := r.openLib(name + "-lib"); err != nil {
		return err
	}
	if err := r.openMesh(ctx, warrenName, name+"-warren", r.opts.sidecar); err != nil {
		return err
	}
	if r.opts.before == "" {
		return nil
	}
	return r.openMesh(ctx, beforeName, name+"-before", r.opts.before)
}

func (r *runner) openLib(name string) error {
	t, err := lib.Open(lib.Options{URL: r.opts.url, Exchange: name, Queue: name, QueueType: r.opts.queue, Prefetch: r.opts.prefetch})
	if err != nil {
		return err
	}
	r.closers = append(r.closers, t.Close)
	r.targets = append(r.targets, &target{Target: t, name: libName, queue: name})
	return nil
}

func (r *runner) openMesh(ctx context.Context, as, name, sidecar string) error {
	dir, err := os.MkdirTemp("", "warren")
	if err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	r.closers = append(r.closers, func() error { return os.RemoveAll(dir) })
	m, err := mesh.Start(ctx, mesh.Options{
		Name: name, URL: r.opts.url, Sidecar: sidecar, ControlPlane: r.opts.controlplane,
		Socket: r.opts.socket, QueueType: r.opts.queue, Prefetch: r.opts.prefetch, Dir: dir,
	})
	if err != nil {
		return err
	}
	r.closers = append(r.closers, m.Close)
	r.phases.meter.others = append(r.phases.meter.others, m.ControlPlane())
	r.targets = append(r.targets, &target{Target: m, name: as, queue: name, sidecars: m.PIDs(), mesh: m})
	return nil
}

// close undoes the steps of open in reverse order.
func (r *runner) close() error {
	var errs []error
	for i := len(r.closers) - 1; i >= 0; i-- {
		errs = append(errs, r.closers[i]())
	}
	return errors.Join(errs...)
}

// run measures every workload, or only takes profiles.
func (r *runner) run(ctx context.Context) ([]*result, error) {
	if r.opts.profiles != "" {
		return nil, r.takeProfiles(ctx)
	}
	r.began = time.Now()
	var results []*result
	for _, w := range r.opts.workloads {
		res, err := r.compare(ctx, w)
		if err != nil {
			return nil, err
		}
		results = append(results, res)
	}
	return results, nil
}

// compare measures one workload in rounds. Each target is measured once in each round.
func (r *runner) compare(ctx context.Context, w workload) (*result, error) {
	res := &result{workload: w, samples: map[string][]sample{}}
	for n := 1; n <= r.opts.rounds; {
		round, err := r.round(ctx, w)
		if err != nil {
			return nil, err
		}
		disturbed := round.foreign() > maxForeign
		r.report(w, n, round, disturbed)
		if disturbed && res.repeated < r.opts.repeats && time.Since(r.began) < r.opts.budget {
			res.repeated++
			continue
		}
		res.add(round, disturbed)
		n++
	}
	return res, nil
}

func (r *runner) round(ctx context.Context, w workload) (round, error) {
	out := round{}
	for _, t := range r.targets {
		s, err := r.phases.measure(ctx, t, w)
		if err != nil {
			return nil, err
		}
		out[t.name] = s
	}
	return out, nil
}

// report prints one round.
func (r *runner) report(w workload, n int, round round, disturbed bool) {
	_, _ = fmt.Fprintf(r.say, "%-8s round %d:", w.name, n)
	for _, t := range r.targets {
		_, _ = fmt.Fprintf(r.say, "  %s %.0f/s", t.name, round[t.name].rate)
	}
	if disturbed {
		_, _ = fmt.Fprintf(r.say, "  disturbed: %.2f cores were busy with something else", round.foreign())
	}
	_, _ = fmt.Fprintln(r.say)
}

// takeProfiles runs each workload once while the sidecars are profiled.
func (r *runner) takeProfiles(ctx context.Context) error {
	if err := os.MkdirAll(r.opts.profiles, 0o755); err != nil { //nolint:gosec // for everybody to read
		return fmt.Errorf("make the directory of profiles: %w", err)
	}
	for _, w := range r.opts.workloads {
		for _, t := range r.targets {
			if t.mesh == nil {
				continue
			}
			if err := r.profile(ctx, w, t); err != nil {
				return err
			}
		}
	}
	return nil
}

// profile profiles the measured part of one phase.
func (r *runner) profile(ctx context.Context, w workload, t *target) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	prefix := filepath.Join(r.opts.profiles, w.name+"-"+t.name+"-")
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
	r.phases.begin = func() {
		profiling.Go(func() { profileErr = t.mesh.Profile(ctx, prefix, max(int(r.opts.measured/time.Second), 1)) })
	}
	s, err := r.phases.measure(ctx, t, w)
	if err == nil {
		_, _ = fmt.Fprintf(r.say, "%-8s %s: %.0f/s while profiled, in %s*.pprof\n", w.name, t.name, s.rate, prefix)
	}
	return err
}

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

// bench runs the measurements one after another.
type bench struct {
	options

	out, progress io.Writer
}

// figures of one number of streams.
type figures struct {
	start, reconnect time.Duration
	all, ten         []time.Duration // sorted
	memory           int             // bytes a stream
	reconnectBytes   int64
}

func (b *bench) run(ctx context.Context) error {
	if b.quiet {
		b.progress = io.Discard
	}
	if b.reporting > 0 {
		for _, n := range b.streams {
			if err := b.reports(ctx, n); err != nil {
				return fmt.Errorf("%d sidecars: %w", n, err)
			}
		}
		return nil
	}
	if b.objects > 0 {
		if err := b.manyObjects(ctx); err != nil {
			return err
		}
	}
	var lines []string
	for _, n := range b.streams {
		f, err := b.measure(ctx, n)
		if err != nil {
			return fmt.Errorf("%d streams: %w", n, err)
		}
		fmt.Fprintf(b.out, "%d streams: all p50 %s, ten p50 %s, start %s, reconnect %s\n",
			n, ms(percentile(f.all, 50)), ms(percentile(f.ten, 50)), ms(f.start), ms(f.reconnect))
		lines = append(lines, fmt.Sprintf("xds: %d streams all_p99 %.1f ten_p99 %.1f mem_per_stream %.1f reconnect_bytes %d",
			n, millis(percentile(f.all, 99)), millis(percentile(f.ten, 99)), float64(f.memory)/1024, f.reconnectBytes))
	}
	for _, line := range lines {
		fmt.Fprintln(b.out, line)
	}
	return nil
}

// measure runs one number of streams against a control plane of its own, and against
// a server that only receives.
func (b *bench) measure(ctx context.Context, n int) (f figures, err error) {
	b.say("%d streams: memory of the transport", n)
	bare, err := b.transport(ctx, n)
	if err != nil {
		return f, err
	}
	dir, err := os.MkdirTemp("", "bench-xds-")
	if err != nil {
		return f, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	files := mesh{dir: dir, topics: n / users}
	if err := files.write(); err != nil {
		return f, err
	}
	s, err := startServer(ctx, dir)
	if err != nil {
		return f, err
	}
	defer s.stop()
	empty, err := s.ask("memory")
	if err != nil {
		return f, err
	}

	b.say("%d streams: cold start", n)
	streams := newFleet(n, files)
	defer streams.close()
	began := time.Now()
	if err := streams.connect(ctx, s.address); err != nil {
		return f, err
	}
	f.start = time.Since(began)
	if b.profile != "" {
		if _, err := s.ask("profile " + b.profile); err != nil {
			return f, err
		}
	}
	if f.all, err = b.change(ctx, s, streams, "all", func(i int) error { return files.change(sharedTopic, i) }, sharedTopic, n); err != nil {
		return f, err
	}
	if f.ten, err = b.change(ctx, s, streams, "ten", func(i int) error { return files.change(ownTopic(0), i) }, ownTopic(0), users); err != nil {
		return f, err
	}
	loaded, err := s.ask("memory")
	if err != nil {
		return f, err
	}
	own := loaded.above(empty, n)
	f.memory = own.memory() - bare.memory()
	b.say("%d streams: a stream takes %d bytes of heap and %d of stack, the transport %d and %d of them", n, own.Heap, own.Stack, bare.Heap, bare.Stack)

	b.say("%d streams: reconnect", n)
	streams.close()
	began = time.Now()
	if err := streams.connect(ctx, s.address); err != nil {
		return f, err
	}
	f.reconnect, f.reconnectBytes = time.Since(began), streams.bytes.Load()
	return f, nil
}

// transport returns the memory a stream takes of a server that only receives.
func (b *bench) transport(ctx context.Context, n int) (bare usage, err error) {
	s, err := startServer(ctx, "")
	if err != nil {
		return bare, err
	}
	defer s.stop()
	empty, err := s.ask("memory")
	if err != nil {
		return bare, err
	}
	streams := newFleet(n, mesh{topics: n / users})
	defer streams.close()
	if err := streams.connect(ctx, s.address); err != nil {
		return bare, err
	}
	loaded, err := s.ask("memory")
	return loaded.above(empty, n), err
}

// changes makes changes and returns, in order of size, how long each took until the
// last of n streams had acknowledged it.
func (b *bench) change(ctx context.Context, s *server, streams *fleet, what string, change func(i int) error, topic string, n int) ([]time.Duration, error) {
	var took []time.Duration
	before, err := s.ask("cpu")
	if err != nil {
		return nil, err
	}
	for i := range b.changes {
		if err := wait(ctx, b.pause); err != nil {
			return nil, err
		}
		done := streams.expect(topic, n)
		began := time.Now()
		if err := change(i); err != nil {
			return nil, err
		}
		last, err := streams.wait(ctx, done)
		if err != nil {
			return nil, fmt.Errorf("change %d of %s: %w", i+1, what, err)
		}
		took = append(took, last.Sub(began))
	}
	after, err := s.ask("cpu")
	if err != nil {
		return nil, err
	}
	slices.Sort(took)
	b.say("%d streams: %s p50 %s p99 %s, the control plane's CPU %s a change", len(streams.streams), what,
		ms(percentile(took, 50)), ms(percentile(took, 99)), ms((after.CPU-before.CPU)/time.Duration(len(took))))
	return took, nil
}

// manyObjects measures one change among many objects with one stream, and what many
// rewrites of one file cost.
func (b *bench) manyObjects(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "bench-xds-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	files := mesh{dir: dir, topics: b.objects / 2}
	if err := files.write(); err != nil {
		return err
	}
	s, err := startServer(ctx, dir)
	if err != nil {
		return err
	}
	defer s.stop()
	streams := newFleet(1, files)
	defer streams.close()
	if err := streams.connect(ctx, s.address); err != nil {
		return err
	}
	took, err := b.change(ctx, s, streams, "one of many objects", func(i int) error { return files.change(sharedTopic, i) }, sharedTopic, 1)
	if err != nil {
		return err
	}
	before, err := s.ask("cpu")
	if err != nil {
		return err
	}
	const rewrites, over = 200, 5 * time.Second
	for i := range rewrites {
		if err := files.change(sharedTopic, i+100); err != nil {
			return err
		}
		if err := wait(ctx, over/rewrites); err != nil {
			return err
		}
	}
	after, err := s.ask("cpu")
	if err != nil {
		return err
	}
	fmt.Fprintf(b.out, "%d objects: one changed p50 %s p99 %s, %d rewrites in %s take %.2f cores\n", b.objects,
		ms(percentile(took, 50)), ms(percentile(took, 99)), rewrites, over, (after.CPU-before.CPU).Seconds()/over.Seconds())
	return nil
}

func (b *bench) say(format string, args ...any) { fmt.Fprintf(b.progress, format+"\n", args...) }

// percentile of sorted durations: the least that p percent do not exceed.
func percentile(sorted []time.Duration, p int) time.Duration {
	return sorted[(len(sorted)*p+99)/100-1]
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", millis(d)) }

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

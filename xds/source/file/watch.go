package file

import (
	"context"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/xds/source"
)

// Options of a Source.
type Options struct {
	// Dir is the directory to watch. It may come and go while Run runs.
	Dir string
	// Logger gets what is odd about watching; problems of the files go to the
	// callback instead. nil discards.
	Logger *slog.Logger
	// Quiet is how long the directory must be still before a run of changes is
	// taken as complete; default 20ms.
	Quiet time.Duration
	// Limit is the longest that changes are gathered; default 200ms. A set that takes
	// longer than a fifth of it to read and apply is gathered for five times as long,
	// though not over 5s: a storm of changes must not become one of pushes.
	Limit time.Duration
	// Poll is how often the directory is read without any notification: the
	// backstop for filesystems that send none; default 5s.
	Poll time.Duration
}

// Source is a watched directory. Use New.
type Source struct {
	opts Options

	// Owned by the goroutine of Run.
	last    digest // of what was handed on last
	handed  bool   // something was
	current map[v1alpha1.ObjectName]struct{}
	apply   func(source.Set, []source.Problem)
	memory  memory
	took    time.Duration // of the last read that handed something on
}

const (
	// applyShare bounds the part of a storm of changes that goes into applying them.
	applyShare = 5
	// maxLimit bounds what one read that was held up makes of that.
	maxLimit = 5 * time.Second
)

// limit is how long changes are gathered at most.
func (s *Source) limit() time.Duration { return max(s.opts.Limit, min(applyShare*s.took, maxLimit)) }

// New builds a source. Reading starts in Run.
func New(opts Options) *Source {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	setDefault(&opts.Quiet, 20*time.Millisecond)
	setDefault(&opts.Limit, 200*time.Millisecond)
	setDefault(&opts.Poll, 5*time.Second)
	return &Source{opts: opts}
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d <= 0 {
		*d = value
	}
}

// Run reads the directory, calls apply, and calls it again after each change of
// content until ctx ends; then it returns nil. apply runs on Run's goroutine and
// gets each content once, problems or not; what it does while problems stand is
// its own business. A rewrite with the same bytes is no change.
//
// The first change is read at once. When that shows a problem, or less than
// before, it may be half of a replacement: it waits until the directory has been
// still for Options.Quiet, as all that follows does, though not longer than
// Options.Limit.
//
// Run may be called once.
func (s *Source) Run(ctx context.Context, apply func(source.Set, []source.Problem)) error {
	s.apply = apply
	var events <-chan fsnotify.Event
	var failures <-chan error
	rewatch := func() {}
	if watcher, err := fsnotify.NewWatcher(); err != nil {
		s.opts.Logger.WarnContext(ctx, "cannot watch for changes, only polling", "error", err, "interval", s.opts.Poll)
	} else {
		defer watcher.Close()
		events, failures = watcher.Events, watcher.Errors
		// Adding a watch that exists changes nothing; one of a directory that was
		// replaced is renewed.
		rewatch = func() { _ = watcher.Add(s.opts.Dir) }
	}
	poll := time.NewTicker(s.opts.Poll)
	defer poll.Stop()
	// Watching comes before reading, so that no change falls between the two.
	rewatch()
	s.read(true)
	s.loop(ctx, inputs{events: events, failures: failures, poll: poll.C, rewatch: rewatch})
	return nil
}

// inputs are what wakes the loop.
type inputs struct {
	events   <-chan fsnotify.Event
	failures <-chan error
	poll     <-chan time.Time
	rewatch  func()
}

// loop gathers changes. It is idle until something changes, then gathers until
// the directory is still:
//
//	      change: read at once
//	idle ----------------------> gathering --+
//	  ^                            |   ^     | change: start Quiet anew
//	  +----------------------------+   +-----+ Limit: read, start Limit anew
//	     Quiet passed: read
func (s *Source) loop(ctx context.Context, in inputs) {
	var quiet, limit <-chan time.Time // nil while idle
	changed := func() {
		if quiet == nil {
			s.read(false)
			limit = time.After(s.limit())
		}
		quiet = time.After(s.opts.Quiet)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-in.events:
			if s.concerns(e) {
				changed()
			}
		case err := <-in.failures:
			// Most likely an overflow: events were lost, so look.
			s.opts.Logger.WarnContext(ctx, "watching for changes failed, reading again", "error", err)
			changed()
		case <-in.poll:
			in.rewatch()
			changed()
		case <-quiet:
			s.read(true)
			quiet, limit = nil, nil
		case <-limit:
			s.read(true)
			limit = time.After(s.limit())
		}
	}
}

// concerns tells whether an event may change what Load returns: a YAML file, the
// "..data" link that Kubernetes swaps in its volumes, or the directory itself.
func (s *Source) concerns(e fsnotify.Event) bool {
	if e.Op == fsnotify.Chmod {
		return false
	}
	name := filepath.Base(e.Name)
	return isYAML(name) || name == "..data" || filepath.Clean(e.Name) == filepath.Clean(s.opts.Dir)
}

// read hands the content on if it is new. Unless it is settled, content with
// problems or with less in it than before is left for the next read.
func (s *Source) read(settled bool) {
	began := time.Now()
	set, problems, sum := load(s.opts.Dir, &s.memory)
	set.Began, set.Read = began, time.Now()
	if s.handed && sum == s.last {
		return
	}
	if !settled && (len(problems) > 0 || s.lacks(set)) {
		return
	}
	s.last, s.handed = sum, true
	s.current = make(map[v1alpha1.ObjectName]struct{}, len(set.Objects))
	for i := range set.Objects {
		s.current[set.Objects[i].Name()] = struct{}{}
	}
	s.apply(set, problems)
	s.took = time.Since(began)
}

// lacks tells whether an object that was handed on is not in the set.
func (s *Source) lacks(set source.Set) bool {
	found := 0
	for i := range set.Objects {
		if _, ok := s.current[set.Objects[i].Name()]; ok {
			found++
		}
	}
	return found < len(s.current)
}

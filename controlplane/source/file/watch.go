package file

import (
	"context"
	"log/slog"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/warrenmesh/warren/controlplane/declare"
)

// Options of a Source.
type Options struct {
	// Dir is the directory to watch. It may come and go while Run runs.
	Dir string
	// Logger logs trouble with watching; problems of the files go to the callback. nil
	// discards.
	Logger *slog.Logger
	// Quiet is how long the directory must be still before a run of changes is
	// taken as complete; default 20ms.
	Quiet time.Duration
	// Limit is the longest that changes are gathered; default 200ms. A set that takes
	// longer than a fifth of it to read and apply is gathered for five times as long,
	// though not over 5s: a storm of changes must not become one of pushes.
	Limit time.Duration
	// Still is how long the content must stay the same before a set comes into force
	// that takes something away from what is in force; default 1s. Such a set may be
	// half of a replacement, and Limit does not shorten its wait.
	Still time.Duration
	// Waiting is called on Run's goroutine: with the losses of a set that begins to
	// wait for Still, and with nil when none waits any more. It may be nil.
	Waiting func([]Loss)
	// Poll is how often the directory is read without any notification: the
	// backstop for filesystems that send none; default 5s.
	Poll time.Duration
}

// Verdict is the decision about a set that was handed on.
type Verdict int

// The verdicts.
const (
	// Refused sets leave what was in force before.
	Refused Verdict = iota
	// RefusedYet is Refused for a temporary reason: the set is handed on again with
	// each poll, though nothing changes.
	RefusedYet
	// InForce sets are what the next ones are compared with.
	InForce
)

// Apply takes a set and decides about it.
type Apply func(declare.Set, []declare.Problem) Verdict

// Source is a watched directory. Use New.
type Source struct {
	opts Options

	// Owned by the goroutine of Run.
	apply   Apply
	memory  memory
	last    digest        // of what was handed on last
	handed  bool          // something was, and is not to be handed on again
	retry   bool          // the set handed on last was refused for a temporary reason
	inForce forms         // of the last set that came into force
	held    held          // a set that waits for Still
	took    time.Duration // of the last read that handed something on
}

const (
	// applyShare bounds the part of a storm of changes that goes into applying them.
	applyShare = 5
	// maxLimit bounds the delay that follows one slow read.
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
	setDefault(&opts.Still, time.Second)
	setDefault(&opts.Poll, 5*time.Second)
	if opts.Waiting == nil {
		opts.Waiting = func([]Loss) {}
	}
	return &Source{opts: opts}
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d <= 0 {
		*d = value
	}
}

// Run reads the directory, calls apply, and calls it again after each change of
// content until ctx ends; then it returns nil. apply runs on Run's goroutine and
// gets each content once, problems or not, unless it answers RefusedYet. A rewrite
// with the same bytes is no change.
//
// How long a change waits depends on what it may be half of:
//   - A set without problems that takes nothing away is handed on at once, and what
//     follows when the directory has been still for Options.Quiet, or at
//     Options.Limit.
//   - A set with problems waits for Quiet or Limit.
//   - A set without problems that takes something away (Loss) waits until its
//     content has been the same for Options.Still.
//
// Taken away is told by what is in force, which is the last set that apply answered
// with InForce: a set that was refused in between changes nothing about it.
//
// Run may be called once.
func (s *Source) Run(ctx context.Context, apply Apply) error {
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
	s.read(quiet)
	s.loop(ctx, inputs{events: events, failures: failures, poll: poll.C, rewatch: rewatch})
	return nil
}

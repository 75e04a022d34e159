package file

import (
	"context"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// inputs are what wakes the loop.
type inputs struct {
	events   <-chan fsnotify.Event
	failures <-chan error
	poll     <-chan time.Time
	rewatch  func()
}

// gatherer is the state of a loop: its timers are nil while nothing runs.
type gatherer struct {
	s                   *Source
	quiet, limit, still <-chan time.Time
}

// loop gathers changes. It is idle until something changes, then gathers until
// the directory is still:
//
//	      change: read at once
//	idle ----------------------> gathering --+
//	  ^                            |   ^     | change: start Quiet anew
//	  +----------------------------+   +-----+ Limit: read, start Limit anew
//	     Quiet passed: read
//
// Beside it runs the clock of a set that waits for Still. Each read that finds other
// content sets it anew, and a read at its end that finds the same hands it on.
func (s *Source) loop(ctx context.Context, in inputs) {
	g := &gatherer{s: s}
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-in.events:
			if s.concerns(e) {
				g.changed()
			}
		case err := <-in.failures:
			// Most likely an overflow: events were lost, so look.
			s.opts.Logger.WarnContext(ctx, "watching for changes failed, reading again", "error", err)
			g.changed()
		case <-in.poll:
			in.rewatch()
			s.again()
			g.changed()
		case <-g.quiet:
			g.quiet, g.limit = nil, nil
			g.read(quiet)
		case <-g.limit:
			g.limit = time.After(s.limit())
			g.read(quiet)
		case <-g.still:
			g.read(quiet)
		}
	}
}

func (g *gatherer) changed() {
	if g.quiet == nil {
		g.read(atOnce)
		g.limit = time.After(g.s.limit())
	}
	g.quiet = time.After(g.s.opts.Quiet)
}

// read also sets the clock of what waits for Still by what was found.
func (g *gatherer) read(m moment) {
	g.s.read(m)
	g.still = nil
	if g.s.held.waits {
		g.still = time.After(time.Until(g.s.held.since.Add(g.s.opts.Still)))
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

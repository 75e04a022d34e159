package delta

import (
	"time"

	"github.com/warrenmesh/warren/tracing/tracecontext"
)

// traceWindow is how long after a change its pushes belong to the change's trace.
// A sidecar that connects later gets the same resources for a reason of its own.
const traceWindow = time.Minute

// Change is why a resource got its version, or was removed.
type Change struct {
	Cause   tracecontext.Hop
	Version string // of the configuration that the change made

	held held // absent when it was removed
	at   time.Time
}

// Trace notes why resources have changed since old, and keeps what old knew of recent
// changes that still stand. It is called before v is served. The first view is no change.
func (v *View) Trace(old *View, changed []Key, cause tracecontext.Hop, now time.Time) {
	v.changes = map[Key]Change{}
	for k, c := range old.changes {
		if now.Sub(c.at) < traceWindow && v.heldOf(k) == c.held {
			v.changes[k] = c
		}
	}
	if cause == (tracecontext.Hop{}) {
		return
	}
	for _, k := range changed {
		if is := v.heldOf(k); is != old.heldOf(k) {
			v.changes[k] = Change{cause, v.version, is, now}
		}
	}
}

func (v *View) heldOf(k Key) held {
	if version := v.VersionOf(k); version != "" {
		return held{version, present}
	}
	return held{state: absent}
}

// CauseOf returns the newest recent change that made a response necessary. It returns
// the zero Change when none did: the sidecar asked by itself.
func (v *View) CauseOf(d *Difference, now time.Time) (newest Change) {
	if len(v.changes) == 0 {
		return Change{}
	}
	consider := func(k Key, is held) {
		c, found := v.changes[k]
		if found && c.held == is && now.Sub(c.at) < traceWindow && !c.at.Before(newest.at) {
			newest = c
		}
	}
	for _, e := range d.Changed {
		consider(e.Key, held{e.Version, present})
	}
	for _, name := range d.Removed {
		consider(KeyOf(d.TypeURL, name), held{state: absent})
	}
	return newest
}

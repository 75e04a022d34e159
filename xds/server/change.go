package server

import (
	"time"

	"github.com/warrenmesh/warren/tracing/tracecontext"
)

// traceWindow is how long after a change its pushes belong to the change's trace.
// A sidecar that connects later gets the same resources for a reason of its own.
const traceWindow = time.Minute

// change is why a resource got its version, or was removed.
type change struct {
	held   held // absent when it was removed
	at     time.Time
	cause  tracecontext.Hop
	config string // version of the configuration that the change made
}

// trace notes why resources have changed since old, and keeps what old knew of recent
// changes that still stand. The first view is no change.
func (v *view) trace(old *view, changed []key, from View, now time.Time) {
	v.changes = map[key]change{}
	for k, c := range old.changes {
		if now.Sub(c.at) < traceWindow && v.heldOf(k) == c.held {
			v.changes[k] = c
		}
	}
	if from.Cause == (tracecontext.Hop{}) {
		return
	}
	for _, k := range changed {
		if is := v.heldOf(k); is != old.heldOf(k) {
			v.changes[k] = change{is, now, from.Cause, from.Version}
		}
	}
}

func (v *view) heldOf(k key) held {
	if version := v.versionOf(k); version != "" {
		return held{version, present}
	}
	return held{state: absent}
}

// causeOf returns the newest recent change that made a response necessary. It returns
// false when no change did: the sidecar asked by itself.
func (v *view) causeOf(d *difference, now time.Time) (newest change, ok bool) {
	if len(v.changes) == 0 {
		return change{}, false
	}
	consider := func(k key, is held) {
		c, found := v.changes[k]
		if found && c.held == is && now.Sub(c.at) < traceWindow && !c.at.Before(newest.at) {
			newest, ok = c, true
		}
	}
	for _, e := range d.changed {
		consider(e.key, held{e.version, present})
	}
	for _, name := range d.removed {
		consider(keyOf(d.typeURL, name), held{state: absent})
	}
	return newest, ok
}

package server

import (
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

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

// changesSince tells what v has other than old, and keeps what old told of recent
// changes that still stand. The first view is no change.
func (v *view) changesSince(old *view, cause tracecontext.Hop, config string, now time.Time) {
	v.changes = map[key]change{}
	if old == nil {
		return
	}
	for k, c := range old.changes {
		if now.Sub(c.at) < traceWindow && v.heldOf(k) == c.held {
			v.changes[k] = c
		}
	}
	if cause == (tracecontext.Hop{}) {
		return
	}
	for k, version := range v.versions {
		if is := (held{version, present}); old.heldOf(k) != is {
			v.changes[k] = change{is, now, cause, config}
		}
	}
	for k := range old.versions {
		if _, ok := v.versions[k]; !ok {
			v.changes[k] = change{held{state: absent}, now, cause, config}
		}
	}
}

func (v *view) heldOf(k key) held {
	if version, ok := v.versions[k]; ok {
		return held{version, present}
	}
	return held{state: absent}
}

// causeOf returns the newest recent change that made a response necessary. It returns
// false when no change did: the sidecar asked by itself.
func (v *view) causeOf(resp *discoveryv3.DeltaDiscoveryResponse, now time.Time) (newest change, ok bool) {
	if v == nil || len(v.changes) == 0 {
		return change{}, false
	}
	consider := func(name string, is held) {
		c, found := v.changes[key{resp.GetTypeUrl(), name}]
		if found && c.held == is && now.Sub(c.at) < traceWindow && !c.at.Before(newest.at) {
			newest, ok = c, true
		}
	}
	for _, r := range resp.GetResources() {
		consider(r.GetName(), held{r.GetVersion(), present})
	}
	for _, name := range resp.GetRemovedResources() {
		consider(name, held{state: absent})
	}
	return newest, ok
}

package server

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	cachev3 "github.com/envoyproxy/go-control-plane/pkg/cache/v3"

	"github.com/warrenmesh/warren/xds"
)

// cache is one immutable view and the watches that wait for the next.
type cache struct {
	mu      sync.Mutex
	view    *view               // nil until the first update; guarded by mu
	watches map[*watch]struct{} // open ones; guarded by mu
}

func newCache() *cache { return &cache{watches: map[*watch]struct{}{}} }

// pushOrder is the order of types in which one update is told to one stream: what
// is referred to goes first.
var pushOrder = []string{xds.TypeCluster, xds.TypeEndpoint, xds.TypeListener, xds.TypeRoute}

// served tells whether there are resources of a type.
func served(typeURL string) bool { return slices.Contains(pushOrder, typeURL) }

// update swaps the view and wakes the watches that lack something of it.
func (c *cache) update(from View, now time.Time) {
	v := newView(from)
	c.mu.Lock()
	v.follow(c.view)
	v.changesSince(c.view, from.Cause, from.Version, now)
	c.view = v
	open := make([]*watch, 0, len(c.watches))
	for w := range c.watches {
		open = append(open, w)
	}
	c.mu.Unlock()
	slices.SortFunc(open, func(a, b *watch) int {
		return cmp.Compare(slices.Index(pushOrder, a.sub.typeURL), slices.Index(pushOrder, b.sub.typeURL))
	})
	for _, w := range open {
		w.wake(v)
	}
}

// current returns the view, or nil before the first update.
func (c *cache) current() *view {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.view
}

// add opens w and returns the view it opened on: an update sees the watch, or the
// watch sees the update.
func (c *cache) add(w *watch) *view {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watches[w] = struct{}{}
	return c.view
}

func (c *cache) remove(w *watch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.watches, w)
}

// watcher is the library's cache interface for one stream.
type watcher struct{ stream *stream }

var _ cachev3.ConfigWatcher = (*watcher)(nil)

// CreateDeltaWatch opens a watch. The library calls it for each request of a
// stream, after it has cancelled the type's last watch. A type that is not served
// is never answered. What is subscribed is in the stream's own state.
func (c *watcher) CreateDeltaWatch(req *cachev3.DeltaRequest, _ cachev3.Subscription, out chan cachev3.DeltaResponse) (func(), error) {
	if !served(req.GetTypeUrl()) {
		return nil, nil
	}
	w := &watch{stream: c.stream, cache: c.stream.server.cache, req: req, out: out, sub: c.stream.subscribed(req.GetTypeUrl())}
	w.wake(w.cache.add(w))
	return w.cancel, nil
}

// CreateWatch refuses a state-of-the-world watch.
func (c *watcher) CreateWatch(*cachev3.Request, cachev3.Subscription, chan cachev3.Response) (func(), error) {
	return nil, errDeltaOnly
}

// watch is one type of one stream, between a request and the response to it. It is
// also that response, worked out only when the stream sends it.
//
//	open ──wake──▶ sent ──▶ the stream works out the difference
//	  │ ▲             │
//	  │ └─ none ──────┤
//	  └─────cancel────┴──▶ cancelled: nothing to say
type watch struct {
	// Set at construction.
	stream *stream
	cache  *cache
	req    *discoveryv3.DeltaDiscoveryRequest
	out    chan<- cachev3.DeltaResponse

	// Guarded by the stream's mu.
	sub             *subscription
	sent, cancelled bool
}

var _ cachev3.DeltaResponse = (*watch)(nil)

// wake leaves a note in the stream's mailbox if the watch is open and lacks
// something of v.
func (w *watch) wake(v *view) {
	w.stream.mu.Lock()
	defer w.stream.mu.Unlock()
	if w.sent || w.cancelled || !w.sub.due && !v.stale(w.sub) {
		return
	}
	w.sent = true
	w.cache.remove(w)
	// It never blocks: the library makes out with room for 2 responses of each of its
	// types. A stream has at most one open watch of each type served, and one
	// cancelled that had already been sent. The stream's mu keeps the library from
	// closing out meanwhile: it cancels all watches first.
	w.out <- w
}

func (w *watch) cancel() {
	w.stream.mu.Lock()
	defer w.stream.mu.Unlock()
	w.cancelled = true
	w.cache.remove(w)
}

// GetDeltaDiscoveryResponse works out the difference to the current view, or the
// part of it that a response may hold: the rest follows with the watch of the answer.
// The library calls it once, on the stream's goroutine. After a request came in
// between it says nothing, for the watch of that request will; nor when there is
// nothing to say any more.
func (w *watch) GetDeltaDiscoveryResponse() (*discoveryv3.DeltaDiscoveryResponse, error) {
	resp, none := w.difference()
	if none {
		w.stream.mute = true
		w.wake(w.cache.add(w))
	}
	return resp, nil
}

func (w *watch) difference() (resp *discoveryv3.DeltaDiscoveryResponse, none bool) {
	w.stream.mu.Lock()
	defer w.stream.mu.Unlock()
	d := &difference{}
	if w.cancelled {
		w.stream.mute = true
		return d.response(w.sub.typeURL), false
	}
	if d = w.cache.current().diff(w.sub); d.empty() && !w.sub.due {
		w.sent = false
		return d.response(w.sub.typeURL), true
	}
	w.sub.due = false
	d.apply(w.sub)
	return d.response(w.sub.typeURL), false
}

// GetDeltaRequest returns the request the watch answers.
func (w *watch) GetDeltaRequest() *discoveryv3.DeltaDiscoveryRequest { return w.req }

// GetReturnedResources returns nothing: the stream's own state has what the sidecar
// knows.
func (w *watch) GetReturnedResources() map[string]string { return nil }

// GetNextVersionMap is GetReturnedResources by its old name, which the library
// still uses.
func (w *watch) GetNextVersionMap() map[string]string { return nil }

// GetResponseVersion returns "": versions are of resources.
func (w *watch) GetResponseVersion() string { return "" }

// GetSystemVersion is GetResponseVersion by its old name.
func (w *watch) GetSystemVersion() (string, error) { return "", nil }

// GetContext returns the empty context.
func (w *watch) GetContext() context.Context { return context.Background() }

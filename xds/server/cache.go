package server

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	cachev3 "github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/warrenmesh/warren/xds"
)

var errDeltaOnly = status.Error(codes.Unimplemented, "state-of-the-world xDS is not served: use delta (DeltaAggregatedResources)")

// cache is the library's cache interface over one immutable view.
type cache struct {
	mu      sync.Mutex
	view    *view               // nil until the first update; guarded by mu
	watches map[*watch]struct{} // open ones; guarded by mu
}

var _ cachev3.Cache = (*cache)(nil)

func newCache() *cache { return &cache{watches: map[*watch]struct{}{}} }

// pushOrder is the order of types in which one update is told to one stream: what
// is referred to goes first.
var pushOrder = []string{xds.TypeCluster, xds.TypeEndpoint, xds.TypeListener, xds.TypeRoute}

// update swaps the view and wakes the watches that lack something of it.
func (c *cache) update(from View, now time.Time) {
	v := newView(from)
	c.mu.Lock()
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

// CreateDeltaWatch opens a watch. The library calls it for each request of a
// stream, after it has cancelled the type's last watch. A type that is not served
// is never answered.
func (c *cache) CreateDeltaWatch(req *cachev3.DeltaRequest, sub cachev3.Subscription, out chan cachev3.DeltaResponse) (func(), error) {
	if !slices.Contains(pushOrder, req.GetTypeUrl()) {
		return nil, nil
	}
	node, err := xds.ParseNode(req.GetNode())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	w := &watch{
		cache: c,
		req:   req,
		out:   out,
		lib:   sub,
		sub: subscription{
			typeURL:  req.GetTypeUrl(),
			names:    sub.SubscribedResources(),
			wildcard: sub.IsWildcard(),
			node:     node,
			known:    sub.ReturnedResources(),
		},
	}
	v := c.add(w)
	if slices.Contains(req.GetResourceNamesSubscribe(), wildcard) {
		// Answered even with nothing, so that the sidecar knows there is nothing.
		w.send()
	} else {
		w.wake(v)
	}
	return w.cancel, nil
}

// CreateWatch refuses a state-of-the-world watch.
func (c *cache) CreateWatch(*cachev3.Request, cachev3.Subscription, chan cachev3.Response) (func(), error) {
	return nil, errDeltaOnly
}

// Fetch refuses a state-of-the-world poll.
func (c *cache) Fetch(context.Context, *cachev3.Request) (cachev3.Response, error) {
	return nil, errDeltaOnly
}

// watch is one type of one stream, between a request and the response to it. It is
// also that response, worked out only when the stream sends it.
//
//	open ──wake──▶ sent ──▶ the stream works out the difference
//	  └─────cancel────┴──▶ cancelled: nothing to say
type watch struct {
	// Set at construction. The library changes the maps in sub, but only after it
	// has cancelled the watch.
	cache *cache
	req   *discoveryv3.DeltaDiscoveryRequest
	out   chan<- cachev3.DeltaResponse
	lib   cachev3.Subscription
	sub   subscription

	mu        sync.Mutex
	sent      bool // guarded by mu
	cancelled bool // guarded by mu

	known map[string]string // used by the stream's goroutine alone
}

var _ cachev3.DeltaResponse = (*watch)(nil)

// wake leaves a note in the stream's mailbox if the watch is open and lacks
// something of v.
func (w *watch) wake(v *view) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.sent && !w.cancelled && v.stale(&w.sub) {
		w.sendLocked()
	}
}

func (w *watch) send() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sendLocked()
}

// sendLocked never blocks: the library makes out with room for 2 responses of each
// of its types. A stream has at most one open watch of each type served, and one
// cancelled that had already been sent. w.mu keeps the library from closing out
// meanwhile: it cancels all watches first.
func (w *watch) sendLocked() {
	w.sent = true
	w.cache.remove(w)
	w.out <- w
}

func (w *watch) cancel() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cancelled = true
	w.cache.remove(w)
}

// GetDeltaDiscoveryResponse works out the difference to the current view. The
// library calls it once, on the stream's goroutine. After a request came in between
// it says nothing: the watch of that request will.
func (w *watch) GetDeltaDiscoveryResponse() (*discoveryv3.DeltaDiscoveryResponse, error) {
	out := &discoveryv3.DeltaDiscoveryResponse{TypeUrl: w.sub.typeURL}
	w.mu.Lock()
	cancelled := w.cancelled
	w.mu.Unlock()
	if cancelled {
		w.known = w.lib.ReturnedResources()
		return out, nil
	}
	d := w.cache.current().diff(&w.sub)
	out.Resources, out.RemovedResources, w.known = d.changed, d.removed, d.known
	return out, nil
}

// GetDeltaRequest returns the request the watch answers.
func (w *watch) GetDeltaRequest() *discoveryv3.DeltaDiscoveryRequest { return w.req }

// GetReturnedResources returns what the sidecar knows once it has the response.
func (w *watch) GetReturnedResources() map[string]string { return w.known }

// GetNextVersionMap is GetReturnedResources by its old name, which the library
// still uses.
func (w *watch) GetNextVersionMap() map[string]string { return w.known }

// GetResponseVersion returns "": versions are of resources.
func (w *watch) GetResponseVersion() string { return "" }

// GetSystemVersion is GetResponseVersion by its old name.
func (w *watch) GetSystemVersion() (string, error) { return "", nil }

// GetContext returns the empty context.
func (w *watch) GetContext() context.Context { return context.Background() }

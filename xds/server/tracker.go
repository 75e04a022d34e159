package server

import (
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/warrenmesh/warren/tracing"
	"github.com/warrenmesh/warren/xds"
)

// tracker keeps the ACK state of every stream.
type tracker struct {
	logger  *slog.Logger
	now     func() time.Time
	tracing *tracing.Configuration

	mu      sync.Mutex
	streams map[int64]*stream   // by the library's stream id; guarded by mu
	changed chan struct{}       // nil when nobody waits; guarded by mu
	traffic map[string]*Traffic // by type URL; guarded by mu
}

func newTracker(o Options) *tracker {
	return &tracker{logger: o.Logger, now: o.Now, tracing: o.Tracing, streams: map[int64]*stream{}, traffic: map[string]*Traffic{}}
}

func (t *tracker) opened(id int64, peer string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.streams[id] = &stream{
		id:          id,
		peer:        peer,
		connectedAt: t.now(),
		now:         t.now,
		resources:   map[key]*ResourceState{},
		named:       map[key]struct{}{},
	}
}

func (t *tracker) closed(id int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.streams[id]
	delete(t.streams, id)
	if s == nil {
		return
	}
	s.hangUp()
	if s.node.ID != "" {
		t.logger.Info("sidecar disconnected", "node", s.node.ID, "peer", s.peer)
		t.notify()
	}
}

// requested takes in a request: the node, what is subscribed, what the sidecar
// still has from an earlier stream, and its verdict on a response.
func (t *tracker) requested(id int64, req *discoveryv3.DeltaDiscoveryRequest) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.streams[id]
	if s == nil {
		return nil
	}
	if s.node.ID == "" {
		node, err := xds.ParseNode(req.GetNode())
		if err != nil {
			return err
		}
		s.node = node
		t.logger.Info("sidecar connected", "node", node.ID, "namespace", node.Namespace, "peer", s.peer)
	}
	s.subscribe(req)
	t.countAnswer(s, req)
	for _, r := range s.settle(req) {
		t.logger.Warn("resource rejected", "node", s.node.ID, "type", r.TypeURL, "resource", r.Name, "version", r.Version, "error", r.Error)
	}
	t.notify()
	return nil
}

// responded takes note of a response about to be sent. One that a change made due
// gets a span, whose context travels in its resources' metadata.
func (t *tracker) responded(id int64, resp *discoveryv3.DeltaDiscoveryResponse, cause change) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.streams[id]; s != nil {
		t.countPush(resp.GetTypeUrl())
		s.record(resp, t.startPush(s, resp, cause))
		t.notify()
	}
}

// notify is called with mu held.
func (t *tracker) notify() {
	if t.changed != nil {
		close(t.changed)
		t.changed = nil
	}
}

func (t *tracker) changes() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.changed == nil {
		t.changed = make(chan struct{})
	}
	return t.changed
}

func (t *tracker) sidecars() []Sidecar {
	t.mu.Lock()
	defer t.mu.Unlock()
	newest := map[string]*stream{}
	for _, s := range t.streams {
		if old := newest[s.node.ID]; s.node.ID != "" && (old == nil || old.id < s.id) {
			newest[s.node.ID] = s
		}
	}
	out := make([]Sidecar, 0, len(newest))
	for _, id := range slices.Sorted(maps.Keys(newest)) {
		out = append(out, newest[id].sidecar())
	}
	return out
}

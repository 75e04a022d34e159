package server

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/warrenmesh/warren/xds"
)

// stream is one connection's state. It has its own lock, so that a busy stream does
// not block others.
type stream struct {
	// Set at construction.
	server      *Server
	peer        string
	host        string // peer without the port
	connectedAt time.Time
	spoke       *time.Timer // runs until the first request
	id          int64       // in the order of arrival; set by admission

	mute bool // the next response is kept back; the stream's goroutine alone

	mu         sync.Mutex
	node       xds.Node // of the first request; zero until then
	types      map[string]struct{}
	subs       map[string]*subscription // by type URL; of types that are served
	counted    int                      // names that admission knows of
	resources  map[key]*ResourceState
	unanswered []response // oldest first
}

type key struct{ typeURL, name string }

func (s *Server) newStream(ctx context.Context) *stream {
	st := &stream{
		server: s, connectedAt: s.now(),
		types: map[string]struct{}{}, subs: map[string]*subscription{}, resources: map[key]*ResourceState{},
	}
	st.peer, st.host = peerOf(ctx)
	return st
}

// close releases everything the stream holds.
func (s *stream) close() {
	s.mu.Lock()
	s.hangUp()
	known, names := s.node.ID, s.counted
	s.mu.Unlock()
	s.server.admission.leave(s, names)
	if known != "" {
		s.server.logger.Info("sidecar disconnected", "node", known, "peer", s.peer)
		s.server.changed.notify()
	}
}

// requested processes a request: the node (first request only), the subscriptions,
// what the sidecar still has from an earlier stream, and its ACK or NACK of a
// response. An error, which is a gRPC status, ends the stream.
func (s *stream) requested(req *discoveryv3.DeltaDiscoveryRequest) error {
	rejected, err := s.takeIn(req)
	if err != nil {
		return err
	}
	s.tell(rejected)
	s.server.changed.notify()
	return nil
}

func (s *stream) takeIn(req *discoveryv3.DeltaDiscoveryRequest) (rejected []ResourceState, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.node.ID == "" {
		if err := s.introduce(req); err != nil {
			return nil, err
		}
	}
	if err := s.subscribe(req); err != nil {
		return nil, err
	}
	return s.answer(req), nil
}

// introduce takes the node of the first request. "Only the first message on the stream
// is guaranteed to carry the node identifier" (discovery.proto): what later ones carry
// may be a part of it and is not looked at.
func (s *stream) introduce(req *discoveryv3.DeltaDiscoveryRequest) error {
	node, err := xds.ParseNode(req.GetNode())
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	s.spoke.Stop()
	s.node = node
	s.server.logger.Info("sidecar connected", "node", node.ID, "namespace", node.Namespace, "peer", s.peer)
	return nil
}

// subscribe applies all of a request's subscriptions, or none of them.
func (s *stream) subscribe(req *discoveryv3.DeltaDiscoveryRequest) error {
	typeURL := req.GetTypeUrl()
	if err := s.countType(typeURL); err != nil || !served(typeURL) {
		return err
	}
	sub, known := s.subs[typeURL]
	if !known {
		sub = newSubscription(typeURL, s.node)
	}
	if err := sub.check(req, s.server.admission.limits.Names); err != nil {
		return err
	}
	was := len(sub.names)
	sub.change(req, !known)
	s.subs[typeURL] = sub
	s.counted += len(sub.names) - was
	if err := s.server.admission.take(s, len(sub.names)-was); err != nil {
		s.counted -= len(sub.names) - was
		return err
	}
	s.recall(sub, req, !known)
	return nil
}

func (s *stream) countType(typeURL string) error {
	if _, known := s.types[typeURL]; known {
		return nil
	}
	switch {
	case len(typeURL) > maxTypeBytes:
		return status.Errorf(codes.InvalidArgument, "a type URL has %d bytes: want at most %d", len(typeURL), maxTypeBytes)
	case len(s.types) == maxTypes:
		return status.Errorf(codes.ResourceExhausted, "the stream asks for more than %d types, which is this control plane's limit", maxTypes)
	}
	s.types[typeURL] = struct{}{}
	return nil
}

// recall keeps the states of resources in step with the subscriptions.
func (s *stream) recall(sub *subscription, req *discoveryv3.DeltaDiscoveryRequest, first bool) {
	if first {
		for name, version := range req.GetInitialResourceVersions() {
			if sub.wants(name) && len(version) <= maxVersionBytes {
				*s.state(key{sub.typeURL, name}) = ResourceState{TypeURL: sub.typeURL, Name: name, Version: version, Acked: version, State: Acked, Since: s.server.now()}
			}
		}
	}
	for _, name := range req.GetResourceNamesUnsubscribe() {
		if name != wildcard {
			delete(s.resources, key{sub.typeURL, name})
			continue
		}
		maps.DeleteFunc(s.resources, func(k key, _ *ResourceState) bool { return k.typeURL == sub.typeURL && !sub.wants(k.name) })
	}
}

// subscribed returns the subscription of a type that is served, once there was a
// request for it.
func (s *stream) subscribed(typeURL string) *subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.subs[typeURL]
}

func (s *stream) state(k key) *ResourceState {
	if s.resources[k] == nil {
		s.resources[k] = &ResourceState{TypeURL: k.typeURL, Name: k.name}
	}
	return s.resources[k]
}

// sidecar returns what is known of the stream, false before its first request.
func (s *stream) sidecar() (Sidecar, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := Sidecar{Node: s.node, Peer: s.peer, ConnectedAt: s.connectedAt, Resources: make([]ResourceState, 0, len(s.resources))}
	for _, r := range s.resources {
		out.Resources = append(out.Resources, *r)
	}
	return out, s.node.ID != ""
}

// sidecars lists the connected sidecars by id, then by arrival.
func (s *Server) sidecars() []Sidecar {
	streams := s.admission.open()
	slices.SortFunc(streams, func(a, b *stream) int { return cmp.Compare(a.id, b.id) })
	out := make([]Sidecar, 0, len(streams))
	for _, st := range streams {
		if sidecar, introduced := st.sidecar(); introduced {
			sortResources(sidecar.Resources)
			out = append(out, sidecar)
		}
	}
	slices.SortStableFunc(out, func(a, b Sidecar) int { return cmp.Compare(a.Node.ID, b.Node.ID) })
	return out
}

func sortResources(resources []ResourceState) {
	types := xds.TypeURLs()
	slices.SortFunc(resources, func(a, b ResourceState) int {
		return cmp.Or(cmp.Compare(slices.Index(types, a.TypeURL), slices.Index(types, b.TypeURL)), cmp.Compare(a.Name, b.Name))
	})
}

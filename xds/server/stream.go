package server

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/server/internal/delta"
)

// stream is one connection's state. It has its own lock, so that a busy stream does
// not block others.
type stream struct {
	// Set at construction.
	server      *Server
	peer        string
	host        string // peer without the port
	connectedAt time.Time
	id          int64         // in the order of arrival; set by admission
	mailbox     chan struct{} // holds a token while something may be due
	on          *connection   // nil on a server without ServerOptions
	ended       <-chan struct{}

	mu         sync.Mutex
	closed     bool
	node       xds.Node // of the first request; zero until then
	subs       [len(delta.Types)]*delta.Subscription
	unserved   []string              // type URLs asked for
	due        []*delta.Subscription // that may have something to say, in the order of their turns
	counted    int                   // names that admission knows of
	nonce      uint64                // of the last response
	unanswered []response            // oldest first
}

func (s *Server) newStream(ctx context.Context) *stream {
	st := &stream{server: s, connectedAt: s.now(), mailbox: make(chan struct{}, 1), ended: ctx.Done()}
	st.on, _ = ctx.Value(connectionKey{}).(*connection)
	st.peer, st.host = peerOf(ctx)
	return st
}

// close releases everything the stream holds.
func (s *stream) close() {
	s.on.leave(s)
	s.mu.Lock()
	s.hangUp()
	known, names := s.node.ID, s.counted
	s.forget()
	s.mu.Unlock()
	s.server.admission.leave(s, names)
	if known != "" {
		s.server.logger.Info("sidecar disconnected", "node", known, "peer", s.peer)
		s.server.changed.notify()
	}
}

// forget leaves the index and all groups. mu is held.
func (s *stream) forget() {
	s.closed = true
	counts := s.unasked()
	var used []delta.Key
	for kind, sub := range s.subs {
		if sub == nil {
			continue
		}
		for name, named := range sub.Rows() {
			k := delta.Key{Kind: int8(kind), Name: name} //nolint:gosec // there are few
			if counts = append(counts, k); named {
				used = append(used, k)
			}
		}
	}
	s.recount(counts...)
	s.server.cache.leave(s, s.node.Namespace, used)
}

// unasked lists the Listeners that are for the stream without its asking. mu is held.
func (s *stream) unasked() []delta.Key {
	v := s.server.cache.current.Load()
	var out []delta.Key
	for _, k := range v.Scoped(s.node.Namespace) {
		if v.Concerns(k, &s.node) {
			out = append(out, k)
		}
	}
	return out
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
	s.node = node
	s.on.introduce(s)
	s.server.cache.introduce(s, node.Namespace)
	s.recount(s.unasked()...)
	s.server.logger.Info("sidecar connected", "node", node.ID, "namespace", node.Namespace, "peer", s.peer)
	return nil
}

// subscribe applies all of a request's subscriptions, or none of them.
func (s *stream) subscribe(req *discoveryv3.DeltaDiscoveryRequest) error {
	typeURL := req.GetTypeUrl()
	kind := delta.KindOf(typeURL)
	if err := s.countType(typeURL); err != nil || kind < 0 {
		return err // a type that is not served is never answered
	}
	sub, known := s.subs[kind], s.subs[kind] != nil
	if !known {
		sub = delta.NewSubscription(typeURL, &s.node)
	}
	if err := sub.Check(req, s.server.admission.limits.Names); err != nil {
		return err
	}
	was := sub.Named()
	added, removed := sub.Change(req, !known)
	s.subs[kind] = sub
	// Before a view is looked at: an update sees the names, or they see the update.
	s.server.cache.use(s, kind, added, removed)
	more := sub.Named() - was
	if err := s.server.admission.take(s, more); err != nil {
		return err
	}
	s.counted += more
	var counts []delta.Key
	for _, name := range sub.Recall(req, !known, s.server.now()) {
		counts = append(counts, delta.Key{Kind: kind, Name: name})
	}
	s.recount(counts...)
	sub.Open()
	s.enqueue(sub)
	return nil
}

// countType bounds the types that a stream asks for, those that are not served included.
func (s *stream) countType(typeURL string) error {
	kind, types := delta.KindOf(typeURL), len(s.unserved)
	for _, sub := range s.subs {
		if sub != nil {
			types++
		}
	}
	switch {
	case kind >= 0 && s.subs[kind] != nil || slices.Contains(s.unserved, typeURL):
		return nil
	case typeURL == "":
		return status.Error(codes.InvalidArgument, "type URL is required for ADS")
	case len(typeURL) > maxTypeBytes:
		return status.Errorf(codes.InvalidArgument, "a type URL has %d bytes: want at most %d", len(typeURL), maxTypeBytes)
	case types == maxTypes:
		return status.Errorf(codes.ResourceExhausted, "the stream asks for more than %d types, which is this control plane's limit", maxTypes)
	case kind < 0:
		s.unserved = append(s.unserved, typeURL)
	}
	return nil
}

// look notes which resources the stream may have to be told of.
func (s *stream) look(changed []delta.Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	for _, k := range changed {
		if k.Kind < 0 {
			continue
		}
		if sub := s.subs[k.Kind]; sub != nil {
			sub.Look(k.Name)
			s.enqueue(sub)
		}
	}
}

// enqueue gives a subscription its turn, if it needs one. mu is held.
func (s *stream) enqueue(sub *delta.Subscription) {
	if !sub.Queue() {
		return
	}
	s.due = append(s.due, sub)
	select {
	case s.mailbox <- struct{}{}:
	default: // it will look anyway
	}
}

// next returns the next response, nil when there is none. It is sent before next is
// called again.
func (s *stream) next() (*delta.Message, error) {
	m, err := s.turn()
	if m != nil {
		s.server.changed.notify()
	}
	return m, err
}

func (s *stream) turn() (*delta.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.due) > 0 {
		sub := s.due[0]
		if s.due = slices.Delete(s.due, 0, 1); len(s.due) == 0 {
			s.due = nil
		}
		v := s.server.cache.current.Load().View
		if d := sub.Turn(v); d != nil {
			return s.respond(v, sub, d)
		}
	}
	return nil, nil
}

// status of a resource at the sidecar, nil when it has none. mu is held.
func (s *stream) status(k delta.Key) *delta.Status {
	if k.Kind < 0 || s.subs[k.Kind] == nil {
		return nil
	}
	return s.subs[k.Kind].Status(k.Name)
}

// sidecar returns what is known of the stream, false before its first request.
func (s *stream) sidecar() (Sidecar, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := Sidecar{Node: s.node, Stream: s.id, Peer: s.peer, ConnectedAt: s.connectedAt}
	for _, typeURL := range xds.TypeURLs() {
		sub := s.subs[delta.KindOf(typeURL)]
		if sub == nil {
			continue
		}
		first := len(out.Resources)
		for name := range sub.Rows() {
			if is := sub.Status(name); is != nil {
				out.Resources = append(out.Resources, resourceState(typeURL, name, is))
			}
		}
		slices.SortFunc(out.Resources[first:], func(a, b ResourceState) int { return strings.Compare(a.Name, b.Name) })
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
			out = append(out, sidecar)
		}
	}
	slices.SortStableFunc(out, func(a, b Sidecar) int { return cmp.Compare(a.Node.ID, b.Node.ID) })
	return out
}

package server

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/warrenmesh/warren/xds/server/internal/delta"
)

// Limits bound what unauthenticated peers can make the server hold. A zero field means
// its default, a negative one no bound.
type Limits struct {
	// Streams in all; default 10,000.
	Streams int
	// StreamsPerPeer are those from one address, without its port; default 1,000.
	// All clients of a unix socket are one peer, as are those behind one NAT.
	StreamsPerPeer int
	// Names of each type that one stream may subscribe to; default 10,000. The
	// wildcard is none.
	Names int
	// NamesPerPeer bounds the names of all streams of one peer; default 100,000.
	NamesPerPeer int
	// FirstRequest is how long a stream may take to say who it is; default 10 s.
	FirstRequest time.Duration
}

// WithDefaults returns l with its zero fields set.
func (l Limits) WithDefaults() Limits {
	for _, d := range []struct {
		field *int
		value int
	}{{&l.Streams, 10_000}, {&l.StreamsPerPeer, 1_000}, {&l.Names, 10_000}, {&l.NamesPerPeer, 100_000}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if l.FirstRequest <= 0 {
		l.FirstRequest = 10 * time.Second
	}
	return l
}

const (
	// MaxResourceBytes is the largest resource that can be served. A response is not
	// split within a resource, and Warren's sidecars receive 16 MiB at most.
	MaxResourceBytes = 15 << 20
	// maxRequestBytes is gRPC's default. The first request of a type with 10,000 names
	// and their versions has about 1 MiB.
	maxRequestBytes = 4 << 20
	// maxTypes bounds the type URLs of one stream, those that are not served included.
	maxTypes     = 16
	maxTypeBytes = 256
	// maxErrorBytes bounds the reason that is kept of a sidecar's NACK.
	maxErrorBytes = 1 << 10
	// maxLoggedRejections bounds the lines that one refused response logs.
	maxLoggedRejections = 10
)

// admission counts connected streams and decides which may connect.
type admission struct {
	limits Limits
	logger *slog.Logger

	mu      sync.Mutex
	next    int64
	streams map[*stream]struct{}
	peers   map[string]*usage // by address without port
	refused uint64            // since the last line was logged
	logged  time.Time
}

// usage is what the streams of one peer hold together.
type usage struct{ streams, names int }

func newAdmission(limits Limits, logger *slog.Logger) *admission {
	return &admission{limits: limits.WithDefaults(), logger: logger, streams: map[*stream]struct{}{}, peers: map[string]*usage{}}
}

// enter gives s a place, which leave gives back.
func (a *admission) enter(s *stream) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	use := a.peers[s.host]
	if use == nil {
		use = &usage{}
	}
	switch {
	case delta.Beyond(len(a.streams)+1, a.limits.Streams):
		return status.Errorf(codes.ResourceExhausted, "%d streams are open, which is this control plane's limit: try again later, or raise --max-streams", len(a.streams))
	case delta.Beyond(use.streams+1, a.limits.StreamsPerPeer):
		return status.Errorf(codes.ResourceExhausted, "%d streams are open from %s, which is this control plane's limit for one peer: close some, or raise --max-streams-per-peer", use.streams, s.host)
	}
	use.streams++
	a.peers[s.host] = use
	a.streams[s] = struct{}{}
	a.next++
	s.id = a.next
	return nil
}

func (a *admission) leave(s *stream, names int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.streams, s)
	use := a.peers[s.host]
	use.streams--
	use.names -= names
	if use.streams == 0 {
		delete(a.peers, s.host)
	}
}

// take counts names of a stream; a negative number gives some back.
func (a *admission) take(s *stream, names int) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	use := a.peers[s.host]
	if names > 0 && delta.Beyond(use.names+names, a.limits.NamesPerPeer) {
		return status.Errorf(codes.ResourceExhausted, "the streams from %s subscribe to more than %d names together, which is this control plane's limit for one peer", s.host, a.limits.NamesPerPeer)
	}
	use.names += names
	return nil
}

// open lists the streams, the oldest first.
func (a *admission) open() []*stream {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]*stream, 0, len(a.streams))
	for s := range a.streams {
		out = append(out, s)
	}
	return out
}

// refusalInterval is the least time between two log lines about refused streams: a
// refused client tries again.
const refusalInterval = time.Second

// tell logs why a stream was refused.
func (a *admission) tell(s *stream, err error, now time.Time) {
	a.mu.Lock()
	a.refused++
	n := a.refused
	due := now.Sub(a.logged) >= refusalInterval
	if due {
		a.refused, a.logged = 0, now
	}
	a.mu.Unlock()
	if due {
		a.logger.Warn("stream refused", "peer", s.peer, "error", err, "streams", n)
	}
}

// peerOf returns the address of the other end, and the address without its port.
func peerOf(ctx context.Context) (address, host string) {
	p, ok := peer.FromContext(ctx)
	if !ok || p.Addr == nil {
		return "", ""
	}
	address = p.Addr.String()
	if host, _, err := net.SplitHostPort(address); err == nil {
		return address, host
	}
	return address, p.Addr.Network() // a unix socket, or memory
}

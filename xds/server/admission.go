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
	case beyond(len(a.streams)+1, a.limits.Streams):
		return status.Errorf(codes.ResourceExhausted, "%d streams are open, which is this control plane's limit: try again later, or raise --max-streams", len(a.streams))
	case beyond(use.streams+1, a.limits.StreamsPerPeer):
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
	if names > 0 && beyond(use.names+names, a.limits.NamesPerPeer) {
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

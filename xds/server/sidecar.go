package server

import (
	"context"
	"errors"
	"sync"
	"time"

	"google.golang.org/grpc/stats"

	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/server/internal/delta"
)

// State is what a sidecar did with the version of a resource that it was sent last.
type State = delta.State

// The states of a resource. Sent is not accepted: only Acked is.
const (
	Sent   = delta.Sent
	Acked  = delta.Acked
	Nacked = delta.Nacked
	// DoesNotExist: the sidecar asked for the name, and the server answered that there
	// is none.
	DoesNotExist = delta.DoesNotExist
)

// Sidecar is one connected sidecar.
type Sidecar struct {
	Node        xds.Node
	Stream      int64  // number of its stream; no other stream of the server has it
	Peer        string // address of its end of the connection
	ConnectedAt time.Time
	// Resources are what it has been sent or told not to exist, ordered by type
	// and name; of the latter 100 a type.
	Resources []ResourceState
}

// ResourceState is one resource as one sidecar has it.
type ResourceState struct {
	TypeURL string
	Name    string
	Version string // last sent; "" when it does not exist
	Acked   string // last accepted; "" for none
	State   State
	Error   string    // why Version was refused; "" unless Nacked
	Since   time.Time // when it came into State
}

func resourceState(typeURL, name string, s *delta.Status) ResourceState {
	return ResourceState{TypeURL: typeURL, Name: name, Version: s.Version, Acked: s.Acked, State: s.State, Error: s.Error, Since: s.Since}
}

// Speaker is the sidecar at the other end of a connection, as its xDS stream introduced
// it.
type Speaker struct {
	Node   xds.Node
	Stream int64           // as in Sidecar
	Done   <-chan struct{} // closed when the xDS stream has ended
}

// The reasons why a connection has no speaker.
var (
	ErrNoStream = errors.New("the connection has no xDS stream that has said which node it is of")
	ErrTaken    = errors.New("another call of the connection speaks for the node already")
)

// Beside returns the sidecar that a call of another service on the same gRPC server
// speaks for, by the context of the call: the node of the first xDS stream of its
// connection. So a call needs to name no node, and cannot name that of another
// connection. One call at a time speaks for a node; it calls release when it has ended.
// The gRPC server must have been made with ServerOptions.
func Beside(ctx context.Context) (who Speaker, release func(), err error) {
	c, ok := ctx.Value(connectionKey{}).(*connection)
	if !ok {
		return Speaker{}, nil, ErrNoStream
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.first == nil:
		return Speaker{}, nil, ErrNoStream
	case c.taken:
		return Speaker{}, nil, ErrTaken
	}
	c.taken = true
	return Speaker{Node: c.node, Stream: c.first.id, Done: c.first.ended}, func() {
		c.mu.Lock()
		c.taken = false
		c.mu.Unlock()
	}, nil
}

// connection is one of a gRPC server.
type connection struct {
	mu    sync.Mutex
	first *stream  // the first that was introduced, while it is open
	node  xds.Node // of first
	taken bool     // a call speaks for the node
}

type connectionKey struct{}

// introduce makes s the stream of its connection, unless there is one.
func (c *connection) introduce(s *stream) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.first == nil {
		c.first, c.node = s, s.node
	}
}

func (c *connection) leave(s *stream) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.first == s {
		c.first, c.node = nil, xds.Node{}
	}
}

// connections gives each connection its place in the contexts of its calls.
type connections struct{}

// TagConn implements stats.Handler.
func (connections) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context {
	return context.WithValue(ctx, connectionKey{}, new(connection))
}

// TagRPC implements stats.Handler.
func (connections) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

// HandleRPC implements stats.Handler.
func (connections) HandleRPC(context.Context, stats.RPCStats) {}

// HandleConn implements stats.Handler.
func (connections) HandleConn(context.Context, stats.ConnStats) {}

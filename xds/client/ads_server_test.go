package client

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/warrenmesh/warren/xds"
)

// adsServer is a delta ADS server that does what a test tells it and records what
// it is asked.
type adsServer struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer

	record func(string)

	mu       sync.Mutex
	listener *bufconn.Listener
	down     bool
	deaf     bool // does not read requests
	stream   chan command
	conn     *freezable
}

// command is a response to send, or the end of the stream.
type command struct {
	response *discoveryv3.DeltaDiscoveryResponse
	end      error
}

func startServer(tb testing.TB, record func(string)) *adsServer {
	tb.Helper()
	s := &adsServer{record: record, listener: bufconn.Listen(1 << 20)}
	srv := grpc.NewServer(grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingEvery / 2}))
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(srv, s)
	done := make(chan error, 1)
	go func() { done <- srv.Serve(s.listener) }()
	tb.Cleanup(func() {
		srv.Stop()
		if err := <-done; err != nil {
			tb.Errorf("serve: %v", err)
		}
	})
	return s
}

func (s *adsServer) dialOptions() []grpc.DialOption {
	return []grpc.DialOption{grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		s.mu.Lock()
		down := s.down
		s.mu.Unlock()
		if down {
			return nil, errors.New("refused")
		}
		conn, err := s.listener.DialContext(ctx)
		if err != nil {
			return nil, err
		}
		f := &freezable{Conn: conn, closed: make(chan struct{})}
		s.mu.Lock()
		s.conn = f
		s.mu.Unlock()
		return f, nil
	})}
}

// freezable is a connection that can go dead without a word, as when a cable is
// pulled.
type freezable struct {
	net.Conn
	frozen atomic.Bool
	once   sync.Once
	closed chan struct{}
}

func (f *freezable) Read(b []byte) (int, error) {
	n, err := f.Conn.Read(b)
	if f.frozen.Load() {
		<-f.closed
		return 0, net.ErrClosed
	}
	return n, err
}

func (f *freezable) Write(b []byte) (int, error) {
	if f.frozen.Load() {
		return len(b), nil
	}
	return f.Conn.Write(b)
}

func (f *freezable) Close() error {
	f.once.Do(func() { close(f.closed) })
	return f.Conn.Close()
}

// freeze lets the present connection go dead.
func (s *adsServer) freeze() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn.frozen.Store(true)
}

func (s *adsServer) setDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// do hands a command to the live stream.
func (s *adsServer) do(tb testing.TB, c command) {
	tb.Helper()
	s.mu.Lock()
	stream := s.stream
	s.mu.Unlock()
	if stream == nil {
		tb.Fatal("no stream is live")
	}
	select {
	case stream <- c:
	case <-time.After(time.Minute):
		tb.Fatal("the stream takes no command")
	}
}

func (s *adsServer) DeltaAggregatedResources(stream discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	commands := make(chan command)
	s.mu.Lock()
	s.stream = commands
	deaf := s.deaf
	s.mu.Unlock()
	s.record("-- stream opened")
	defer s.record("-- stream closed")
	if !deaf {
		go s.read(stream) // ends with the stream, which ends with this handler
	}
	for {
		select {
		case c := <-commands:
			if c.response == nil {
				return c.end
			}
			if err := stream.Send(c.response); err != nil {
				return err
			}
		case <-stream.Context().Done():
			return status.FromContextError(stream.Context().Err()).Err()
		}
	}
}

func (s *adsServer) read(stream discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) {
	for {
		r, err := stream.Recv()
		if err != nil {
			return
		}
		s.record(describeRequest(r))
	}
}

// describeRequest renders a request as a transcript shows it.
func describeRequest(r *discoveryv3.DeltaDiscoveryRequest) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<- %s", shortType(r.GetTypeUrl()))
	if r.GetErrorDetail() != nil {
		fmt.Fprintf(&b, " NACK %s %s", r.GetResponseNonce(), codes.Code(r.GetErrorDetail().GetCode()))
		for line := range strings.SplitSeq(r.GetErrorDetail().GetMessage(), "\n") {
			fmt.Fprintf(&b, "\n     %s", line)
		}
	} else if r.GetResponseNonce() != "" {
		fmt.Fprintf(&b, " ACK %s", r.GetResponseNonce())
	}
	if names := r.GetResourceNamesSubscribe(); len(names) > 0 {
		fmt.Fprintf(&b, " subscribe %v", names)
	}
	if names := r.GetResourceNamesUnsubscribe(); len(names) > 0 {
		fmt.Fprintf(&b, " unsubscribe %v", names)
	}
	if v := r.GetInitialResourceVersions(); len(v) > 0 {
		b.WriteString(" have [")
		for i, name := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				b.WriteString(" ")
			}
			fmt.Fprintf(&b, "%s@%q", name, v[name])
		}
		b.WriteString("]")
	}
	if r.GetNode() != nil {
		n, err := xds.ParseNode(r.GetNode())
		fmt.Fprintf(&b, " node %s", n.ID)
		if err != nil {
			fmt.Fprintf(&b, " (%v)", err)
		}
	}
	return b.String()
}

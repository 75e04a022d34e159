package client

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/client/resource"
)

const (
	maxMessageBytes = 16 << 20
	connectTimeout  = 5 * time.Second
	pingEvery       = 30 * time.Second
	pingTimeout     = 10 * time.Second
	// steady is how long a stream with an answer must last to count as good although
	// it brought nothing new.
	steady = 30 * time.Second
	// maxRequest bounds one request; gRPC servers take 4 MiB by default.
	maxRequest = 1 << 20
	// maxUnsent bounds the requests that wait for a control plane which does not
	// read. When they are more, the stream is closed and resynced.
	maxUnsent = 64
)

var errNotReading = errors.New("control plane does not read requests")

type adsStream = grpc.BidiStreamingClient[discoveryv3.DeltaDiscoveryRequest, discoveryv3.DeltaDiscoveryResponse]

// stream is one ADS stream from its first request to its end. The loop owns the
// state; reader and writer only carry messages.
type stream struct {
	c   *Client
	ads adsStream
	// subscribed is what this stream has asked for, by type URL. A type that is not
	// in it has had no request.
	subscribed resource.Needs
	introduced bool   // the node was sent
	first      func() // called at the first answer

	in   chan received
	next chan struct{} // allows the reader one more message
	out  chan *discoveryv3.DeltaDiscoveryRequest
	sent chan *discoveryv3.DeltaDiscoveryRequest
}

type received struct {
	response *discoveryv3.DeltaDiscoveryResponse
	err      error
}

// follow connects and follows one stream. It reports whether the stream was good, and
// why it ended: the error is never nil.
func (c *Client) follow(ctx context.Context) (progress bool, err error) {
	conn, err := grpc.NewClient(c.opts.Server, append(dialOptions(), c.opts.DialOptions...)...)
	if err != nil {
		return false, fmt.Errorf("connect to %q: %w", c.opts.Server, err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	st, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx)
	if err != nil {
		return false, fmt.Errorf("open stream: %w", err)
	}
	s := &stream{
		c: c, ads: st, subscribed: resource.Needs{},
		in: make(chan received), next: make(chan struct{}, 1),
		out: make(chan *discoveryv3.DeltaDiscoveryRequest, maxUnsent), sent: make(chan *discoveryv3.DeltaDiscoveryRequest),
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { s.read(ctx) })
	wg.Go(func() { s.write(ctx) })

	c.setConnected(true)
	defer c.setConnected(false)
	s.first = func() {
		if c.opts.Beside != nil {
			wg.Go(func() { c.opts.Beside(ctx, conn) })
		}
	}
	began, applied := time.Now(), c.applies
	answered, err := s.loop(ctx)
	return c.applies > applied || answered && time.Since(began) >= steady, err
}

// dialOptions: one connection per stream, so that gRPC's own reconnects never
// hide behind ours.
func dialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithNoProxy(),
		grpc.WithDisableServiceConfig(),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: connectTimeout}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingEvery, Timeout: pingTimeout}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessageBytes)),
	}
}

func (c *Client) setConnected(connected bool) {
	c.mu.Lock()
	c.connected = connected
	c.table.HangUp()
	c.mu.Unlock()
}

// read hands over one message and waits until it is applied before it reads the
// next, so that flow control reaches the server.
func (s *stream) read(ctx context.Context) {
	for {
		response, err := s.ads.Recv()
		select {
		case s.in <- received{response, err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
		select {
		case <-s.next:
		case <-ctx.Done():
			return
		}
	}
}

// write sends requests in order and says when each went out. The reader gets the
// reason when a stream takes no more.
func (s *stream) write(ctx context.Context) {
	for {
		select {
		case request := <-s.out:
			if s.ads.Send(request) != nil {
				return
			}
			select {
			case s.sent <- request:
			case <-ctx.Done():
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

func (s *stream) loop(ctx context.Context) (answered bool, err error) {
	if err := s.advance(); err != nil {
		return false, err
	}
	missing := time.NewTimer(0)
	defer missing.Stop()
	for {
		s.c.arm(missing)
		select {
		case <-ctx.Done():
			return answered, ctx.Err()
		case r := <-s.in:
			if r.err != nil {
				return answered, fmt.Errorf("receive: %w", r.err)
			}
			if !answered {
				s.c.noteAnswered()
				s.first()
			}
			answered = true
			err = s.respond(r.response)
			s.next <- struct{}{}
		case request := <-s.sent:
			s.c.noteAsked(request)
		case <-s.c.wake:
			err = s.advance()
		case now := <-missing.C:
			s.c.expire(now)
			err = s.advance()
		}
		if err != nil {
			return answered, err
		}
	}
}

// advance asks for resources that have become needed without a response.
func (s *stream) advance() error {
	n, _ := s.c.advance()
	return s.subscribe(n)
}

// respond applies a response, answers it, and asks for what it made needed.
func (s *stream) respond(response *discoveryv3.DeltaDiscoveryResponse) error {
	bad, ok := s.c.take(response)
	if !ok {
		return nil // of a type nobody asked for: neither ACK nor NACK (xDS)
	}
	n, refused := s.c.advance()
	bad = append(bad, ofType(refused, response.GetTypeUrl())...)
	err := s.send(&discoveryv3.DeltaDiscoveryRequest{
		TypeUrl:       response.GetTypeUrl(),
		ResponseNonce: response.GetNonce(),
		ErrorDetail:   errorDetail(bad),
	})
	if err != nil {
		return err
	}
	return s.subscribe(n)
}

// subscribe sends, for each type, the difference between what is needed and what
// this stream has asked for. The first request of a type names at least one
// resource, because an empty one would mean all of them, and carries the versions
// at hand; it has no nonce, since it answers nothing.
func (s *stream) subscribe(n resource.Needs) error {
	for _, typeURL := range xds.TypeURLs() {
		request := &discoveryv3.DeltaDiscoveryRequest{
			TypeUrl:                  typeURL,
			ResourceNamesSubscribe:   difference(n[typeURL], s.subscribed[typeURL]),
			ResourceNamesUnsubscribe: difference(s.subscribed[typeURL], n[typeURL]),
		}
		if len(request.ResourceNamesSubscribe) == 0 && len(request.ResourceNamesUnsubscribe) == 0 {
			continue
		}
		if _, begun := s.subscribed[typeURL]; !begun {
			request.InitialResourceVersions = s.c.versions(typeURL)
		}
		s.subscribed[typeURL] = maps.Clone(n[typeURL])
		if s.subscribed[typeURL] == nil {
			s.subscribed[typeURL] = map[string]struct{}{}
		}
		for _, part := range split(request, maxRequest) {
			if err := s.send(part); err != nil {
				return err
			}
		}
	}
	return nil
}

// send queues a request and never blocks.
func (s *stream) send(request *discoveryv3.DeltaDiscoveryRequest) error {
	if !s.introduced {
		node := s.c.opts.Node
		if s.c.opts.Introduce != nil {
			s.c.opts.Introduce(&node)
		}
		request.Node = node.Proto()
		s.introduced = true
	}
	select {
	case s.out <- request:
		return nil
	default:
		return errNotReading
	}
}

func difference(a, b map[string]struct{}) []string {
	var d []string
	for name := range a {
		if _, ok := b[name]; !ok {
			d = append(d, name)
		}
	}
	slices.Sort(d)
	return d
}

func (c *Client) versions(typeURL string) map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.table.Versions(typeURL)
}

// noteAsked starts the clock of the names a request asked for.
func (c *Client) noteAsked(request *discoveryv3.DeltaDiscoveryRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.table.Asked(request.GetTypeUrl(), request.GetResourceNamesSubscribe())
}

// arm sets the timer to when the next resource counts as missing, or the next name is
// forgotten.
func (c *Client) arm(t *time.Timer) {
	c.mu.Lock()
	next, ok := c.table.OldestAsked()
	next = next.Add(c.opts.MissingAfter)
	if at, some := c.nextForgotten(); some && (!ok || at.Before(next)) {
		next, ok = at, true
	}
	c.mu.Unlock()
	t.Stop()
	if ok {
		t.Reset(time.Until(next))
	}
}

// expire marks names as missing that were not answered in time, and forgets names that
// nobody wants any more.
func (c *Client) expire(now time.Time) {
	why := fmt.Sprintf("no answer within %v", c.opts.MissingAfter)
	c.mu.Lock()
	gone := c.table.Expire(now.Add(-c.opts.MissingAfter), why)
	c.forget(now)
	if len(gone) > 0 {
		c.announce()
	}
	c.mu.Unlock()
	for typeURL, names := range gone {
		for _, name := range names {
			c.logMissing(typeURL, name, why)
		}
	}
}

func (c *Client) logMissing(typeURL, name, why string) {
	c.missing.Warn("resource does not exist", keyType, shortType(typeURL), keyResource, name, keyError, why)
}

package client

import (
	"context"
	"fmt"

	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
)

const (
	// DefaultSidecar is where a sidecar listens that was told nothing else.
	DefaultSidecar = "127.0.0.1:17400"
	// EnvSidecar names the environment variable for another address. This package
	// reads no environment: pass its value to Dial.
	EnvSidecar = "WARREN_SIDECAR"
)

const (
	// maxMessage holds the largest event, 16 MiB, and its attributes. A sidecar reads
	// no larger one either.
	maxMessage = 17 << 20
	// maxEntry leaves room for the entries before one in the same message.
	maxEntry = maxMessage - 512<<10
)

// serviceConfig makes calls wait for a sidecar that is starting or restarting,
// within their deadline, instead of failing at once.
const serviceConfig = `{"methodConfig": [{
  "name": [{"service": "warren.events.v1.EventService"}],
  "waitForReady": true
}]}`

// Client calls the event API of one sidecar. Dial and New make one; the zero value is
// not usable.
type Client struct {
	api   eventsv1.EventServiceClient
	close func() error
}

// Dial makes a client of the service's own sidecar at target: host:port, unix:/path,
// or "" for DefaultSidecar. It does not connect yet, and a call waits until its
// context ends for a sidecar that is away. The traffic stays on this host: there is
// no TLS and no HTTP proxy. Options are applied after these defaults; tracing is set
// up by one. The error is about the target's form.
func Dial(target string, options ...grpc.DialOption) (*Client, error) {
	if target == "" {
		target = DefaultSidecar
	}
	conn, err := grpc.NewClient(target, append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithNoProxy(),
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
	}, options...)...)
	if err != nil {
		return nil, fmt.Errorf("dial sidecar %q: %w", target, err)
	}
	c := New(conn)
	c.close = conn.Close
	return c, nil
}

// New makes a client over a connection that stays the caller's.
func New(conn grpc.ClientConnInterface) *Client {
	return &Client{api: eventsv1.NewEventServiceClient(conn), close: func() error { return nil }}
}

// Close closes the connection that Dial made; calls under way fail with CANCELED. One
// that was given to New stays open.
func (c *Client) Close() error { return c.close() }

// API returns the generated client of the same connection, for what this package does
// not do: streams of your own, or every field of a request.
func (c *Client) API() eventsv1.EventServiceClient { return c.api }

// Publish publishes one event, once, and returns when the broker has confirmed it or
// the call has failed, with an *Error and a nil response. The topic is "orders" in the service's own
// namespace, "billing/orders" in another's. Without a deadline in ctx the call waits
// as long as it takes.
func (c *Client) Publish(ctx context.Context, topic string, event *eventsv1.CloudEvent) (*eventsv1.PublishResponse, error) {
	return c.PublishRequest(ctx, &eventsv1.PublishRequest{Topic: topic, Event: event})
}

// PublishRequest is Publish with headers and the other fields of a request.
func (c *Client) PublishRequest(ctx context.Context, req *eventsv1.PublishRequest) (*eventsv1.PublishResponse, error) {
	var at peer.Peer
	resp, err := c.api.Publish(ctx, req, grpc.Peer(&at))
	return resp, errorOf(err, at.Addr != nil)
}

// Result is what became of one event of a batch.
type Result struct {
	// Response is the sidecar's answer; nil when Err is not.
	Response *eventsv1.PublishResponse
	// Err is nil or an *Error.
	Err error
}

// PublishBatch publishes several events to one topic in one call, once. It returns one
// result for each event, in their order. An error is an *Error and means that the call as
// a whole failed; its Outcome is that of every event. All events together must fit into
// 17 MiB, or the call fails with RESOURCE_EXHAUSTED.
func (c *Client) PublishBatch(ctx context.Context, topic string, events ...*eventsv1.CloudEvent) ([]Result, error) {
	req := &eventsv1.PublishBatchRequest{Topic: topic, Entries: make([]*eventsv1.PublishBatchEntry, len(events))}
	hop := hopOf(ctx)
	for i, event := range events {
		req.Entries[i] = &eventsv1.PublishBatchEntry{Event: event, TraceContext: hop}
	}
	var at peer.Peer
	resp, err := c.api.PublishBatch(ctx, req, grpc.Peer(&at))
	if err != nil {
		return nil, errorOf(err, at.Addr != nil)
	}
	results := make([]Result, len(events))
	for i := range results {
		if i < len(resp.GetResults()) {
			results[i] = resultOf(resp.GetResults()[i])
			continue
		}
		results[i].Err = errorOf(status.Error(codes.Internal, "the sidecar answered fewer events than there were"), true)
	}
	return results, nil
}

// resultOf reads one result of a batch or a stream. Its status is wire-identical to
// google.rpc.Status; none means OK.
func resultOf(r *eventsv1.PublishResult) Result {
	s := r.GetStatus()
	if s.GetCode() == int32(codes.OK) {
		return Result{Response: r.GetResponse()}
	}
	return Result{Err: errorOf(status.ErrorProto(&statuspb.Status{Code: s.GetCode(), Message: s.GetMessage(), Details: s.GetDetails()}), true)}
}

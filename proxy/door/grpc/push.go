package grpc

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/internal/pace"
	"github.com/warrenmesh/warren/proxy/deliver/delivery"
	"github.com/warrenmesh/warren/proxy/deliver/push"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/event/eventpb"
	"github.com/warrenmesh/warren/proxy/metrics"
)

// PushOptions configure Push.
type PushOptions struct {
	// DialOptions are added to those of connections to the service, for tracing.
	DialOptions []grpc.DialOption
	// HealthPeriod is how long an answer about the service's health holds; zero
	// means 500 ms.
	HealthPeriod time.Duration
	// Metrics counts how deliveries are written; nil counts nothing.
	Metrics *metrics.Events
}

// Push returns how the service at a port of this host is reached, by
// EventHandlerService.OnEvent. It is ready when its gRPC health says SERVING, or when it
// does not implement that.
//
// How an answer becomes an outcome:
//
//	OK, OUTCOME_ACK or unspecified           ack
//	OK, OUTCOME_RETRY                        retry, after retry_after
//	OK, OUTCOME_DEAD_LETTER                  dead letter, reason "rejected"
//	INVALID_ARGUMENT                         dead letter, reason "rejected"
//	UNAVAILABLE                              the service is gone: its health is awaited and the
//	                                         call repeated within the ack deadline, then retry
//	DEADLINE_EXCEEDED                        retry, reason "ack-deadline" when attempts are used up
//	RESOURCE_EXHAUSTED with RetryInfo        retry after its delay
//	any other                                retry
func Push(opts PushOptions) func(port uint32) (push.Handler, error) {
	if opts.HealthPeriod <= 0 {
		opts.HealthPeriod = 500 * time.Millisecond
	}
	return func(port uint32) (push.Handler, error) {
		conn, err := grpc.NewClient(fmt.Sprintf("passthrough:///127.0.0.1:%d", port), append([]grpc.DialOption{
			grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy(),
		}, opts.DialOptions...)...)
		if err != nil {
			return nil, err
		}
		return &handler{
			conn: conn, client: eventsv1.NewEventHandlerServiceClient(conn), health: newHealthGate(conn, opts.HealthPeriod), metrics: opts.Metrics,
		}, nil
	}
}

// handler implements push.Handler.
type handler struct {
	conn    *grpc.ClientConn
	client  eventsv1.EventHandlerServiceClient
	health  *healthGate
	metrics *metrics.Events
}

// Ready implements push.Handler.
func (h *handler) Ready(ctx context.Context) bool { return h.health.await(ctx) }

// Close implements push.Handler.
func (h *handler) Close() error { return h.conn.Close() }

// Handle implements push.Handler.
func (h *handler) Handle(ctx context.Context, e *delivery.Handed) push.Verdict {
	h.metrics.Slow(metrics.DeliveryEncode, 1)
	res, err := h.client.OnEvent(ctx, &eventsv1.OnEventRequest{
		Event: eventpb.ToProto(e.Event), Headers: eventpb.HeadersToProto(e.Headers), ReplyTo: e.ReplyTo, ContentEncoding: e.ContentEncoding,
		Subscription: e.Subscription, Topic: e.Topic, Attempt: e.Attempt, Redelivered: e.Redelivered,
	})
	if err != nil {
		return h.failed(err)
	}
	return push.Verdict{
		Outcome: outcomeOf(res.GetOutcome()), After: res.GetRetryAfter().AsDuration(), Detail: res.GetReason(),
	}
}

func (h *handler) failed(err error) push.Verdict {
	st := status.Convert(err)
	v := push.Verdict{Outcome: event.Retry, Detail: st.Code().String() + ": " + st.Message()}
	switch st.Code() {
	case codes.Unavailable:
		v.Away = true
		h.health.lost()
	case codes.InvalidArgument:
		v.Outcome = event.DeadLetter
	case codes.DeadlineExceeded:
		v.Late = true
	case codes.ResourceExhausted:
		for _, d := range st.Details() {
			if info, ok := d.(*errdetails.RetryInfo); ok {
				v.After = info.GetRetryDelay().AsDuration()
			}
		}
	}
	return v
}

// healthGate holds events back while the service is not ready. An answer is good
// for one period; then the service is asked again, before the next event. gRPC's own
// client health checking cannot do it: it watches one name, and counts a server that does
// not know it as down instead of asking it for "".
type healthGate struct {
	client healthv1.HealthClient
	period time.Duration
	turn   chan struct{} // cap 1: one waiter asks at a time
	begin  time.Time     // what until counts from; monotonic
	until  atomic.Int64  // nanoseconds; the last good answer holds until then
}

func newHealthGate(conn *grpc.ClientConn, period time.Duration) *healthGate {
	return &healthGate{client: healthv1.NewHealthClient(conn), period: period, turn: make(chan struct{}, 1), begin: time.Now()}
}

// lost says that a call found nobody.
func (g *healthGate) lost() { g.until.Store(0) }

func (g *healthGate) open() bool { return int64(time.Since(g.begin)) < g.until.Load() }

// await returns true once the service is ready, false when ctx ends first. Waiters
// ask one after the other.
func (g *healthGate) await(ctx context.Context) bool {
	if g.open() {
		return ctx.Err() == nil
	}
	select {
	case g.turn <- struct{}{}:
		defer func() { <-g.turn }()
	case <-ctx.Done():
		return false
	}
	for !g.open() {
		if g.ask(ctx) {
			g.until.Store(int64(time.Since(g.begin) + g.period))
		} else if !pace.Sleep(ctx, g.period) {
			return false
		}
	}
	return ctx.Err() == nil
}

func (g *healthGate) ask(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, g.period)
	defer cancel()
	res, err := g.client.Check(ctx, &healthv1.HealthCheckRequest{Service: eventsv1.EventHandlerService_ServiceDesc.ServiceName})
	if status.Code(err) == codes.NotFound {
		res, err = g.client.Check(ctx, &healthv1.HealthCheckRequest{})
	}
	if status.Code(err) == codes.Unimplemented {
		return true // a service without health checks answers; that must do
	}
	return err == nil && res.GetStatus() == healthv1.HealthCheckResponse_SERVING
}

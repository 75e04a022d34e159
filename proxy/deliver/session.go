package deliver

import (
	"context"
	"errors"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/rpcerr"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/mesh"
)

const (
	defaultMaxBytes = 64 << 20
	maxAckDeadline  = 15 * time.Minute // well under RabbitMQ's consumer_timeout
	maxCredit       = 1 << 30
)

// session is one Subscribe stream. All its state belongs to the goroutine of run;
// others talk to it through channels:
//
//	reader ──requests──▶ run ◀──arrivals── intake (the driver's goroutine)
//	                      └──▶ settling goroutines, joined before run returns
type session struct {
	settler // its driver is set before anything is consumed

	// set at construction
	stream grpc.BidiStreamingServer[eventsv1.SubscribeRequest, eventsv1.SubscribeResponse]
	limits limits

	requests chan *eventsv1.SubscribeRequest
	readErr  chan error            // cap 1
	arrivals chan *broker.Delivery // unbuffered: intake waits for credit here
	consumed chan error            // cap 1: Consume has returned

	// belongs to run
	credit   uint32
	epoch    uint64
	held     *handouts
	lastSent time.Time
	settling sync.WaitGroup
}

// limits are what init asked for, within what the subscription allows.
type limits struct {
	messages    uint32
	bytes       uint64
	ackDeadline time.Duration // 0 means the subscription's
	results     bool
}

var sessionCounter atomic.Uint64

func (s *Service) newSession(stream grpc.BidiStreamingServer[eventsv1.SubscribeRequest, eventsv1.SubscribeResponse], init *eventsv1.SubscribeInit) (*session, error) {
	name, err := mesh.ParseName(init.GetSubscription(), s.opts.Namespace)
	if err != nil {
		return nil, rpcerr.Field(rpcerr.InvalidRequest, "init.subscription", `must be "name" or "namespace/name"`)
	}
	sub, _, err := s.opts.Subscriptions.Subscription(name)
	if err != nil {
		return nil, err
	}
	lim, err := limitsOf(init, sub)
	if err != nil {
		return nil, err
	}
	ss := &session{
		settler:  settler{service: s, name: name, id: strconv.FormatUint(sessionCounter.Add(1), 36)},
		stream:   stream,
		limits:   lim,
		requests: make(chan *eventsv1.SubscribeRequest),
		readErr:  make(chan error, 1),
		arrivals: make(chan *broker.Delivery),
		consumed: make(chan error, 1),
		credit:   min(init.GetInitialCredit(), maxCredit),
		held:     newHandouts(),
	}
	ss.subscription.Store(sub)
	return ss, nil
}

func limitsOf(init *eventsv1.SubscribeInit, sub *Subscription) (limits, error) {
	l := limits{messages: init.GetMaxOutstandingMessages(), bytes: init.GetMaxOutstandingBytes(), results: init.GetSettleResults()}
	if l.messages == 0 || l.messages > sub.Queue.Prefetch {
		l.messages = sub.Queue.Prefetch
	}
	if l.bytes == 0 {
		l.bytes = defaultMaxBytes
	}
	if init.AckDeadline != nil {
		l.ackDeadline = init.AckDeadline.AsDuration()
		if l.ackDeadline < 0 || l.ackDeadline > maxAckDeadline {
			return l, rpcerr.Field(rpcerr.InvalidRequest, "init.ack_deadline", "must be between 0 and "+maxAckDeadline.String())
		}
	}
	return l, nil
}

// run serves the stream until it ends and leaves nothing behind: every goroutine
// is joined and unsettled deliveries are back in the queue when it returns. Only
// the reader outlives it for a moment, until gRPC fails its Recv.
func (ss *session) run() error {
	ctx, cancel := context.WithCancel(ss.stream.Context())
	defer cancel()
	go ss.read(ctx)

	driver, err := ss.attach(ctx)
	if err != nil {
		return err
	}
	ss.driver = driver
	consumeCtx, stopConsuming := context.WithCancel(ctx)
	defer stopConsuming()
	drain := ss.consume(consumeCtx)
	if err = ss.ready(); err == nil {
		err = ss.loop(ctx, stopConsuming)
	}
	stopConsuming()
	ss.settling.Wait()
	drain()
	for _, h := range ss.held.byToken {
		h.span.End(errStreamEnded)
	}
	return err
}

// errStreamEnded ends the spans of deliveries nobody settled.
var errStreamEnded = errors.New("stream ended before the delivery was settled")

// attach waits until the subscription's queue exists and picks a node.
func (ss *session) attach(ctx context.Context) (broker.Driver, error) {
	sub := ss.subscription.Load()
	ctx, cancel := context.WithCancel(ctx)
	joined := make(chan struct{})
	go func() {
		defer close(joined)
		select {
		case <-ss.service.draining:
			cancel()
		case <-ctx.Done():
		}
	}()
	err := ss.service.opts.Brokers.Ready(ctx, sub.Broker, xds.SubscriptionResource(sub.Name))
	cancel()
	<-joined
	if err != nil {
		return nil, rpcerr.FromBroker(err)
	}
	driver, err := ss.service.opts.Brokers.PickConsumer(sub.Broker)
	return driver, rpcerr.FromBroker(err)
}

// consume starts the flow of deliveries. The function returned waits for its end
// and gives back what is unsettled.
func (ss *session) consume(ctx context.Context) (drain func()) {
	var giveBack func()
	done := make(chan struct{})
	go func() {
		defer close(done)
		var err error
		giveBack, err = ss.driver.Consume(ctx, broker.ConsumeOptions{
			Queue:    ss.subscription.Load().Queue.Name,
			Prefetch: int(ss.limits.messages),
			Tag:      ss.service.opts.Workload + "." + ss.name.Name,
		}, func(d *broker.Delivery) { ss.intake(ctx, d) })
		ss.consumed <- err
	}()
	return func() {
		<-done
		if giveBack != nil {
			giveBack()
		}
	}
}

func (ss *session) read(ctx context.Context) {
	for {
		req, err := ss.stream.Recv()
		if err != nil {
			ss.readErr <- err
			return
		}
		select {
		case ss.requests <- req:
		case <-ctx.Done():
			return
		}
	}
}

func (ss *session) ready() error {
	sub := ss.subscription.Load()
	return ss.send(&eventsv1.SubscribeResponse{Response: &eventsv1.SubscribeResponse_Ready{Ready: &eventsv1.SubscribeReady{
		Subscription:           sub.Name.String(),
		Topic:                  sub.Topic.String(),
		MaxOutstandingMessages: ss.limits.messages,
		AckDeadline:            durationpb.New(ss.ackDeadline()),
	}}})
}

// loop is the session's one goroutine.
func (ss *session) loop(ctx context.Context, stopConsuming func()) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	deadline := time.NewTimer(time.Hour)
	defer deadline.Stop()
	draining := ss.service.draining
	for {
		sub, changed, err := ss.service.opts.Subscriptions.Subscription(ss.name)
		if err != nil {
			return err
		}
		if err := ss.update(sub); err != nil {
			return err
		}
		if draining == nil && len(ss.held.byToken) == 0 {
			return rpcerr.Unavailable(rpcerr.Draining, "the sidecar is shutting down")
		}
		ss.arm(deadline)
		select {
		case d := <-ss.gate(draining):
			err = ss.handOut(d)
		case req := <-ss.requests:
			err = ss.handle(req)
		case err = <-ss.readErr:
			if errors.Is(err, io.EOF) {
				return nil // half-closed: nothing more can be settled
			}
		case err = <-ss.consumed:
			if err == nil && draining == nil {
				ss.consumed = nil // we stopped it
			} else {
				err = rpcerr.FromBroker(err)
			}
		case now := <-deadline.C:
			ss.expire(now)
		case now := <-tick.C:
			err = ss.look(now)
		case <-changed:
		case <-draining:
			draining = nil
			stopConsuming()
		case <-ss.service.hard:
			return rpcerr.Unavailable(rpcerr.Draining, "the sidecar is shutting down")
		case <-ctx.Done():
			return ctx.Err()
		}
		if err != nil {
			return err
		}
	}
}

// gate is where deliveries come from, nil while none may be handed out. One is
// always allowed through the byte bound, however large.
func (ss *session) gate(draining <-chan struct{}) <-chan *broker.Delivery {
	full := len(ss.held.byToken) > 0 && ss.held.bytes >= ss.limits.bytes
	if draining == nil || ss.credit == 0 || full {
		return nil
	}
	return ss.arrivals
}

func (ss *session) arm(t *time.Timer) {
	if at, ok := ss.held.next(); ok {
		t.Reset(time.Until(at))
		return
	}
	t.Stop()
}

// update takes over a changed subscription. What needs another consumer ends the
// stream; the service connects again and gets the new form.
func (ss *session) update(sub *Subscription) error {
	old := ss.subscription.Load()
	if old == sub {
		return nil
	}
	if !sameSource(old, sub) {
		return rpcerr.Unavailable(rpcerr.SubscriptionChanged, "the subscription's queue or broker changed; subscribe again")
	}
	ss.subscription.Store(sub)
	return nil
}

// sameSource reports whether two forms of a subscription can share a consumer.
func sameSource(a, b *Subscription) bool {
	return a.Queue == b.Queue && a.Broker == b.Broker && a.Exchange == b.Exchange && a.Topic == b.Topic
}

// look runs once a second: heartbeats, and a move to another node when this one
// is gone and another is up.
func (ss *session) look(now time.Time) error {
	if now.Sub(ss.lastSent) >= ss.service.opts.Heartbeat {
		if err := ss.send(&eventsv1.SubscribeResponse{Response: &eventsv1.SubscribeResponse_Heartbeat{Heartbeat: &eventsv1.SubscribeHeartbeat{}}}); err != nil {
			return err
		}
	}
	if ss.driver.State().Consuming {
		return nil
	}
	other, err := ss.service.opts.Brokers.PickConsumer(ss.subscription.Load().Broker)
	if err == nil && other != ss.driver && other.State().Consuming {
		return rpcerr.Unavailable(rpcerr.ConnectionLost, "the broker node is gone; subscribe again to use another")
	}
	return nil
}

func (ss *session) send(r *eventsv1.SubscribeResponse) error {
	r.RemainingCredit = ss.credit
	ss.lastSent = time.Now()
	return ss.stream.Send(r)
}

func (ss *session) ackDeadline() time.Duration {
	if ss.limits.ackDeadline > 0 {
		return ss.limits.ackDeadline
	}
	return ss.subscription.Load().AckDeadline
}

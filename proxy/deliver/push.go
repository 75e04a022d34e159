package deliver

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/internal/join"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/tracing"
	"github.com/warrenmesh/warren/xds"
)

// PushOptions configure a Pusher.
type PushOptions struct {
	// DialOptions are added to those of connections to the service, for tracing.
	DialOptions []grpc.DialOption
	// HealthPeriod is how long an answer about the service's health holds; zero
	// means 500 ms.
	HealthPeriod time.Duration
}

// Pusher hands the events of subscriptions with a push port to the service beside
// the sidecar, by EventHandlerService.OnEvent. It follows the configuration: one
// worker for each such subscription.
//
// At most the subscription's prefetch of calls are under way at once. A call's
// deadline is the ack deadline. Nothing is taken from the queue while the service
// is not ready: gRPC health must say SERVING, or the service must not implement it.
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
type Pusher struct {
	service *Service
	opts    PushOptions

	mu      sync.Mutex
	workers map[mesh.Name]*pushWorker // guarded by mu; by the configuration in force
	running map[*pushWorker]struct{}  // guarded by mu; those, and the ones that are ending
	closed  bool                      // guarded by mu
	ending  join.Group                // of running
}

// NewPusher builds a Pusher that shares s's brokers, counters and drain.
func NewPusher(s *Service, opts PushOptions) *Pusher {
	if opts.HealthPeriod <= 0 {
		opts.HealthPeriod = 500 * time.Millisecond
	}
	return &Pusher{service: s, opts: opts, workers: map[mesh.Name]*pushWorker{}, running: map[*pushWorker]struct{}{}}
}

// Apply makes the workers those the subscriptions ask for. Unchanged ones go on;
// what only changes filters, attempts or deadlines is taken over by the running
// worker. Removed ones are stopped in the background: what they hold and have not
// settled goes back to its queue.
func (p *Pusher) Apply(subs map[mesh.Name]*Subscription) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	for name, w := range p.workers {
		next, ok := subs[name]
		if !ok || next.PushPort == 0 || w.needsRestart(next) {
			w.cancel()
			delete(p.workers, name)
			continue
		}
		w.subscription.Store(next)
	}
	for name, sub := range subs {
		if _, running := p.workers[name]; sub.PushPort != 0 && !running {
			p.workers[name] = p.start(name, sub)
		}
	}
}

// Stop ends all workers' intake, lets calls under way finish until ctx ends, then
// cancels them. It returns when all have ended, at the latest a second after ctx.
func (p *Pusher) Stop(ctx context.Context) {
	p.mu.Lock()
	p.closed = true
	running := slices.Collect(maps.Keys(p.running))
	p.mu.Unlock()
	for _, w := range running {
		w.cancel()
	}
	if p.ending.Wait(ctx) == nil {
		return
	}
	for _, w := range running {
		w.abort()
	}
	awaitCut(&p.ending)
}

// pushWorker serves one subscription.
type pushWorker struct {
	settler
	opts   PushOptions
	port   uint32
	cancel context.CancelFunc // ends intake
	abort  context.CancelFunc // ends calls under way
	log    *slog.Logger

	conn   *grpc.ClientConn
	health *healthGate
	slots  chan struct{} // calls under way
	calls  sync.WaitGroup
	told   string // belongs to run; why it could not consume last
}

// start is called with mu held.
func (p *Pusher) start(name mesh.Name, sub *Subscription) *pushWorker {
	intake, cancel := context.WithCancel(context.Background())
	calls, abort := context.WithCancel(context.Background())
	w := &pushWorker{
		settler: settler{service: p.service, name: name, id: strconv.FormatUint(sessionCounter.Add(1), 36), life: calls},
		opts:    p.opts, port: sub.PushPort, cancel: cancel, abort: abort,
		slots: make(chan struct{}, outstanding(sub.Subscription)),
		log:   p.service.opts.Logger.With("subscription", name.String()),
	}
	w.subscription.Store(sub)
	p.running[w] = struct{}{}
	p.ending.Go(func() {
		defer abort()
		w.run(intake, calls)
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.running, w)
	})
	return w
}

func (w *pushWorker) needsRestart(next *Subscription) bool {
	return w.port != next.PushPort || !sameSource(w.subscription.Load(), next)
}

// run consumes until intake ends. Whatever fails is tried again: nobody but the
// configuration may end a worker.
func (w *pushWorker) run(intake, calls context.Context) {
	conn, err := grpc.NewClient(fmt.Sprintf("passthrough:///127.0.0.1:%d", w.port), append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy(),
	}, w.opts.DialOptions...)...)
	if err != nil {
		w.log.Error("connect to the service", "port", w.port, "error", err)
		return
	}
	defer func() { _ = conn.Close() }() // nothing is under way any more
	w.conn, w.health = conn, newHealthGate(conn, w.opts.HealthPeriod)
	for intake.Err() == nil {
		if err := w.serve(intake, calls); err != nil && intake.Err() == nil {
			if text := err.Error(); text != w.told {
				w.told = text
				w.log.Error("consume for push", "error", err)
			}
			pause(intake, time.Second)
		}
	}
}

// serve consumes on one node, once the service is healthy, until taking ends or
// another node is the better one.
func (w *pushWorker) serve(taking, calls context.Context) error {
	if !w.health.await(taking) {
		return nil
	}
	sub := w.subscription.Load()
	if err := w.service.opts.Brokers.Ready(taking, sub.Broker, xds.SubscriptionResource(sub.Name)); err != nil {
		return err
	}
	driver, err := w.service.opts.Brokers.PickConsumer(sub.Broker)
	if err != nil {
		return err
	}
	taking, leave := context.WithCancel(taking)
	defer leave()
	w.driver, w.leaving = driver, taking.Done()
	var watch sync.WaitGroup
	watch.Go(func() { w.watch(taking, leave) })
	drain, err := w.consume(taking, w.service.opts.Workload+"."+w.name.Name+".push", outstanding(sub.Subscription), intake{
		offer: func(ctx context.Context, d *broker.Delivery) { w.offer(ctx, calls, d) },
		lost:  func(string, uint64) {}, // calls under way go on: their outcome is stale
	})
	leave()
	watch.Wait()
	w.calls.Wait()
	w.service.ledger.gone(&w.settler)
	if drain != nil {
		drain()
	}
	return err
}

// watch calls leave when the node is gone and another is up.
func (w *pushWorker) watch(ctx context.Context, leave func()) {
	for pause(ctx, time.Second) {
		if w.strandedBeside(w.service.opts.Brokers) {
			leave()
		}
	}
}

// offer is called for one delivery after the other; blocking holds the flow back.
func (w *pushWorker) offer(ctx, calls context.Context, d *broker.Delivery) {
	if !w.health.await(ctx) {
		return // unsettled: drain gives it back
	}
	slots := 1
	if w.alone(d) {
		slots = cap(w.slots)
	}
	if !w.enter(ctx, slots) {
		return
	}
	arrived, current := w.arrived(d)
	if !current || w.suppressed(d) { // lost since it was offered, or done
		w.leave(slots)
		return
	}
	w.calls.Go(func() {
		defer w.leave(slots)
		if expired(d) { // while it waited for its turn
			w.reject(d, broker.ReasonExpired, expiryText(d))
			return
		}
		w.push(calls, d, arrived)
	})
}

// enter waits for n slots, and reports whether it has them before ctx ends. It is
// called by one goroutine at a time, so nobody waits for half of them.
func (w *pushWorker) enter(ctx context.Context, n int) bool {
	for taken := range n {
		select {
		case w.slots <- struct{}{}:
		case <-ctx.Done():
			w.leave(taken)
			return false
		}
	}
	return true
}

func (w *pushWorker) leave(n int) {
	for range n {
		<-w.slots
	}
}

// push hands d, which arrived at the given time, over and settles it by the answer.
func (w *pushWorker) push(ctx context.Context, d *broker.Delivery, arrived time.Time) {
	sub := w.subscription.Load()
	seen, err := see(sub, d)
	if err != nil {
		w.reject(d, reasonInvalidEvent, err.Error())
		return
	}
	process := w.process(sub, d)
	spanCtx, span := w.service.opts.Tracing.StartProcess(ctx, process)
	processing := w.service.opts.Metrics.Process(w.measured(d))
	at := time.Now()
	w.showDelivered(d)
	callCtx, cancel := context.WithDeadline(spanCtx, earlier(at.Add(sub.AckDeadline), arrived.Add(maxHold)))
	defer cancel()
	o, err := w.call(callCtx, sub, d, seen)
	if ctx.Err() != nil {
		span.End(errStreamEnded) // aborted by Stop: drain gives it back
		processing.End(spanCtx, errStreamEnded)
		return
	}
	w.carryOut(spanCtx, span, d, o, process, at)
	span.End(err)
	processing.End(spanCtx, err)
}

// carryOut settles d as o says; at is when d was handed over.
func (w *pushWorker) carryOut(ctx context.Context, span tracing.Span, d *broker.Delivery, o outcome, p tracing.Process, at time.Time) {
	o.begun = at
	effect, err := effectAck, error(nil)
	if o.kind == eventsv1.Outcome_OUTCOME_ACK {
		err = w.ackSpanned(ctx, d, p) // stale: counted, and delivered again
	} else {
		o = judged(d, o)
		effect, err = w.fail(d, o)
	}
	if err == nil {
		span.SetOutcome(effect)
		w.showSettled(d, effect, o.why(effect), at)
	}
}

// call repeats OnEvent while the service is away, within ctx.
func (w *pushWorker) call(ctx context.Context, sub *Subscription, d *broker.Delivery, seen *view) (outcome, error) {
	client := eventsv1.NewEventHandlerServiceClient(w.conn)
	req := &eventsv1.OnEventRequest{
		Event: seen.event, Headers: seen.headers, ReplyTo: seen.replyTo, ContentEncoding: seen.contentEncoding,
		Subscription: sub.FullName, Topic: sub.topicOf(d),
		Attempt: d.Attempt, Redelivered: d.Redelivered || d.Attempt > 1,
	}
	for suspected := false; ; {
		res, err := client.OnEvent(ctx, req)
		if status.Code(err) != codes.Unavailable {
			return answered(res, err)
		}
		if !suspected {
			suspected = true
			d.Crashes++ // should it become another attempt, or a copy
		}
		w.health.lost()
		if !w.health.await(ctx) {
			return answered(res, err)
		}
	}
}

// answered maps what the service said to an outcome, and to the error the process
// span ends with.
func answered(res *eventsv1.OnEventResponse, err error) (outcome, error) {
	if err != nil {
		return failedCall(err)
	}
	o := outcome{kind: res.GetOutcome(), after: max(0, res.GetRetryAfter().AsDuration()), detail: clip(res.GetReason())}
	switch o.kind {
	case eventsv1.Outcome_OUTCOME_RETRY:
		o.reason = reasonExhausted
	case eventsv1.Outcome_OUTCOME_DEAD_LETTER:
		o.reason = reasonRejected
	default:
		return outcome{kind: eventsv1.Outcome_OUTCOME_ACK}, nil
	}
	return o, handlerError{o.reason, o.detail}
}

func failedCall(err error) (outcome, error) {
	st := status.Convert(err)
	o := outcome{kind: eventsv1.Outcome_OUTCOME_RETRY, reason: reasonExhausted, detail: clip(st.Code().String() + ": " + st.Message())}
	switch st.Code() {
	case codes.InvalidArgument:
		o.kind, o.reason = eventsv1.Outcome_OUTCOME_DEAD_LETTER, reasonRejected
	case codes.DeadlineExceeded:
		o.reason = reasonAckDeadline
	case codes.ResourceExhausted:
		for _, d := range st.Details() {
			if info, ok := d.(*errdetails.RetryInfo); ok {
				o.after = max(0, info.GetRetryDelay().AsDuration())
			}
		}
	}
	return o, handlerError{o.reason, o.detail}
}

// healthGate holds events back while the service is not ready. An answer is good
// for one period; then the service is asked again, before the next event.
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
		} else if !pause(ctx, g.period) {
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

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

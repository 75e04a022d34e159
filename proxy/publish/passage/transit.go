package passage

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/metrics"
	"github.com/warrenmesh/warren/proxy/pool"
	"github.com/warrenmesh/warren/proxy/refusal"
	"github.com/warrenmesh/warren/proxy/retry"
	"github.com/warrenmesh/warren/proxy/route"
	"github.com/warrenmesh/warren/proxy/tap"
	"github.com/warrenmesh/warren/tracing/messaging"
)

// Accepted is an event that was accepted, with where it goes.
type Accepted struct {
	Rule    *route.Rule
	Backend *route.Backend
	Message *broker.Message // Depart writes its trace; each repeat gets a message of its own
	Weight  int64           // what it took of Options.InFlight, which Arrive gives back
	Asked   string          // the topic as the caller wrote it
}

// Transit is one event on its way to its confirm. Depart makes its first try, or has it
// gathered with those of others, Wait tells how a try ended, Arrive makes the others.
// Between Depart and Wait it costs no goroutine, so that a batch or a stream can be
// written in order and be confirmed as a pipeline. An event that has to wait for its turn among those of its
// key makes its first try in Wait: whoever departs events with a key waits for each
// in a goroutine of its own, so that none waits for an event of another key.
type Transit struct {
	Accepted // Message is that of the last try

	ctx      context.Context //nolint:containedctx // of the call, with the span
	deadline time.Time       // when the call must be answered
	span     messaging.Span
	sending  metrics.Sending
	began    time.Time // zero unless a tap was open
	place    *place    // in the line of its key; nil when it keeps no order
	budget   *retry.Budget

	tried   []pool.Node
	space   [2]pool.Node // for the first of tried
	attempt uint32       // 0 until it is its turn
	unknown bool         // an earlier try may have reached the broker
	repeats bool         // the try under way has room in the budget

	// the try under way
	flight  *flight        // nil when there was no node, or the try has ended
	follows bool           // it is not the first event of its flight
	known   sync.WaitGroup // done when outcome is known
	outcome error
	err     error // why there was no node
}

// Ordered reports whether the event has a place among those of its key.
func (t *Transit) Ordered() bool { return t.place != nil }

// Attempts returns how many tries were made.
func (t *Transit) Attempts() uint32 { return t.attempt }

// Depart begins the passage of an event and makes its first try, with g if there is one.
// What the broker or the way to it says comes out of Arrive.
func (s *Sender) Depart(ctx context.Context, deadline time.Time, a Accepted, g *Gathering) *Transit {
	t := &Transit{Accepted: a, deadline: deadline}
	t.tried = t.space[:0]
	if s.opts.Tap.Active() {
		t.began = time.Now()
	}
	if t.Rule.Timeout > 0 {
		t.deadline = earliest(deadline, time.Now().Add(t.Rule.Timeout))
	}
	t.sending = s.opts.Metrics.Send(t.Backend.Topic, t.Backend.System)
	t.ctx, t.span = s.startSpan(ctx, t.Rule, t.Backend, t.Message)
	t.Message.Trace = broker.TraceContext(t.span.Hop())
	t.budget = s.budgets.of(t.Backend.Broker)
	t.budget.Begin()
	if key := t.Backend.Key(t.Message.Event); key != "" {
		t.place = s.lines.join(t.Backend.Topic, key)
	}
	switch {
	case !t.place.atOnce():
	case g == nil:
		s.opts.Metrics.Fast(metrics.PublishTry, 1)
		s.try(t)
	default:
		g.first(t)
	}
	return t
}

// Arrive goes on after the first try ended with err: it repeats the publish as the
// route's retry policy says, until it is confirmed, the failure is certain, or time
// is up. With a nil err it does not block. It is called once; the error is a refusal.
func (s *Sender) Arrive(t *Transit, err error) error {
	defer s.opts.InFlight.Give(t.Weight)
	if t.heldUp(err) {
		t.follows, t.attempt, t.tried = false, t.attempt-1, t.tried[:len(t.tried)-1] // it was no try
		s.slow(t)
		err = s.answer(t)
	}
	for err != nil && s.again(t, err) {
		s.slow(t)
		err = s.answer(t)
		t.endRepeat()
	}
	t.budget.End()
	t.place.leave()
	if err != nil {
		err = honest(err, t.unknown)
	}
	t.span.End(err)
	t.sending.End(t.ctx, err)
	if s.opts.Tap.Active() {
		s.show(t, err)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errTurn):
		return refusal.Late(broker.NotSent, err.Error())
	case t.attempt > 0 && t.over() && broker.OutcomeOf(err) == broker.Unknown:
		// What is known for certain is said by its own name instead.
		return refusal.Late(broker.OutcomeOf(err), err.Error())
	default:
		return refusal.FromBroker(err)
	}
}

// try writes the event once, on one node.
func (s *Sender) try(t *Transit) {
	if f := s.begin(t); f != nil {
		f.write()
	}
}

// slow is try for an event that has left the fast path: it waited for its turn or for room,
// or is repeated.
func (s *Sender) slow(t *Transit) {
	s.opts.Metrics.Slow(metrics.PublishTry, 1)
	s.try(t)
}

// Wait returns how the first try ended, which it makes when it is the event's turn
// only now.
func (s *Sender) Wait(t *Transit) error {
	if t.attempt > 0 {
		return s.answer(t)
	}
	if err := t.place.await(t.ctx, t.deadline); err != nil {
		return err
	}
	if !s.Live(t.Backend, t.Message) {
		return Expired()
	}
	s.slow(t)
	return s.answer(t)
}

// answer returns how the try under way ended.
func (s *Sender) answer(t *Transit) error {
	if t.err != nil {
		return t.err
	}
	t.known.Wait() // the driver tells it by the end of the flight's context
	err := t.outcome
	t.flight.landed()
	t.flight = nil
	t.sending.Answered(err)
	if err == nil || t.blames(err) {
		t.tried[len(t.tried)-1].Answered(err)
	}
	return err
}

// blames reports whether err speaks against the node: it lost the connection, or had
// all the time a try gets and did not confirm. A caller in a hurry proves nothing.
func (t *Transit) blames(err error) bool {
	switch broker.KindOf(err) {
	case broker.Closed:
		return true
	case broker.ConfirmTimeout:
		return !t.over()
	default:
		return false
	}
}

// again reports whether the event is to be tried once more, after having waited
// for the moment to do so.
func (s *Sender) again(t *Transit, err error) bool {
	t.unknown = t.unknown || broker.OutcomeOf(err) == broker.Unknown
	delay, covered := t.Rule.RetryPolicy.Next(t.attempt, err, s.opts.Random())
	if !covered || !t.sleep(delay) || !s.mayRepeat(t, err) {
		return false
	}
	// A broker may still hold the message, so the repeat gets one of its own.
	repeat := *t.Message
	repeat.Republished = t.unknown
	if !s.Live(t.Backend, &repeat) {
		t.endRepeat()
		return false
	}
	t.Message = &repeat
	t.span.Attempt(int(t.attempt), err)
	t.sending.Retry(err)
	return true
}

// honest makes the last error say unknown when any try was: a later certain
// failure does not undo an earlier publish that may have arrived.
func honest(err error, unknown bool) error {
	var be *broker.Error
	if !unknown || !errors.As(err, &be) || be.Outcome == broker.Unknown {
		return err
	}
	softened := *be
	softened.Outcome = broker.Unknown
	return &softened
}

// over reports whether the call's time is up.
func (t *Transit) over() bool { return t.ctx.Err() != nil || !time.Now().Before(t.deadline) }

// sleep waits and reports whether the call's time allows another try after that.
func (t *Transit) sleep(d time.Duration) bool {
	if time.Until(t.deadline) <= d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return t.ctx.Err() == nil
	case <-t.ctx.Done():
		return false
	}
}

func (s *Sender) startSpan(ctx context.Context, r *route.Rule, b *route.Backend, m *broker.Message) (context.Context, messaging.Span) {
	e := m.Event
	return s.opts.Tracing.StartPublish(ctx, messaging.Publish{
		System:           b.System,
		Exchange:         m.To.Exchange.Name,
		RoutingKey:       m.Key,
		Topic:            b.Topic.Name,
		EventID:          e.ID,
		EventSource:      e.Source,
		EventType:        e.Type,
		EventSubject:     e.Text(event.AttrSubject),
		EventTraceParent: e.Text(event.AttrTraceParent),
		EventTraceState:  e.Text(event.AttrTraceState),
		BodySize:         len(e.Data),
		ConfigVersion:    r.ConfigVersion,
	})
}

// show lets operators see a publish that ended with err.
func (s *Sender) show(t *Transit, err error) {
	m := t.Message
	sight := &tap.Sight{
		Stage: tap.Published, Event: m.Event, Topic: t.Backend.Topic, Route: t.Rule.Name,
		Exchange: m.To.Exchange.Name, RoutingKey: m.Key, TraceParent: m.Trace.Parent, Attempt: t.attempt, Err: err,
	}
	if !t.began.IsZero() {
		sight.Took = time.Since(t.began)
	}
	if asked, err := mesh.ParseName(t.Asked, s.opts.Namespace); err == nil {
		sight.Asked = asked
	}
	s.opts.Tap.Emit(sight)
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

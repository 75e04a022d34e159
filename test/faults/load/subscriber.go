package load

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/test/faults/history"
)

// Decision is what a subscriber does with a delivery. The zero value means that it
// never settles the delivery.
type Decision struct {
	Outcome history.Outcome
	// After is how long it works before it settles the delivery.
	After time.Duration
	// RetryAfter and Reason belong to Retry and Dead.
	RetryAfter time.Duration
	Reason     string
	// Crash ends the stream at once, without an outcome.
	Crash bool
}

// Subscriber is the service beside a sidecar. It subscribes, and subscribes again when
// its stream ends, until it is stopped.
type Subscriber struct {
	Recorder *history.Recorder
	Client   eventsv1.EventServiceClient
	// Subscription as "namespace/name", the name in the records.
	Subscription string
	// Consumer distinguishes the subscribers of one subscription.
	Consumer string
	// Decide is called for each delivery, by one goroutine. nil acknowledges.
	Decide func(d *eventsv1.Delivery) Decision
	// Beside, when set, is called first. It returns true when the event is not of the
	// load, with the decision about it. Such deliveries are not recorded.
	Beside func(d *eventsv1.Delivery) (Decision, bool)
	// Outstanding bounds the unsettled deliveries; 0 means the subscription's own
	// bound.
	Outstanding uint32

	// Streams counts the streams that became ready. Refused counts the settlements
	// without effect, which were too late or for a lost connection.
	Streams, Refused atomic.Int64
	// Unsettled is how many unsettled deliveries it holds, and Most the maximum so far.
	Unsettled, Most atomic.Int64
}

// Run subscribes until ctx ends.
func (s *Subscriber) Run(ctx context.Context) {
	for ctx.Err() == nil {
		s.receive(ctx)
		sleep(ctx, nil, repeatAfter)
	}
}

// session is one Subscribe stream.
type session struct {
	*Subscriber
	stream  eventsv1.EventService_SubscribeClient
	sending sync.Mutex // Send must not be called concurrently
	held    atomic.Int64
}

func (s *Subscriber) receive(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	stream, err := s.Client.Subscribe(ctx)
	if err != nil {
		cancel()
		return
	}
	c := &session{Subscriber: s, stream: stream}
	var working sync.WaitGroup
	defer func() {
		cancel()
		working.Wait()
		s.Unsettled.Add(-c.held.Load())
	}()
	_ = stream.Send(&eventsv1.SubscribeRequest{Request: &eventsv1.SubscribeRequest_Init{Init: &eventsv1.SubscribeInit{
		Subscription: s.Subscription, MaxOutstandingMessages: s.Outstanding, InitialCredit: 1 << 30,
	}}}) // Recv returns its error
	for {
		message, err := stream.Recv()
		if err != nil {
			return
		}
		if message.GetReady() != nil {
			s.Streams.Add(1)
		}
		s.Refused.Add(int64(len(message.GetSettled().GetResults())))
		if !c.handle(ctx, &working, message.GetDeliveries().GetDeliveries()) {
			return
		}
	}
}

// said is an outcome to be sent to the sidecar.
type said struct {
	settlement *eventsv1.Settlement
	receipt    history.Receipt
	outcome    history.Outcome
}

// handle records deliveries and does what is decided about each. Decisions without
// working time are settled in one message. It returns false when the service crashes.
func (c *session) handle(ctx context.Context, working *sync.WaitGroup, deliveries []*eventsv1.Delivery) bool {
	var now []said
	defer func() { c.settle(now) }()
	for _, d := range deliveries {
		receipt, decision := c.decide(d)
		s := said{decision.settlement(d.GetToken()), receipt, decision.Outcome}
		switch {
		case decision.Crash:
			return false
		case decision.Outcome == history.None: // the service forgets it
			c.held.Add(-1)
			c.Unsettled.Add(-1)
		case decision.After > 0:
			working.Go(func() {
				if sleep(ctx, nil, decision.After) {
					c.settle([]said{s})
				}
			})
		default:
			now = append(now, s)
		}
	}
	return true
}

// decide records a delivery and chooses its outcome.
func (c *session) decide(d *eventsv1.Delivery) (history.Receipt, Decision) {
	c.held.Add(1)
	if n := c.Unsettled.Add(1); n > c.Most.Load() {
		c.Most.Store(n)
	}
	if c.Beside != nil {
		if decision, ok := c.Beside(d); ok {
			return history.Receipt{}, decision
		}
	}
	receipt := c.note(d)
	if c.Decide != nil {
		return receipt, c.Decide(d)
	}
	return receipt, Decision{Outcome: history.Ack}
}

func (c *session) note(d *eventsv1.Delivery) history.Receipt {
	e := d.GetEvent()
	return c.Recorder.Deliver(history.Delivery{
		Subscription: c.Subscription, Consumer: c.Consumer,
		ID: e.GetId(), Key: keyOf(e), Seq: seqOf(e), Attempt: d.GetAttempt(), Redelivered: d.GetRedelivered(),
	})
}

var outcomes = [...]eventsv1.Outcome{
	history.Ack:   eventsv1.Outcome_OUTCOME_ACK,
	history.Retry: eventsv1.Outcome_OUTCOME_RETRY,
	history.Dead:  eventsv1.Outcome_OUTCOME_DEAD_LETTER,
}

func (d Decision) settlement(token string) *eventsv1.Settlement {
	s := &eventsv1.Settlement{Token: token, Outcome: outcomes[d.Outcome], Reason: d.Reason}
	if d.RetryAfter > 0 {
		s.RetryAfter = durationpb.New(d.RetryAfter)
	}
	return s
}

// settle sends outcomes. It records them before, so that no outcome that the sidecar
// acted on is missing. When sending fails, it records the reason.
func (c *session) settle(now []said) {
	if len(now) == 0 {
		return
	}
	settle := &eventsv1.SubscribeSettle{}
	for _, s := range now {
		c.Recorder.Settle(s.receipt, s.outcome, nil)
		settle.Settlements = append(settle.Settlements, s.settlement)
	}
	// Before sending: afterwards the sidecar may deliver more.
	c.held.Add(-int64(len(now)))
	c.Unsettled.Add(-int64(len(now)))
	c.sending.Lock()
	err := c.stream.Send(&eventsv1.SubscribeRequest{Request: &eventsv1.SubscribeRequest_Settle{Settle: settle}})
	c.sending.Unlock()
	if err == nil {
		return
	}
	for _, s := range now {
		c.Recorder.Settle(s.receipt, s.outcome, err)
	}
}

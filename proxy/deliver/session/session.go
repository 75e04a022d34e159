package session

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/deliver/delivery"
	"github.com/warrenmesh/warren/proxy/deliver/internal/intake"
	"github.com/warrenmesh/warren/proxy/deliver/internal/settler"
	"github.com/warrenmesh/warren/proxy/refusal"
	"github.com/warrenmesh/warren/proxy/snapshot"
)

const (
	defaultMaxBytes = 64 << 20
	maxAckDeadline  = 15 * time.Minute // well under RabbitMQ's consumer_timeout
	maxCredit       = 1 << 30
)

// session is one stream of deliveries. All its state belongs to the goroutine of run;
// others talk to it through channels:
//
//	reader ──requests──▶ run ◀──arrivals── intake (the driver's goroutine)
//	writer ◀──outbox───── │ ◀──concluded── settling goroutines
type session struct {
	*settler.Settler
	*wire
	server *Server
	limits limits

	arrivals  chan []*delivery.Delivery // unbuffered: intake waits for credit here
	consumed  chan error                // cap 1: Consume has returned
	losses    chan loss                 // unbuffered: channels that are gone
	concluded chan Settled              // of settlements that needed the broker's confirm
	room      atomic.Int64              // about how many more may be handed out

	// belongs to run
	credit   uint32
	held     *handouts
	name     mesh.Name
	others   uint32               // receivers of the subscription that were there before
	waiting  []*delivery.Delivery // came with others that left no room
	out      Response             // handed out, and not said yet
	suspect  *delivery.Delivery   // waits until nothing else is held
	isolated bool                 // what is held is to be the only one
	lapsed   lapsed
	results  []Settled  // not in a message yet
	pending  []Response // the outbox was full
	deserted bool       // the service ended the stream, not the sidecar
	lastSent time.Time
	settling sync.WaitGroup
}

// loss says that an epoch of a part is over, and with it what came in it.
type loss struct {
	part  string
	epoch uint64
}

// limits are what init asked for, within what the subscription allows.
type limits struct {
	messages    uint32
	bytes       uint64
	ackDeadline time.Duration // 0 means the subscription's
	results     bool
}

func (s *Server) newSession(w *wire, init Init) (*session, error) {
	name, err := mesh.ParseName(init.Subscription, s.opts.Namespace)
	if err != nil {
		return nil, refusal.Field(refusal.InvalidRequest, "init.subscription", `must be "name" or "namespace/name", `+mesh.NameRule)
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
		Settler:   settler.New(s.life, s.shared, name, sub),
		server:    s,
		wire:      w,
		limits:    lim,
		arrivals:  make(chan []*delivery.Delivery),
		losses:    make(chan loss),
		consumed:  make(chan error, 1),
		concluded: make(chan Settled),
		credit:    firstCredit(init, lim),
		held:      newHandouts(),
		name:      name,
	}
	if sub.PushPort != 0 {
		ss.others = 1
	}
	return ss, nil
}

func firstCredit(init Init, l limits) uint32 {
	if init.Credit == 0 && !init.AwaitCredit {
		return l.messages
	}
	return min(init.Credit, maxCredit)
}

func limitsOf(init Init, sub *snapshot.Subscription) (limits, error) {
	l := limits{messages: init.MaxMessages, bytes: init.MaxBytes, ackDeadline: init.AckDeadline, results: init.Results}
	if most := intake.Outstanding(sub.Subscription); l.messages == 0 || l.messages > most {
		l.messages = most
	}
	if l.bytes == 0 {
		l.bytes = defaultMaxBytes
	}
	if init.AwaitCredit && init.Credit > 0 {
		return l, refusal.Field(refusal.InvalidRequest, "init.initial_credit", "must be 0 with await_credit")
	}
	if l.ackDeadline < 0 || l.ackDeadline > maxAckDeadline {
		return l, refusal.Field(refusal.InvalidRequest, "init.ack_deadline", "must be between 0 and "+maxAckDeadline.String())
	}
	return l, nil
}

// run serves the stream until it ends and leaves nothing behind: every goroutine
// is joined and unsettled deliveries are back when it returns. Only
// the reader outlives it for a moment, until its door fails its Receive; and the writer,
// if the client does not read and Drain's time is up, until the door fails its Send.
func (ss *session) run(ctx context.Context) error {
	driver, err := ss.attach(ctx)
	if err != nil {
		return err
	}
	consumeCtx, stopConsuming := context.WithCancel(ctx)
	defer stopConsuming()
	ss.Use(driver, consumeCtx.Done())
	go ss.write()
	drain := ss.start(consumeCtx)
	ss.ready()
	err = ss.loop(ctx, stopConsuming)
	stopConsuming()
	ss.conclusions()
	now := time.Now()
	for _, h := range ss.held.byToken {
		if ss.deserted {
			ss.Crashed(h.Delivery, now) // before another stream can have it
		}
		h.End(settler.ErrEnded)
	}
	ss.Gone()
	drain()
	ss.flush(ctx)
	return err
}

// conclusions waits for what is being settled and takes down the results.
func (ss *session) conclusions() {
	go func() { ss.settling.Wait(); close(ss.concluded) }()
	for r := range ss.concluded {
		ss.note(r)
	}
	ss.pack()
}

// flush lets what was said reach the client before the stream's status does, unless
// the client is gone or does not read until Drain's time is up.
func (ss *session) flush(ctx context.Context) {
	for _, r := range ss.pending {
		select {
		case ss.outbox <- r:
		case <-ss.written:
		case <-ss.server.life.Done():
		case <-ctx.Done():
		}
	}
	close(ss.outbox)
	select {
	case <-ss.written:
	case <-ss.server.life.Done():
	}
}

// attach waits until the subscription exists on its broker and picks a node.
func (ss *session) attach(ctx context.Context) (broker.Driver, error) {
	sub := ss.Subscription()
	ctx, cancel := context.WithCancel(ctx)
	joined := make(chan struct{})
	go func() {
		defer close(joined)
		select {
		case <-ss.server.draining:
			cancel()
		case <-ctx.Done():
		}
	}()
	err := ss.server.intake.Ready(ctx, sub)
	cancel()
	<-joined
	select {
	case <-ss.server.draining:
		return nil, errDraining()
	default:
	}
	if err != nil {
		return nil, refusal.FromBroker(err)
	}
	driver, err := ss.server.intake.Pick(sub)
	return driver, refusal.FromBroker(err)
}

// start begins the flow of deliveries. The function returned waits for its end
// and gives back what is unsettled.
func (ss *session) start(ctx context.Context) (drain func()) {
	var giveBack func()
	done := make(chan struct{})
	go func() {
		defer close(done)
		var err error
		giveBack, err = ss.server.intake.Consume(ctx, ss.Settler, "", ss.limits.messages, intake.Sink{
			Offer: ss.offer, Room: func() int { return int(ss.room.Load()) },
			Lost: func(part string, epoch uint64) { ss.lose(ctx, loss{part, epoch}) },
		})
		ss.consumed <- err
	}()
	return func() {
		<-done
		if giveBack != nil {
			giveBack()
		}
	}
}

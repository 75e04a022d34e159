package events

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
)

// drainTimeout bounds how long a stopping subscriber waits for its sidecar to
// take the last settlements.
const drainTimeout = 3 * time.Second

// Subscriber receives the events of one subscription.
type Subscriber struct {
	// Client of the sidecar.
	Client eventsv1.EventServiceClient
	// Subscription to open: "billing", or "shop/billing".
	Subscription string
	// Window bounds the deliveries held at once, all of them in handlers; 0 means 64.
	Window uint32
	// Backoff before the first reconnection; it doubles up to 20 times that. 0 means
	// 100 ms.
	Backoff time.Duration
	// Ready is called each time the stream is open and the subscription consumed;
	// nil means nobody wants to know.
	Ready func(*eventsv1.SubscribeReady)
	// Handle works on one delivery and returns what became of it; the token is
	// filled in. Calls are concurrent, at most Window. ctx ends when the stream
	// does: the outcome could not be reported any more and the event comes again.
	Handle func(context.Context, *eventsv1.Delivery) *eventsv1.Settlement
	// Log gets a line for each lost stream and each settlement without effect.
	Log *slog.Logger
}

// Run keeps the subscription open until ctx ends: a stream that breaks is opened
// again after a backoff. When ctx ends it takes no more deliveries, waits for the
// handlers at work, reports their outcomes and returns.
func (s *Subscriber) Run(ctx context.Context) {
	wait := newBackoff(s.Backoff)
	for ctx.Err() == nil {
		opened, err := s.openAndServe(ctx)
		if ctx.Err() != nil {
			return
		}
		if opened {
			wait.Reset()
		}
		delay := wait.NextBackOff()
		s.Log.Warn("subscription stream ended", "subscription", s.Subscription, "error", err, "again_in", delay.String())
		if sleep(ctx, delay) != nil {
			return
		}
	}
}

// openAndServe lives as long as one stream. It reports whether the sidecar said
// ready.
func (s *Subscriber) openAndServe(ctx context.Context) (opened bool, err error) {
	// The stream outlives ctx: handlers at work shall be able to settle.
	streamCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	opening := context.AfterFunc(ctx, cancel) // else it would wait for a sidecar that is away
	stream, err := s.Client.Subscribe(streamCtx)
	if err != nil {
		return false, err
	}
	opening()
	if err := stream.Send(s.init()); err != nil {
		return false, err
	}
	return newSession(s, stream, cancel).serve(ctx)
}

func (s *Subscriber) window() uint32 {
	if s.Window == 0 {
		return 64
	}
	return s.Window
}

func (s *Subscriber) init() *eventsv1.SubscribeRequest {
	return &eventsv1.SubscribeRequest{Request: &eventsv1.SubscribeRequest_Init{Init: &eventsv1.SubscribeInit{
		Subscription:           s.Subscription,
		MaxOutstandingMessages: s.window(),
		InitialCredit:          s.window(),
	}}}
}

// session is the state of one stream. The goroutine in serve owns it and is the
// only one that sends; one other goroutine receives; each delivery in work has one.
type session struct {
	*Subscriber
	stream   eventsv1.EventService_SubscribeClient
	cancel   context.CancelFunc // ends the stream
	incoming chan *eventsv1.SubscribeResponse
	settled  chan *eventsv1.Settlement
	ended    chan error // the receiver's last word, sent once

	working  sync.WaitGroup // receiver and handlers
	inFlight int
	opened   bool
}

func newSession(s *Subscriber, stream eventsv1.EventService_SubscribeClient, cancel context.CancelFunc) *session {
	return &session{
		Subscriber: s,
		stream:     stream,
		cancel:     cancel,
		incoming:   make(chan *eventsv1.SubscribeResponse),
		settled:    make(chan *eventsv1.Settlement, s.window()),
		ended:      make(chan error, 1),
	}
}

// serve returns when the stream has ended and all goroutines with it.
func (s *session) serve(ctx context.Context) (bool, error) {
	defer s.working.Wait()
	defer s.cancel()
	s.working.Go(s.receive)
	stop := ctx.Done()
	stopping, closed := false, false
	for {
		select {
		case resp := <-s.incoming:
			s.take(resp, stopping)
		case settlement := <-s.settled:
			if err := s.settle(settlement, !stopping); err != nil && !errors.Is(err, io.EOF) {
				return s.opened, err
			} // io.EOF: the reason comes through ended
		case err := <-s.ended:
			return s.opened, err
		case <-stop:
			stop, stopping = nil, true
		}
		if stopping && s.inFlight == 0 && !closed {
			closed = true
			if err := s.stream.CloseSend(); err != nil {
				return s.opened, err
			}
			defer time.AfterFunc(drainTimeout, s.cancel).Stop()
		}
	}
}

func (s *session) receive() {
	for {
		resp, err := s.stream.Recv()
		if err != nil {
			s.ended <- err
			return
		}
		select {
		case s.incoming <- resp:
		case <-s.stream.Context().Done():
			s.ended <- s.stream.Context().Err()
			return
		}
	}
}

// take handles one message of the sidecar. Deliveries that arrive while the
// service stops are left alone: the broker gives them to somebody else.
func (s *session) take(resp *eventsv1.SubscribeResponse, stopping bool) {
	switch r := resp.GetResponse().(type) {
	case *eventsv1.SubscribeResponse_Ready:
		s.opened = true
		if s.Ready != nil {
			s.Ready(r.Ready)
		}
	case *eventsv1.SubscribeResponse_Deliveries:
		if stopping {
			return
		}
		for _, delivery := range r.Deliveries.GetDeliveries() {
			s.inFlight++
			s.working.Go(func() { s.work(delivery) })
		}
	case *eventsv1.SubscribeResponse_Settled:
		for _, result := range r.Settled.GetResults() {
			if st := result.GetStatus(); st != nil {
				s.Log.Info("settlement had no effect", "subscription", s.Subscription, "reason", st.GetMessage())
			}
		}
	}
}

func (s *session) work(delivery *eventsv1.Delivery) {
	settlement := s.Handle(s.stream.Context(), delivery)
	settlement.Token = delivery.GetToken()
	select {
	case s.settled <- settlement:
	case <-s.stream.Context().Done():
	}
}

// settle reports a settlement and all others that are waiting, and gives the
// sidecar as many new permits.
func (s *session) settle(first *eventsv1.Settlement, more bool) error {
	batch := []*eventsv1.Settlement{first}
	for len(s.settled) > 0 {
		batch = append(batch, <-s.settled)
	}
	s.inFlight -= len(batch)
	err := s.stream.Send(&eventsv1.SubscribeRequest{Request: &eventsv1.SubscribeRequest_Settle{
		Settle: &eventsv1.SubscribeSettle{Settlements: batch},
	}})
	if err != nil || !more {
		return err
	}
	return s.stream.Send(&eventsv1.SubscribeRequest{Request: &eventsv1.SubscribeRequest_Credit{
		Credit: &eventsv1.SubscribeCredit{Messages: uint32(len(batch))}, //nolint:gosec // at most the window
	}})
}

package client

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"go.opentelemetry.io/otel/propagation"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
)

// session is the state of one stream. The goroutine in serve owns it and is the
// only one that sends; one other goroutine receives; each delivery in work has one.
type session struct {
	*subscriber
	stream   eventsv1.EventService_SubscribeClient
	cancel   context.CancelFunc // ends the stream
	incoming chan *eventsv1.SubscribeResponse
	settled  chan *eventsv1.Settlement
	ended    chan error // the receiver's last word, sent once

	working  sync.WaitGroup // receiver and handlers
	inFlight int
	opened   bool
}

func newSession(s *subscriber, stream eventsv1.EventService_SubscribeClient, cancel context.CancelFunc) *session {
	return &session{
		subscriber: s,
		stream:     stream,
		cancel:     cancel,
		incoming:   make(chan *eventsv1.SubscribeResponse),
		settled:    make(chan *eventsv1.Settlement, s.Window),
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
			failure := resultOf(&eventsv1.PublishResult{Status: result.GetStatus()}).Err
			var late *Error
			if errors.As(failure, &late) && s.Ineffective != nil {
				s.Ineffective(late)
			}
		}
	}
}

func (s *session) work(delivery *eventsv1.Delivery) {
	ctx := propagation.TraceContext{}.Extract(s.stream.Context(), propagation.MapCarrier(delivery.GetTraceContext()))
	settlement := settlementOf(delivery.GetToken(), s.handle(ctx, delivery))
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

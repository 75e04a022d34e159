// Package receiver takes the events of one subscription from a sidecar, one
// Subscribe stream long.
//
// It owns the stream: credit, settlements and a clean end. What is done with a
// delivery is the caller's. Run may be called from several goroutines; its
// callbacks are called from the goroutine that called it, one at a time.
//
// It has a stream of its own and not client.Subscribe: the command wants one stream,
// no reconnection, one delivery after the other in the order they came, exactly as
// many as it asked for, some of them never settled, and the result of each settlement.
//
//	stats, err := receiver.Run(ctx, client, receiver.Options{
//		Subscription: "billing",
//		Outcome:      eventsv1.Outcome_OUTCOME_ACK,
//		Deliver:      func(d *eventsv1.Delivery) error { ... },
//	})
package receiver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
)

// Client is the part of the event API the receiver calls.
type Client interface {
	Subscribe(context.Context, ...grpc.CallOption) (grpc.BidiStreamingClient[eventsv1.SubscribeRequest, eventsv1.SubscribeResponse], error)
}

// Options tune a Run.
type Options struct {
	// Subscription to receive from; required.
	Subscription string
	// Outcome of every delivery; OUTCOME_UNSPECIFIED settles none, so that they go
	// back to the queue when the stream ends.
	Outcome eventsv1.Outcome
	// RetryAfter goes with OUTCOME_RETRY; 0 leaves it to the subscription.
	RetryAfter time.Duration
	// Reason goes with OUTCOME_RETRY and OUTCOME_DEAD_LETTER.
	Reason string
	// Count ends the run after so many deliveries; 0 means never.
	Count int64
	// Window bounds the deliveries on their way; 0 means 64.
	Window uint32
	// Grace is how long the end waits for the sidecar to confirm settlements; 0
	// means 5 s.
	Grace time.Duration
	// Ready is called once, when the subscription is being consumed; may be nil.
	Ready func(*eventsv1.SubscribeReady)
	// Deliver is called for each delivery before it is settled. Its error ends the
	// run with the delivery unsettled.
	Deliver func(*eventsv1.Delivery) error
}

// Stats counts a run.
type Stats struct {
	Delivered int64
	Settled   int64 // confirmed by the sidecar
}

// Run receives until Count is reached, ctx ends or the stream breaks. The end of
// ctx is a clean end: what was delivered is settled first. A settlement without
// effect is an error: the event comes again.
func Run(ctx context.Context, client Client, o Options) (Stats, error) {
	if o.Window == 0 {
		o.Window = 64
	}
	if o.Grace == 0 {
		o.Grace = 5 * time.Second
	}
	// The stream outlives ctx, so that it can be ended in order.
	streaming, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stream, err := client.Subscribe(streaming)
	if err != nil {
		cancel()
		return Stats{}, err
	}
	s := &session{opts: o, stream: stream}
	responses := make(chan *eventsv1.SubscribeResponse)
	broken := make(chan error, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		broken <- receive(streaming, stream, responses)
	}()
	defer func() { <-done }()
	defer cancel()

	if err := s.open(); err == nil {
		err = s.loop(ctx, responses, broken)
		return s.stats, err
	}
	return s.stats, s.whyEnded(responses, broken)
}

// receive passes responses on until the stream ends; the error is never nil.
func receive(ctx context.Context, stream grpc.BidiStreamingClient[eventsv1.SubscribeRequest, eventsv1.SubscribeResponse],
	responses chan<- *eventsv1.SubscribeResponse,
) error {
	for {
		resp, err := stream.Recv()
		if err != nil {
			return err
		}
		select {
		case responses <- resp:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// session is one stream; it belongs to the goroutine in Run.
type session struct {
	opts   Options
	stream grpc.BidiStreamingClient[eventsv1.SubscribeRequest, eventsv1.SubscribeResponse]
	stats  Stats

	granted  int64 // permits given so far
	awaiting int64 // settlements the sidecar has not answered
	problems []error
	ending   bool
}

func (s *session) open() error {
	s.granted = s.want(int64(s.opts.Window))
	return s.send(&eventsv1.SubscribeRequest{Request: &eventsv1.SubscribeRequest_Init{Init: &eventsv1.SubscribeInit{
		// No more is prefetched than is wanted, so that neighbours are not marked as
		// redelivered for having been looked past.
		Subscription: s.opts.Subscription, MaxOutstandingMessages: min(s.opts.Window, uint32(s.granted)),
		InitialCredit: uint32(s.granted), SettleResults: true,
	}}})
}

// want bounds a total of permits by Count.
func (s *session) want(total int64) int64 {
	if s.opts.Count > 0 {
		return min(total, s.opts.Count)
	}
	return total
}

func (s *session) send(r *eventsv1.SubscribeRequest) error {
	if err := s.stream.Send(r); err != nil {
		return fmt.Errorf("send to sidecar: %w", err)
	}
	return nil
}

func (s *session) loop(ctx context.Context, responses <-chan *eventsv1.SubscribeResponse, broken <-chan error) error {
	stop := ctx.Done()
	var grace <-chan time.Time
	for {
		if s.ending && s.awaiting == 0 {
			_ = s.stream.CloseSend() // the stream is cancelled next
			return errors.Join(s.problems...)
		}
		if s.ending && grace == nil {
			timer := time.NewTimer(s.opts.Grace)
			defer timer.Stop()
			grace, stop = timer.C, nil
		}
		select {
		case <-stop:
			s.ending = true
		case <-grace:
			return errors.Join(append(s.problems,
				fmt.Errorf("%d settlements were not answered; their events may come again", s.awaiting))...)
		case err := <-broken:
			return s.ended(err)
		case resp := <-responses:
			if err := s.take(resp); err != nil {
				if errors.Is(err, io.EOF) {
					return s.whyEnded(responses, broken)
				}
				return err
			}
		}
	}
}

// whyEnded says why a Send failed, which itself says only EOF: Recv knows. What came
// before the end is not looked at.
func (s *session) whyEnded(responses <-chan *eventsv1.SubscribeResponse, broken <-chan error) error {
	for {
		select {
		case <-responses:
		case err := <-broken:
			return s.ended(err)
		}
	}
}

// ended explains the end of the stream that the sidecar chose.
func (s *session) ended(err error) error {
	if errors.Is(err, io.EOF) {
		err = errors.New("the sidecar ended the stream")
	}
	if len(s.problems) == 0 {
		return err
	}
	return errors.Join(append(s.problems, err)...)
}

func (s *session) take(resp *eventsv1.SubscribeResponse) error {
	switch r := resp.GetResponse().(type) {
	case *eventsv1.SubscribeResponse_Ready:
		if s.opts.Ready != nil {
			s.opts.Ready(r.Ready)
		}
	case *eventsv1.SubscribeResponse_Deliveries:
		for _, d := range r.Deliveries.GetDeliveries() {
			if err := s.deliver(d); err != nil {
				return err
			}
		}
	case *eventsv1.SubscribeResponse_Settled:
		s.settled(r.Settled.GetResults())
	}
	return nil
}

// deliver hands one delivery over and settles it. After the end began, deliveries
// are left alone: they go back to the queue.
func (s *session) deliver(d *eventsv1.Delivery) error {
	if s.ending {
		return nil
	}
	if err := s.opts.Deliver(d); err != nil {
		return err
	}
	s.stats.Delivered++
	s.ending = s.opts.Count > 0 && s.stats.Delivered >= s.opts.Count
	if s.opts.Outcome != eventsv1.Outcome_OUTCOME_UNSPECIFIED {
		if err := s.settle(d.GetToken()); err != nil {
			return err
		}
	}
	return s.refill()
}

func (s *session) settle(token string) error {
	settlement := &eventsv1.Settlement{Token: token, Outcome: s.opts.Outcome, Reason: s.opts.Reason}
	if s.opts.RetryAfter > 0 {
		settlement.RetryAfter = durationpb.New(s.opts.RetryAfter)
	}
	s.awaiting++
	return s.send(&eventsv1.SubscribeRequest{Request: &eventsv1.SubscribeRequest_Settle{
		Settle: &eventsv1.SubscribeSettle{Settlements: []*eventsv1.Settlement{settlement}},
	}})
}

// refill grants new permits when half of the window is used up.
func (s *session) refill() error {
	window := int64(s.opts.Window)
	if s.granted-s.stats.Delivered > window/2 {
		return nil
	}
	more := s.want(s.stats.Delivered+window) - s.granted
	if more <= 0 {
		return nil
	}
	s.granted += more
	return s.send(&eventsv1.SubscribeRequest{Request: &eventsv1.SubscribeRequest_Credit{
		Credit: &eventsv1.SubscribeCredit{Messages: uint32(more)},
	}})
}

// maxProblems bounds what is remembered of settlements without effect.
const maxProblems = 10

func (s *session) settled(results []*eventsv1.SettleResult) {
	for _, r := range results {
		s.awaiting--
		if r.GetStatus() == nil {
			s.stats.Settled++
		} else if len(s.problems) < maxProblems {
			s.problems = append(s.problems,
				fmt.Errorf("a settlement had no effect, its event comes again: %s", r.GetStatus().GetMessage()))
		}
	}
}

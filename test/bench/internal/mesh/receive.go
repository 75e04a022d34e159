package mesh

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/test/bench/internal/load"
)

var errNotReady = errors.New("the first answer is not ready")

// credit is more than any run delivers, so that only the prefetch bounds the
// deliveries.
const credit = 1 << 30

// subscribe opens a stream whose subscription is ready.
func (m *Mesh) subscribe(ctx context.Context, credit uint32) (eventsv1.EventService_SubscribeClient, error) {
	stream, err := m.subscribing.Subscribe(ctx)
	if err != nil {
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	_ = stream.Send(&eventsv1.SubscribeRequest{Request: &eventsv1.SubscribeRequest_Init{Init: &eventsv1.SubscribeInit{
		Subscription: subscription, InitialCredit: credit,
	}}}) // Recv returns its error
	first, err := stream.Recv()
	if err == nil && first.GetReady() == nil {
		err = errNotReady
	}
	if err != nil {
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	return stream, nil
}

// awaitQueue returns when the subscription's queue exists.
func (m *Mesh) awaitQueue(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	stream, err := m.subscribe(ctx, 0)
	if err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return fmt.Errorf("close the subscription: %w", err)
	}
	for err == nil {
		_, err = stream.Recv()
	}
	return ignoreEOF(err)
}

// Receive implements load.Target. The deliveries of one message are settled by one
// message.
func (m *Mesh) Receive(ctx context.Context, sink *load.Sink) error {
	ctx, cancel := context.WithCancel(ctx) // ends the stream in every case
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	stream, err := m.subscribe(ctx, credit)
	if err != nil {
		return err
	}
	sink.Open()
	c := &consumer{stream: stream, sink: sink}
	ended := make(chan struct{})
	g.Go(func() error {
		defer close(ended)
		return c.run()
	})
	g.Go(func() error {
		select {
		case <-sink.Done():
			return c.close()
		case <-ended:
			return nil
		}
	})
	return g.Wait()
}

// consumer is one Subscribe stream.
type consumer struct {
	stream eventsv1.EventService_SubscribeClient
	sink   *load.Sink
	mu     sync.Mutex // held from receiving deliveries until they are settled
}

// run returns when the sidecar ends the stream, after all settlements have taken
// effect.
func (c *consumer) run() error {
	settle := &eventsv1.SubscribeSettle{}
	request := &eventsv1.SubscribeRequest{Request: &eventsv1.SubscribeRequest_Settle{Settle: settle}}
	for {
		response, err := c.stream.Recv()
		if err != nil {
			return ignoreEOF(err)
		}
		for _, result := range response.GetSettled().GetResults() {
			return fmt.Errorf("a settlement had no effect: %s", result.GetStatus().GetMessage())
		}
		if err := c.settle(response.GetDeliveries().GetDeliveries(), settle, request); err != nil {
			return err
		}
	}
}

func (c *consumer) settle(deliveries []*eventsv1.Delivery, settle *eventsv1.SubscribeSettle, request *eventsv1.SubscribeRequest) error {
	if len(deliveries) == 0 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	settle.Settlements = settle.Settlements[:0]
	for _, d := range deliveries {
		if err := c.sink.Receive(d.GetEvent().GetBinaryData(), d.GetRedelivered()); err != nil {
			return err
		}
		settle.Settlements = append(settle.Settlements, &eventsv1.Settlement{Token: d.GetToken(), Outcome: eventsv1.Outcome_OUTCOME_ACK})
	}
	return ignoreEOF(c.stream.Send(request)) // Recv returns the reason
}

// close ends the stream. The sink becomes done inside settle, so the last settlements
// are sent when the lock is free.
func (c *consumer) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stream.CloseSend()
}

// Command subscribe receives events: subscribe TARGET SUBSCRIPTION, until SIGTERM.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/docs/clients/go/internal/sidecar"
)

// window bounds the deliveries held at once.
const window = 64

func main() {
	if err := run(os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

func run(target, subscription string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	conn, err := sidecar.Dial(target)
	if err != nil {
		return err
	}
	defer conn.Close()
	client := eventsv1.NewEventServiceClient(conn)
	for attempt := 0; ctx.Err() == nil; attempt++ {
		ready, err := receive(ctx, client, subscription)
		if ctx.Err() != nil {
			return nil
		}
		if ready {
			attempt = 0
		}
		wait, ok := sidecar.Again(err, attempt)
		if !ok {
			return err
		}
		fmt.Println("again", err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
	return nil
}

// receive lives as long as one stream. One goroutine works on all deliveries;
// whoever has more of them still sends from one only. It says whether the sidecar was
// ready, and why the stream ended.
func receive(ctx context.Context, client eventsv1.EventServiceClient, subscription string) (ready bool, err error) {
	alive, cancel := context.WithCancel(context.WithoutCancel(ctx)) // it outlives ctx, for the last settlement
	defer cancel()
	opening := context.AfterFunc(ctx, cancel) // else it would wait for a sidecar that is away
	stream, err := client.Subscribe(alive)
	if err != nil {
		return false, err
	}
	opening()
	err = stream.Send(&eventsv1.SubscribeRequest{Request: &eventsv1.SubscribeRequest_Init{Init: &eventsv1.SubscribeInit{
		Subscription: subscription, MaxOutstandingMessages: window, // the credit is as much, unless it is said
	}}})
	if err != nil && !errors.Is(err, io.EOF) { // io.EOF: the reason comes through ended
		return false, err
	}
	answers := make(chan *eventsv1.SubscribeResponse)
	ended := make(chan error, 1)
	go func() {
		for {
			answer, err := stream.Recv()
			if err != nil {
				ended <- err
				return
			}
			select {
			case answers <- answer:
			case <-alive.Done():
				return
			}
		}
	}()
	for {
		select {
		case answer := <-answers:
			ready = ready || answer.GetReady() != nil
			if err := handle(ctx, stream, answer); err != nil && !errors.Is(err, io.EOF) {
				return ready, err
			} // io.EOF: as above
		case err := <-ended:
			return ready, err
		case <-ctx.Done():
			return ready, errors.Join(stream.CloseSend(), <-ended) // nothing is in work
		}
	}
}

func handle(ctx context.Context, stream eventsv1.EventService_SubscribeClient, answer *eventsv1.SubscribeResponse) error {
	if answer.GetReady() != nil {
		fmt.Println("ready")
	}
	for _, d := range answer.GetDeliveries().GetDeliveries() {
		select {
		case <-ctx.Done():
			return nil // the rest is left alone: the broker gives it to somebody else
		default:
		}
		settlement := work(d.GetEvent())
		settlement.Token = d.GetToken()
		err := stream.Send(&eventsv1.SubscribeRequest{Request: &eventsv1.SubscribeRequest_Settle{
			Settle: &eventsv1.SubscribeSettle{Settlements: []*eventsv1.Settlement{settlement}},
		}})
		if err != nil {
			return err
		}
		err = stream.Send(&eventsv1.SubscribeRequest{Request: &eventsv1.SubscribeRequest_Credit{
			Credit: &eventsv1.SubscribeCredit{Messages: 1},
		}})
		if err != nil {
			return err
		}
	}
	return nil
}

// work is the service's own. An event may come twice, with the same source and id.
func work(event *eventsv1.CloudEvent) *eventsv1.Settlement {
	if !json.Valid(event.GetBinaryData()) {
		fmt.Println("refused", event.GetId())
		return &eventsv1.Settlement{Outcome: eventsv1.Outcome_OUTCOME_DEAD_LETTER, Reason: "not JSON"}
	}
	fmt.Println("received", event.GetId())
	return &eventsv1.Settlement{Outcome: eventsv1.Outcome_OUTCOME_ACK}
}

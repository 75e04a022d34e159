// Command publish publishes events one by one: publish TARGET TOPIC PREFIX COUNT.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/docs/clients/go/internal/sidecar"
)

func main() {
	if err := run(os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
		log.Fatal(err)
	}
}

func run(target, topic, prefix, number string) error {
	count, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	conn, err := sidecar.Dial(target)
	if err != nil {
		return err
	}
	defer conn.Close()
	client := eventsv1.NewEventServiceClient(conn)
	for n := range count {
		event := sidecar.NewEvent(fmt.Sprintf("%s-%d", prefix, n), map[string]int{"n": n})
		if err := publish(ctx, client, topic, event); err != nil {
			return fmt.Errorf("publish %s: %w", event.GetId(), err)
		}
		fmt.Println("confirmed", event.GetId())
	}
	return nil
}

// publish returns when the broker has the event, or when it never will: repeating
// cannot help.
func publish(ctx context.Context, client eventsv1.EventServiceClient, topic string, event *eventsv1.CloudEvent) error {
	for attempt := 0; ; attempt++ {
		call, cancel := context.WithTimeout(ctx, 5*time.Second)
		_, err := client.Publish(call, &eventsv1.PublishRequest{Topic: topic, Event: event})
		cancel()
		if err == nil {
			return nil
		}
		wait, ok := sidecar.Again(err, attempt)
		if !ok {
			return err
		}
		reason, outcome := sidecar.Reason(err)
		fmt.Println("again", event.GetId(), reason, outcome)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

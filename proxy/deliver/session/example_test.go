package session_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/deliver"
	"github.com/warrenmesh/warren/proxy/deliver/session"
	"github.com/warrenmesh/warren/proxy/refusal"
	"github.com/warrenmesh/warren/proxy/snapshot"
	"github.com/warrenmesh/warren/tracing"
)

// stream is a client that makes one request.
type stream struct{ says chan session.Request }

func say(r session.Request) *stream {
	s := &stream{make(chan session.Request, 1)}
	s.says <- r
	close(s.says)
	return s
}

// Context implements session.Stream.
func (s *stream) Context() context.Context { return context.Background() }

// Receive implements session.Stream.
func (s *stream) Receive() (session.Request, error) {
	r, ok := <-s.says
	if !ok {
		return nil, io.EOF
	}
	return r, nil
}

// Send implements session.Stream.
func (s *stream) Send(session.Response) error { return nil }

// nothing is a configuration without subscriptions.
type nothing struct{}

func (nothing) Subscription(name mesh.Name) (*snapshot.Subscription, <-chan struct{}, error) {
	return nil, nil, refusal.Missing(refusal.SubscriptionUnknown, "EventSubscription", name.String(), "no such subscription")
}

// A stream begins with an Init for a subscription of the configuration, or is refused.
func ExampleInit() {
	service := deliver.New(deliver.Options{
		Namespace: "shop", Subscriptions: nothing{},
		Tracing: tracing.Disabled().Messaging(), Logger: slog.New(slog.DiscardHandler),
	})
	fmt.Println(service.Subscribe(say(session.Credit(10))))
	fmt.Println(service.Subscribe(say(session.Init{Subscription: "billing", Credit: 10})))
	// Output:
	// init: must be the first message of the stream
	// no such subscription
}

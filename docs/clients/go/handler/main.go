// Command handler has events pushed to it: handler ADDRESS, until SIGTERM.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
)

type handler struct {
	eventsv1.UnimplementedEventHandlerServiceServer
}

// OnEvent is called concurrently, at most as often as the subscription's prefetch.
// ctx ends with the ack deadline. An error of code INVALID_ARGUMENT refuses the
// event for good; any other makes it come again.
func (handler) OnEvent(_ context.Context, req *eventsv1.OnEventRequest) (*eventsv1.OnEventResponse, error) {
	if !json.Valid(req.GetEvent().GetBinaryData()) {
		fmt.Println("refused", req.GetEvent().GetId())
		return nil, status.Error(codes.InvalidArgument, "not JSON")
	}
	fmt.Println("received", req.GetEvent().GetId())
	return &eventsv1.OnEventResponse{Outcome: eventsv1.Outcome_OUTCOME_ACK}, nil
}

func main() {
	if err := run(os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func run(address string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	eventsv1.RegisterEventHandlerServiceServer(server, handler{})
	checks := health.NewServer() // "" is SERVING from the beginning
	healthv1.RegisterHealthServer(server, checks)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		<-ctx.Done()
		checks.Shutdown()     // the sidecar takes no more events from the queue
		server.GracefulStop() // those in work are answered
	}()
	fmt.Println("ready")
	if err := server.Serve(listener); err != nil {
		return err
	}
	<-stopped
	return nil
}

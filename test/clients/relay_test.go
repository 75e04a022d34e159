package clients

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
)

// The faults of the relay.
const (
	hiddenCall   = 3   // this unary publish reaches the broker, and the relay answers "unknown"
	cutEntries   = 100 // as many entries of the first publish stream reach the broker
	cutAnswers   = 50  // and as many of them are answered before the stream breaks
	cutDelivered = 10  // deliveries of the first subscription stream before it breaks
)

// relay is a proxy in front of a real sidecar. It lets events through and loses
// answers. Each fault happens once.
type relay struct {
	eventsv1.UnimplementedEventServiceServer
	sidecar eventsv1.EventServiceClient

	mu                        sync.Mutex // guards all below
	calls, streams, receivers int
}

// startRelay returns the relay's address.
func startRelay(t *testing.T, sidecar string) string {
	t.Helper()
	conn, err := grpc.NewClient(sidecar, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	eventsv1.RegisterEventServiceServer(server, &relay{sidecar: eventsv1.NewEventServiceClient(conn)})
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() {
		server.Stop()
		serving.Wait()
		_ = conn.Close()
	})
	return listener.Addr().String()
}

// next increments a counter and returns it, from 1.
func (r *relay) next(counter *int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	*counter++
	return *counter
}

// unknown is the error that a sidecar returns for a lost confirm.
func unknown(reason string) *status.Status {
	st, err := status.New(codes.Unavailable, "the relay hides the answer").WithDetails(
		&errdetails.ErrorInfo{Reason: reason, Domain: "warrenmesh.io", Metadata: map[string]string{"outcome": "unknown"}},
		&errdetails.RetryInfo{RetryDelay: durationpb.New(20 * time.Millisecond)},
	)
	if err != nil {
		panic(err)
	}
	return st
}

func (r *relay) Publish(ctx context.Context, req *eventsv1.PublishRequest) (*eventsv1.PublishResponse, error) {
	res, err := r.sidecar.Publish(ctx, req)
	if err == nil && r.next(&r.calls) == hiddenCall {
		return nil, unknown("CONFIRM_TIMEOUT").Err()
	}
	return res, err
}

func (r *relay) PublishStream(down eventsv1.EventService_PublishStreamServer) error {
	if r.next(&r.streams) == 1 {
		return r.cutStream(down)
	}
	ctx, cancel := context.WithCancel(down.Context())
	defer cancel()
	up, err := r.sidecar.PublishStream(ctx)
	if err != nil {
		return err
	}
	return pass(up, down, func(*eventsv1.PublishStreamResponse) error { return nil })
}

// cutStream sends entries to the broker one by one. It answers the first of them in the
// wrong order, one with an unknown outcome, and breaks the stream.
func (r *relay) cutStream(down eventsv1.EventService_PublishStreamServer) error {
	var open []*eventsv1.PublishStreamResult
	for taken := 0; taken < cutEntries; {
		req, err := down.Recv()
		if err != nil {
			return err
		}
		for _, e := range req.GetEntries() {
			res, err := r.sidecar.Publish(down.Context(), &eventsv1.PublishRequest{Topic: req.GetTopic(), Event: e.GetEvent()})
			if err != nil {
				return err
			}
			open = append(open, &eventsv1.PublishStreamResult{
				RequestId: e.GetRequestId(), Result: &eventsv1.PublishResult{Response: res},
			})
			if taken++; taken == cutAnswers {
				if err := answerBadly(down, open); err != nil {
					return err
				}
			}
		}
	}
	return unknown("DRAINING").Err()
}

// answerBadly answers the last entry first, and the first one with an unknown outcome.
func answerBadly(down eventsv1.EventService_PublishStreamServer, results []*eventsv1.PublishStreamResult) error {
	lost := unknown("CONNECTION_LOST").Proto()
	results[0].Result = &eventsv1.PublishResult{Status: &eventsv1.Status{
		Code: lost.GetCode(), Message: lost.GetMessage(), Details: lost.GetDetails(),
	}}
	slices.Reverse(results)
	return down.Send(&eventsv1.PublishStreamResponse{Results: results, Window: 1024})
}

func (r *relay) Subscribe(down eventsv1.EventService_SubscribeServer) error {
	left := -1
	if r.next(&r.receivers) == 1 {
		left = cutDelivered
	}
	ctx, cancel := context.WithCancel(down.Context())
	defer cancel()
	up, err := r.sidecar.Subscribe(ctx)
	if err != nil {
		return err
	}
	return pass(up, down, func(res *eventsv1.SubscribeResponse) error {
		if left < 0 {
			return nil
		}
		if left -= len(res.GetDeliveries().GetDeliveries()); left < 0 {
			return unknown("DRAINING").Err()
		}
		return nil
	})
}

// pass relays both directions until the sidecar ends the stream or each returns an
// error.
func pass[Req, Res any](up grpc.BidiStreamingClient[Req, Res], down grpc.BidiStreamingServer[Req, Res], each func(*Res) error) error {
	go func() { // ends when the caller has returned, because Recv then fails
		for {
			req, err := down.Recv()
			if errors.Is(err, io.EOF) {
				_ = up.CloseSend() // up.Recv returns the error
				return
			}
			if err != nil || up.Send(req) != nil {
				return
			}
		}
	}()
	for {
		res, err := up.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := each(res); err != nil {
			return err
		}
		if err := down.Send(res); err != nil {
			return err
		}
	}
}

package clitest

import (
	"context"
	"fmt"
	"sync"

	"google.golang.org/grpc"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/door/rpcerr"
	"github.com/warrenmesh/warren/proxy/refusal"
)

// Sidecar is an EventService that keeps what it gets. Events fail by their
// type.
type Sidecar struct {
	eventsv1.UnimplementedEventServiceServer

	Mu        sync.Mutex // guards the rest
	Published []*eventsv1.PublishRequest
	Tries     map[string]int

	Deliveries []*eventsv1.Delivery // what Subscribe hands out
	Settled    []*eventsv1.Settlement
	Init       *eventsv1.SubscribeInit
	Others     uint32 // receivers that there are already
}

// Register adds the fake to a server.
func (s *Sidecar) Register(g *grpc.Server) { eventsv1.RegisterEventServiceServer(g, s) }

// Publish keeps an event, or fails it by its type.
func (s *Sidecar) Publish(_ context.Context, r *eventsv1.PublishRequest) (*eventsv1.PublishResponse, error) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	id := r.GetEvent().GetId()
	if s.Tries == nil {
		s.Tries = map[string]int{}
	}
	s.Tries[id]++
	switch r.GetEvent().GetType() {
	case "fail.nack":
		return nil, rpcerr.From(refusal.FromBroker(&broker.Error{Kind: broker.Nacked, Outcome: broker.Unknown, Op: "publish " + id}))
	case "fail.unroutable":
		return nil, rpcerr.From(&refusal.Error{Class: refusal.Precondition, Reason: refusal.Unroutable, Text: "no queue takes " + id, Outcome: broker.Failed})
	case "fail.topic":
		return nil, rpcerr.From(refusal.Missing(refusal.TopicNotFound, "topic", r.GetTopic(), fmt.Sprintf("topic %q is not declared", r.GetTopic())))
	case "fail.once":
		if s.Tries[id] == 1 {
			return nil, rpcerr.From(refusal.Later(refusal.BrokerUnavailable, "no node answers"))
		}
	}
	s.Published = append(s.Published, r)
	resp := &eventsv1.PublishResponse{EventId: id, Topic: "shop/orders", Attempts: 1}
	if r.GetEvent().GetType() == "canary" {
		resp.Topic, resp.Route = "shop/orders-next", "orders-canary/eu"
	}
	return resp, nil
}

// ByID returns the published events by their ids.
func (s *Sidecar) ByID() map[string]*eventsv1.CloudEvent {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	events := map[string]*eventsv1.CloudEvent{}
	for _, r := range s.Published {
		events[r.GetEvent().GetId()] = r.GetEvent()
	}
	return events
}

// Subscribe hands out the fake's deliveries as credit allows, answers settlements
// and stays open.
func (s *Sidecar) Subscribe(stream grpc.BidiStreamingServer[eventsv1.SubscribeRequest, eventsv1.SubscribeResponse]) error {
	credit, next := 0, 0
	for {
		r, err := stream.Recv()
		if err != nil {
			return nil //nolint:nilerr // the client is gone
		}
		resp := &eventsv1.SubscribeResponse{}
		switch r := r.GetRequest().(type) {
		case *eventsv1.SubscribeRequest_Init:
			if name := r.Init.GetSubscription(); name != "billing" {
				return rpcerr.From(refusal.Missing(refusal.SubscriptionUnknown, "subscription", name, fmt.Sprintf("subscription %q is not declared for this workload", name)))
			}
			s.Mu.Lock()
			s.Init = r.Init
			s.Mu.Unlock()
			credit = int(r.Init.GetInitialCredit())
			resp.Response = &eventsv1.SubscribeResponse_Ready{Ready: &eventsv1.SubscribeReady{Subscription: "shop/billing", Topic: "shop/orders", OtherReceivers: s.Others}}
		case *eventsv1.SubscribeRequest_Credit:
			credit += int(r.Credit.GetMessages())
		case *eventsv1.SubscribeRequest_Settle:
			settled := &eventsv1.SubscribeSettled{}
			s.Mu.Lock()
			for _, one := range r.Settle.GetSettlements() {
				s.Settled = append(s.Settled, one)
				settled.Results = append(settled.Results, &eventsv1.SettleResult{Token: one.GetToken()})
			}
			s.Mu.Unlock()
			resp.Response = &eventsv1.SubscribeResponse_Settled{Settled: settled}
		}
		if resp.GetResponse() != nil {
			if err := stream.Send(resp); err != nil {
				return err
			}
		}
		batch := &eventsv1.SubscribeDeliveries{}
		for ; credit > 0 && next < len(s.Deliveries); credit, next = credit-1, next+1 {
			batch.Deliveries = append(batch.Deliveries, s.Deliveries[next])
		}
		if len(batch.GetDeliveries()) == 0 {
			continue
		}
		if err := stream.Send(&eventsv1.SubscribeResponse{Response: &eventsv1.SubscribeResponse_Deliveries{Deliveries: batch}}); err != nil {
			return err
		}
	}
}

package deliver_test

import (
	"testing"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/proxy/door/rpcerr"
	"github.com/warrenmesh/warren/proxy/refusal"
)

func TestAnUnsetCreditIsTheWindow(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.publish("1", "2", "3", "4")
	s := r.subscribe(&eventsv1.SubscribeInit{MaxOutstandingMessages: 3})
	for range 3 {
		s.delivery()
	}
	s.say(&eventsv1.SubscribeRequest{Request: &eventsv1.SubscribeRequest_Credit{Credit: &eventsv1.SubscribeCredit{Messages: 5}}})
	if got := s.ready.GetMaxOutstandingMessages(); got != 3 {
		t.Errorf("window %d", got)
	}
	if ready, unsettled := r.broker.Len("shop.billing"); ready != 1 || unsettled != 3 {
		t.Errorf("%d wait and %d are unsettled, want 1 and 3", ready, unsettled)
	}
}

func TestAStreamCanWaitForItsFirstCredit(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.publish("1")
	s := r.subscribe(&eventsv1.SubscribeInit{AwaitCredit: true, SettleResults: true})
	// The answer to a settlement comes before any delivery: none was allowed.
	s.settle(&eventsv1.Settlement{Token: "none", Outcome: eventsv1.Outcome_OUTCOME_ACK})
	if got := s.hear(); got.GetSettled() == nil || got.GetRemainingCredit() != 0 {
		t.Errorf("before the first credit: %v", got)
	}
	s.say(&eventsv1.SubscribeRequest{Request: &eventsv1.SubscribeRequest_Credit{Credit: &eventsv1.SubscribeCredit{Messages: 1}}})
	s.ack(s.delivery())
	stream, err := r.client.Subscribe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = stream.Send(&eventsv1.SubscribeRequest{Request: &eventsv1.SubscribeRequest_Init{Init: &eventsv1.SubscribeInit{
		Subscription: "billing", AwaitCredit: true, InitialCredit: 1,
	}}})
	if err == nil {
		_, err = stream.Recv()
	}
	if rpcerr.Reason(err) != refusal.InvalidRequest {
		t.Errorf("credit that is to be awaited and is there: %v", err)
	}
}

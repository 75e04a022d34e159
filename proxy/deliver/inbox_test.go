package deliver_test

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/tap"
)

func dedupe(s *mesh.Subscription) { s.Dedupe = mesh.Dedupe{Window: time.Hour} }

func TestAnAcknowledgedEventIsNotDeliveredAgain(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*mesh.Subscription){
		"unordered": dedupe,
		"ordered":   func(s *mesh.Subscription) { dedupe(s); perKey(s) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, change)
			taps, err := r.tap.Listen(tap.Options{Subscription: billing})
			if err != nil {
				t.Fatal(err)
			}
			defer taps.Close()
			s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 100, SettleResults: true})
			r.publish("1")
			s.ack(s.next("1"))
			s.hear() // settled, so it is remembered
			r.publish("1", "2")
			s.ack(s.next("2"))
			s.hear()
			var shown []string
			for len(shown) < 5 {
				seen := taps.Next(t.Context().Done())
				shown = append(shown, fmt.Sprintf("%s %s %s", seen.Stage, seen.ID, seen.Detail))
			}
			if shown[2] != "settled 1 the service acknowledged it before" {
				t.Errorf("the tap shows %q", shown)
			}
		})
	}
}

func TestAnEventWhoseAckTheBrokerDidNotHearIsNotDeliveredAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, dedupe)
	r.publish("1", "2")
	s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 1, SettleResults: true})
	d := s.next("1")
	end := r.broker.Outage()
	s.ack(d)
	s.hear()
	end()
	s.credit(1)
	s.ack(s.next("2")) // of the old channel or the new one
	s.credit(10)
	r.empty("shop.billing")
}

func TestAnEventThatWasNotAcknowledgedIsDeliveredAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, dedupe)
	r.publish("1")
	s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 100})
	s.retry(s.next("1"))
	s.next("1")
	// A retry is a copy and then an ack; an interruption between the two leaves both.
	eventually(t, "only the copy is left", func() bool {
		ready, unsettled := r.broker.Len("shop.billing")
		return ready == 0 && unsettled == 1
	})
	r.broker.Interrupt()
	s.ack(s.next("1"))
	r.empty("shop.billing")
}

func TestADeliveryIsNotHeldForEver(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(s *mesh.Subscription) { s.AckDeadline = time.Hour })
	r.publish("1")
	s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 1, SettleResults: true})
	d := s.next("1")
	if left := time.Until(d.GetAckDeadline().AsTime()); left > 25*time.Minute {
		t.Errorf("the deadline is in %v, later than a broker waits", left)
	}
	extend := func(by time.Duration) *eventsv1.Status {
		s.say(&eventsv1.SubscribeRequest{Request: &eventsv1.SubscribeRequest_Extend{Extend: &eventsv1.SubscribeExtend{
			Tokens: []string{d.GetToken()}, AckDeadline: durationpb.New(by),
		}}})
		return s.hear().GetSettled().GetResults()[0].GetStatus()
	}
	if st := extend(0); st == nil { // the subscription's hour
		t.Error("an extension beyond the bound was accepted")
	}
	if st := extend(time.Minute); st != nil {
		t.Errorf("an extension within the bound was refused: %v", st)
	}
	s.ack(d)
	s.hear()
	r.empty("shop.billing")
}

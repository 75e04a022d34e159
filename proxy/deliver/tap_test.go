package deliver_test

import (
	"fmt"
	"testing"
	"time"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/tap"
)

func TestATapSeesEachDeliveryAndWhatBecameOfIt(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(s *mesh.Subscription) {
		s.Attempts = 2
		s.Backoff = mesh.Backoff{Base: time.Millisecond, Max: time.Millisecond}
	})
	l, err := r.tap.Listen(tap.Options{Subscription: billing})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 10})
	see := func(want string) *tap.Record {
		t.Helper()
		rec := l.Next(t.Context().Done())
		if got := fmt.Sprintf("%s %s attempt %d: %s %s", rec.Stage, rec.ID, rec.Attempt, rec.Outcome, rec.Detail); got != want {
			t.Errorf("saw %q, want %q", got, want)
		}
		return rec
	}
	r.publish("1")
	d := s.delivery()
	if rec := see("delivered 1 attempt 1:  "); rec.Topic.Name != "orders" || rec.Subscription != billing || rec.Exchange != "orders" {
		t.Errorf("of %s for %s by %s", rec.Topic, rec.Subscription, rec.Exchange)
	}
	s.ack(d)
	if rec := see("settled 1 attempt 1: ack "); rec.Took <= 0 {
		t.Errorf("took %s", rec.Took)
	}
	r.publish("2")
	s.settle(&eventsv1.Settlement{Token: s.delivery().GetToken(), Outcome: eventsv1.Outcome_OUTCOME_RETRY, Reason: "later"})
	see("delivered 2 attempt 1:  ")
	see("settled 2 attempt 1: retry later")
	s.settle(&eventsv1.Settlement{Token: s.delivery().GetToken(), Outcome: eventsv1.Outcome_OUTCOME_RETRY, Reason: "still"})
	see("delivered 2 attempt 2:  ")
	see("settled 2 attempt 2: dead-letter attempts-exhausted: still")
}

package deliver_test

import (
	"errors"
	"io"
	"testing"
	"time"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/mesh"
)

// withoutRooms is a rig whose subscription has a backoff and no waiting rooms, as
// where others declare the topology.
func withoutRooms(t *testing.T, backoff mesh.Backoff, change func(*mesh.Subscription)) *rig {
	t.Helper()
	r := newRig(t, nil)
	sub := subscription()
	sub.Backoff = backoff
	if change != nil {
		change(&sub)
	}
	r.config.set(sub)
	return r
}

func TestWithoutAWaitingRoomARetryWaitsInTheSidecar(t *testing.T) {
	t.Parallel()
	const delay = 50 * time.Millisecond
	r := withoutRooms(t, mesh.Backoff{Base: delay, Max: delay}, nil)
	r.publish("1")
	s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 10})
	settled := time.Time{}
	for attempt := uint32(1); attempt <= 3; attempt++ {
		d := s.delivery()
		if d.GetAttempt() != attempt {
			t.Errorf("attempt is %d, want %d", d.GetAttempt(), attempt)
		}
		if waited := time.Since(settled); waited < delay {
			t.Errorf("attempt %d came after %v, the delay is %v", attempt, waited, delay)
		}
		settled = time.Now()
		s.settle(&eventsv1.Settlement{Token: d.GetToken(), Outcome: eventsv1.Outcome_OUTCOME_RETRY})
	}
	if dl := r.letter().DeadLetter; dl.Attempts != 3 {
		t.Errorf("dead letter %+v", dl)
	}
	r.empty("shop.billing")
}

func TestWhatWaitsInTheSidecarGoesBackWhenTheStreamEnds(t *testing.T) {
	t.Parallel()
	r := withoutRooms(t, mesh.Backoff{Base: time.Hour, Max: time.Hour}, nil)
	r.publish("1", "2")
	first := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 10})
	first.settle(&eventsv1.Settlement{Token: first.delivery().GetToken(), Outcome: eventsv1.Outcome_OUTCOME_RETRY})
	first.ack(first.delivery()) // the stream goes on beside what waits
	eventually(t, "the second is acked", func() bool { ready, unsettled := r.broker.Len("shop.billing"); return ready+unsettled == 1 })
	if err := first.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if err := first.end(); !errors.Is(err, io.EOF) {
		t.Errorf("the stream ended with %v", err)
	}
	second := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 10})
	d := second.delivery()
	if d.GetEvent().GetId() != "1" || !d.GetRedelivered() {
		t.Errorf("after the stream's end came %v", d)
	}
	second.ack(d)
	r.empty("shop.billing")
}

func TestWithoutADeadLetterQueueNothingIsLost(t *testing.T) {
	t.Parallel()
	r := withoutRooms(t, mesh.Backoff{}, func(s *mesh.Subscription) { s.DeadLetterQueue = "nobody.declared.it" })
	r.publish("1")
	s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 10})
	began := time.Now()
	s.settle(&eventsv1.Settlement{Token: s.delivery().GetToken(), Outcome: eventsv1.Outcome_OUTCOME_DEAD_LETTER})
	var last *eventsv1.Delivery
	told := false
	for last == nil || !told { // in either order
		res := s.hear()
		if d := res.GetDeliveries().GetDeliveries(); len(d) == 1 {
			last = d[0]
		}
		for _, r := range res.GetSettled().GetResults() {
			told = r.GetStatus() != nil // the outcome had no effect
		}
	}
	if last.GetEvent().GetId() != "1" {
		t.Errorf("delivery %v", last)
	}
	if took := time.Since(began); took < time.Second {
		t.Errorf("it came back within %v: a letter that cannot be written must not spin", took)
	}
	s.ack(last)
	r.empty("shop.billing")
}

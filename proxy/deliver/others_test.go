package deliver_test

import (
	"testing"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
)

func TestReadySaysWhoElseReceives(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	first := r.subscribe(&eventsv1.SubscribeInit{})
	second := r.subscribe(&eventsv1.SubscribeInit{})
	if a, b := first.ready.GetOtherReceivers(), second.ready.GetOtherReceivers(); a != 0 || b != 1 {
		t.Errorf("the first stream has %d others, the second %d", a, b)
	}
	for _, s := range []*stream{first, second} {
		if err := s.CloseSend(); err != nil {
			t.Fatal(err)
		}
		_ = s.end()
	}
	eventually(t, "both are gone", func() bool {
		third := r.subscribe(&eventsv1.SubscribeInit{})
		defer func() { _ = third.CloseSend(); _ = third.end() }()
		return third.ready.GetOtherReceivers() == 0
	})
	pushed := newRig(t, nil)
	s := subscription()
	s.PushPort = 9090
	pushed.config.set(s)
	if got := pushed.subscribe(&eventsv1.SubscribeInit{}).ready.GetOtherReceivers(); got != 1 {
		t.Errorf("beside a service that is pushed to: %d others", got)
	}
}

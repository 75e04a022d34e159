package deliver_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/mesh"
)

func TestNeighboursOfAnEventThatCrashesItsServiceAreNeitherDroppedNorReordered(t *testing.T) {
	t.Parallel()
	for queue, change := range map[string]func(*mesh.Subscription){"shop.billing": nil, "shop.billing.p0": perKey} {
		t.Run(queue, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, change)
			want := []string{"1", "2", "4", "5"}
			r.publish("1", "2", "poison", "4", "5")
			var acked []string
			for crash := 1; ; crash++ {
				s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 100, SettleResults: true})
				if acked = s.dieOfPoison(acked, crash > 2, len(want)); len(acked) == len(want) {
					break
				}
				s.cancel()
				_ = s.end()
				eventually(t, "all are back", func() bool {
					ready, unsettled := r.broker.Len(queue)
					return unsettled == 0 && ready+len(acked) >= len(want)
				})
			}
			if !slices.Equal(acked, want) {
				t.Errorf("acknowledged %v, want %v", acked, want)
			}
			if got := r.letters(1); !slices.Equal(got, []string{"poison attempts-exhausted"}) {
				t.Errorf("dead letters %v", got)
			}
		})
	}
}

// dieOfPoison receives until the poison comes, or until n events are acknowledged. A
// service that does not settle dies with everything before the poison in its hands.
func (s *stream) dieOfPoison(acked []string, settles bool, n int) []string {
	s.t.Helper()
	ids := map[string]string{} // by token
	for len(acked) < n {
		res := s.hear()
		for _, result := range res.GetSettled().GetResults() {
			acked = append(acked, ids[result.GetToken()])
		}
		for _, d := range res.GetDeliveries().GetDeliveries() {
			if d.GetEvent().GetId() == "poison" {
				return acked
			}
			if settles {
				ids[d.GetToken()] = d.GetEvent().GetId()
				s.ack(d)
			}
		}
	}
	return acked
}

// TestNeighboursOfAPushThatCrashesTheServiceAreNotDropped has a service that answers
// nobody while it is given one event, as one that dies of it.
func TestNeighboursOfAPushThatCrashesTheServiceAreNotDropped(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	l, port := listenLoopback(t, "127.0.0.1:0")
	var poisoned atomic.Int32
	var mu sync.Mutex
	acked := map[string]bool{}
	service(t, l, &handler{answer: func(ctx context.Context, req *eventsv1.OnEventRequest) (*eventsv1.OnEventResponse, error) {
		id := req.GetEvent().GetId()
		if id == "poison" {
			poisoned.Add(1)
			defer poisoned.Add(-1)
			<-ctx.Done()
			return nil, status.Error(codes.Unavailable, "dead")
		}
		if poisoned.Load() > 0 {
			return nil, status.Error(codes.Unavailable, "dead")
		}
		mu.Lock()
		defer mu.Unlock()
		acked[id] = true
		return &eventsv1.OnEventResponse{}, nil
	}}, nil)
	r.publish("poison")
	for n := range 7 {
		r.publish(fmt.Sprint(n))
	}
	r.pushing(port, func(s *mesh.Subscription) { s.AckDeadline = 100 * time.Millisecond })
	eventually(t, "all neighbours are acknowledged", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(acked) == 7
	})
	if dl := r.letter(); dl.Event.ID != "poison" {
		t.Errorf("event %s is dead-lettered", dl.Event.ID)
	}
	r.empty("shop.billing")
}

// The bound of time is so loose that only a pause for each event exceeds it.
func TestEventsThatMayHaveCrashedTheServiceComeOneByOneWithoutAPause(t *testing.T) {
	t.Parallel()
	const many = 40
	r := newRig(t, func(s *mesh.Subscription) { s.Queue.Prefetch = many })
	ids := make([]string, many)
	for i := range ids {
		ids[i] = fmt.Sprint(i)
	}
	r.publish(ids...)
	for range 2 {
		s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 100})
		for range many {
			s.delivery()
		}
		s.cancel() // the service dies with all of them in its hands
		_ = s.end()
		eventually(t, "all are back", func() bool {
			ready, unsettled := r.broker.Len("shop.billing")
			return unsettled == 0 && ready == many
		})
	}
	s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 100})
	began := time.Now()
	for range many {
		s.ack(s.delivery())
	}
	if took := time.Since(began); took > many/2*time.Second {
		t.Errorf("%d events took %v", many, took)
	}
	if got := r.letters(0); len(got) > 0 {
		t.Errorf("dead letters %v", got)
	}
}

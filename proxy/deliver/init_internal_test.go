package deliver

import (
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
)

func TestAStreamThatNeverSaysWhatItWantsEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{})
		w := newWire(nil)
		begin := time.Now()
		_, err := s.awaitInit(t.Context(), w)
		if took := time.Since(begin); status.Code(err) != codes.DeadlineExceeded || took != 10*time.Second {
			t.Errorf("%v after %s, want DEADLINE_EXCEEDED after 10 s", err, took)
		}
		go func() {
			<-time.After(9 * time.Second)
			w.requests <- &eventsv1.SubscribeRequest{Request: &eventsv1.SubscribeRequest_Init{Init: &eventsv1.SubscribeInit{Subscription: "billing"}}}
		}()
		if init, err := s.awaitInit(t.Context(), w); err != nil || init.GetSubscription() != "billing" {
			t.Errorf("a slow one: %v, %v", init, err)
		}
	})
}

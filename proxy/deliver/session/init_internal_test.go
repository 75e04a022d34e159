package session

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/warrenmesh/warren/proxy/refusal"
)

func TestAStreamThatNeverSaysWhatItWantsEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := NewServer(nil, nil, Options{})
		w := newWire(nil)
		begin := time.Now()
		_, err := s.awaitInit(t.Context(), w)
		if took := time.Since(begin); refusal.Reason(err) != refusal.DeadlineNear || took != 10*time.Second {
			t.Errorf("%v after %s, want DEADLINE_NEAR after 10 s", err, took)
		}
		go func() {
			<-time.After(9 * time.Second)
			w.requests <- Init{Subscription: "billing"}
		}()
		if init, err := s.awaitInit(t.Context(), w); err != nil || init.Subscription != "billing" {
			t.Errorf("a slow one: %v, %v", init, err)
		}
	})
}

package publish_test

import (
	"testing"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/tap"
)

func TestATapSeesAPublishWithItsOutcome(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	l, err := r.tap.Listen(tap.Options{Topic: orders, PayloadBytes: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := r.send(t, event()); err != nil {
		t.Fatal(err)
	}
	got := l.Next(t.Context().Done())
	if got.Stage != tap.Published || got.ID != "1" || got.Topic != orders || got.Asked != orders || got.Route != "canary/all" ||
		got.RoutingKey != "com.shop.order.placed" || got.Attempt != 1 || got.Err != nil || got.Took <= 0 {
		t.Errorf("a confirmed publish: %+v", got)
	}
	nowhere := event()
	nowhere.Type = "com.other"
	if _, err := r.send(t, nowhere); err == nil {
		t.Fatal("an unroutable publish was confirmed")
	}
	if got := l.Next(t.Context().Done()); broker.KindOf(got.Err) != broker.Unroutable {
		t.Errorf("an unroutable publish: %+v", got)
	}
}

package eventpb_test

import (
	"testing"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/proxy/event/eventpb"
)

func TestTheVersionOfTheSpecificationNeedsNotBeSaid(t *testing.T) {
	t.Parallel()
	e, err := eventpb.FromProto(&eventsv1.CloudEvent{Id: "1", Source: "/s", Type: "t"})
	if err != nil {
		t.Fatal(err)
	}
	if got := eventpb.ToProto(e).GetSpecVersion(); got != "1.0" {
		t.Errorf("it is delivered with %q", got)
	}
	if _, err := eventpb.FromProto(&eventsv1.CloudEvent{Id: "1", Source: "/s", Type: "t", SpecVersion: "0.3"}); err == nil {
		t.Error("another version is taken")
	}
}

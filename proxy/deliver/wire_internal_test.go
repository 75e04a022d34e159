package deliver

import (
	"strconv"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
)

// sent is the sidecar's end of a stream that keeps what is sent.
type sent struct {
	grpc.BidiStreamingServer[eventsv1.SubscribeRequest, eventsv1.SubscribeResponse]
	messages []*eventsv1.SubscribeResponse
}

func (s *sent) Send(r *eventsv1.SubscribeResponse) error {
	s.messages = append(s.messages, r)
	return nil
}

// TestGatheredDeliveriesFitAMessage has events that are large by their attributes, by
// their data, and not at all, with another message in between.
func TestGatheredDeliveriesFitAMessage(t *testing.T) {
	t.Parallel()
	stream := &sent{}
	w := newWire(stream)
	id := strconv.Itoa
	for i := range outboxSize {
		e := &eventsv1.CloudEvent{Id: id(i)}
		switch {
		case i < 20:
			e.Attributes = map[string]*eventsv1.CloudEvent_CloudEventAttributeValue{
				"large": {Attr: &eventsv1.CloudEvent_CloudEventAttributeValue_CeString{CeString: strings.Repeat("x", 60<<10)}},
			}
		case i < 24:
			e.Data = &eventsv1.CloudEvent_BinaryData{BinaryData: make([]byte, 300<<10)}
		case i == 40:
			w.outbox <- &eventsv1.SubscribeResponse{Response: &eventsv1.SubscribeResponse_Settled{Settled: &eventsv1.SubscribeSettled{}}}
			continue
		}
		w.outbox <- &eventsv1.SubscribeResponse{RemainingCredit: uint32(outboxSize - i), Response: &eventsv1.SubscribeResponse_Deliveries{
			Deliveries: &eventsv1.SubscribeDeliveries{Deliveries: []*eventsv1.Delivery{{Event: e}}},
		}}
	}
	close(w.outbox)
	w.write()
	next, most := 0, 0
	for _, r := range stream.messages {
		deliveries := r.GetDeliveries().GetDeliveries()
		if len(deliveries) > 1 && proto.Size(r) > maxGathered+1<<10 {
			t.Errorf("%d deliveries in a message of %d bytes", len(deliveries), proto.Size(r))
		}
		for _, d := range deliveries {
			if d.GetEvent().GetId() != id(next) {
				t.Fatalf("delivery %s, want %d", d.GetEvent().GetId(), next)
			}
			next++
		}
		if r.GetSettled() != nil && next != 40 {
			t.Errorf("the settlement came after %d deliveries, want 40", next)
		} else if r.GetSettled() != nil {
			next++
		}
		if n := len(deliveries); n > 0 && r.GetRemainingCredit() != uint32(outboxSize-next+1) { //nolint:gosec // small
			t.Errorf("credit %d after delivery %d", r.GetRemainingCredit(), next-1)
		}
		most = max(most, len(deliveries))
	}
	if next != outboxSize || most < 16 {
		t.Errorf("%d of %d came, %d at most in a message", next, outboxSize, most)
	}
}

package session

import (
	"strconv"
	"strings"
	"testing"

	"github.com/warrenmesh/warren/proxy/deliver/delivery"
	"github.com/warrenmesh/warren/proxy/event"
)

// sent is the client's end of a stream that keeps what is sent.
type sent struct {
	Stream
	messages []Response
}

func (s *sent) Send(r Response) error {
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
		e := &event.Event{ID: id(i)}
		switch {
		case i < 20:
			e.Set("large", event.String(strings.Repeat("x", 60<<10)))
		case i < 24:
			e.Data = make([]byte, 300<<10)
		case i == 40:
			w.outbox <- Response{Settled: []Settled{{Token: "t"}}}
			continue
		}
		w.outbox <- Response{Credit: uint32(outboxSize - i), Deliveries: []delivery.Handed{{Event: e}}}
	}
	close(w.outbox)
	w.write()
	next, most := 0, 0
	for _, r := range stream.messages {
		deliveries := r.Deliveries
		if len(deliveries) > 1 && sizeAll(deliveries) > maxGathered {
			t.Errorf("%d deliveries in a message of %d bytes", len(deliveries), sizeAll(deliveries))
		}
		for _, d := range deliveries {
			if d.Event.ID != id(next) {
				t.Fatalf("delivery %s, want %d", d.Event.ID, next)
			}
			next++
		}
		if r.Settled != nil && next != 40 {
			t.Errorf("the settlement came after %d deliveries, want 40", next)
		} else if r.Settled != nil {
			next++
		}
		if n := len(deliveries); n > 0 && r.Credit != uint32(outboxSize-next+1) { //nolint:gosec // small
			t.Errorf("credit %d after delivery %d", r.Credit, next-1)
		}
		most = max(most, len(deliveries))
	}
	if next != outboxSize || most < 16 {
		t.Errorf("%d of %d came, %d at most in a message", next, outboxSize, most)
	}
}

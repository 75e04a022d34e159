package eventpb

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/proxy/event"
)

// everything returns an event with a value of each kind and data of n bytes.
func everything(n int) *event.Event {
	e := &event.Event{ID: "1", Source: "/shop", Type: "com.shop.order.placed", Data: []byte(strings.Repeat("x", n))}
	for name, v := range map[string]event.Value{
		"yes": event.Boolean(true), "no": event.Boolean(false), "zero": event.Integer(0), "many": event.Integer(1 << 30), "less": event.Integer(-1),
		"text": event.String("ä"), "empty": event.String(""), "long": event.String(strings.Repeat("y", 300)), "bytes": event.Binary([]byte{0xff}),
		"uri": event.URI("https://example.org/"), "ref": event.URIRef("../x"), "time": event.Timestamp(time.Date(2026, 11, 23, 10, 0, 0, 7, time.UTC)),
		"early": event.Timestamp(time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)), "epoch": event.Timestamp(time.Unix(0, 0)),
	} {
		e.Set(name, v)
	}
	return e
}

func TestTheWireFormIsThatOfTheProtobufMessage(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 127, 128, 1024, 16383, 16384, 1 << 21} {
		for _, e := range []*event.Event{everything(n), {ID: "1", Source: "/", Type: "t", Data: make([]byte, n)}} {
			got := &eventsv1.CloudEvent{}
			if err := proto.Unmarshal(AppendEvent([]byte(nil), e), got); err != nil {
				t.Fatal(err)
			}
			if want := ToProto(e); !proto.Equal(got, want) {
				t.Errorf("with %d bytes: got %v, want %v", n, got, want)
			}
		}
	}
}

func TestMessagesWithinMessagesOfAnyLength(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 100, 126, 127, 128, 16380, 16384, 1 << 21} {
		text := strings.Repeat("z", n)
		b, at := Begin([]byte("before"), 2)
		b = End(AppendEntry(b, 1, "k", text), at)
		size := proto.Size(&eventsv1.SubscribeDeliveries{Deliveries: []*eventsv1.Delivery{{Token: "k", Topic: text}}})
		if !strings.HasPrefix(string(b), "before") || n > 0 && len(b) < size {
			t.Errorf("%d bytes of text became %d", n, len(b))
		}
		for _, guess := range []int{-1, 0, n, 200, 1 << 20} {
			large, open := BeginLarge([]byte("before"), 2, guess)
			if large = EndLarge(AppendEntry(large, 1, "k", text), open); !bytes.Equal(large, b) {
				t.Errorf("%d bytes of text, taken for %d, are written in another way", n, guess)
			}
		}
	}
}

package send

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/event"
)

// strange makes a message that no validation has seen.
func strange(r *rand.Rand, i int, queue string) *queueing.Message {
	text := func() string {
		parts := []string{"", "x", "\x00", "\xff\xfe", "\r\n", "é🔑", "%s", strings.Repeat("l", r.IntN(400)), strings.Repeat("L", r.IntN(70_000))}
		return parts[r.IntN(len(parts))]
	}
	e := &event.Event{ID: fmt.Sprint(i) + text(), Source: text(), Type: text(), Data: make([]byte, r.IntN(3)*r.IntN(300_000))}
	for range r.IntN(4) {
		e.Attrs = append(e.Attrs, event.Attr{Name: text(), Value: strangeValue(uint8(r.Uint32()), text(), r.Int64(), r.IntN(2) == 0)})
	}
	return &queueing.Message{
		RoutingKey: queue, Event: e, AppID: text(), Priority: uint8(r.Uint32()), Persistent: r.IntN(2) == 0,
		TTL:   []time.Duration{0, -1, 1, time.Hour, math.MaxInt64}[r.IntN(5)],
		Trace: broker.TraceContext{Parent: text(), State: text(), Baggage: text()}, Mandatory: r.IntN(2) == 0, Attempt: r.Uint32(),
		OriginExchange: text(), OriginKey: text(), Partition: r.Uint32(), Partitioned: r.IntN(2) == 0,
		FirstFailure: time.Unix(r.Int64N(1<<40), 0), DeadLetter: &broker.DeadLetter{Reason: text(), Detail: text(), Attempts: r.Uint32()},
	}
}

func TestStrangeMessagesCloseNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	queue := f.queue("q")
	f.mustPublish(toQueue(queue, "first"))
	live := f.link.Live()
	lane := f.sender.live.Load().lanes.list()[0]
	first := lane.current()
	r := rand.New(rand.NewPCG(1, 2))
	sent, refused := 0, 0
	for i := range 600 {
		switch err := f.publish(strange(r, i, queue)); broker.KindOf(err) {
		case broker.Invalid, broker.TooLarge:
			refused++
		default:
			sent++
			if err != nil {
				t.Fatalf("message %d: %v", i, err)
			}
		}
	}
	if live.Lost() || lane.current() != first {
		t.Error("a message closed the channel or the connection")
	}
	t.Logf("%d messages were sent, %d refused", sent, refused)
}

func strangeValue(kind uint8, s string, n int64, flag bool) event.Value {
	switch event.Kind(kind % 7) {
	case event.KindBoolean:
		return event.Boolean(flag)
	case event.KindInteger:
		return event.Integer(int32(n)) //nolint:gosec // any will do
	case event.KindBinary:
		return event.Binary([]byte(s))
	case event.KindURI:
		return event.URI(s)
	case event.KindURIRef:
		return event.URIRef(s)
	case event.KindTimestamp:
		return event.Timestamp(time.Unix(n, n%1e9).In(time.FixedZone("", int(n%90000))))
	default:
		return event.String(s)
	}
}

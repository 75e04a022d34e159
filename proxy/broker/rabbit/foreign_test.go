package rabbit

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/envelope"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/frame"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/mapping"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
)

// sized is a value whose length is written before it.
func sized(s string) string { return string(binary.BigEndian.AppendUint32(nil, uint32(len(s)))) + s }

// nest puts a value into n tables, or arrays, in each other.
func nest(kind byte, n int) string {
	value := "t\x01"
	for range n {
		if kind == 'F' {
			value = "\x01a" + value
		}
		value = string(kind) + sized(value)
	}
	return value
}

// foreignHeaders are values of headers that RabbitMQ takes from anybody, most of which
// the library refuses; some are made at random.
func foreignHeaders() map[string]string {
	all := map[string]string{
		"33 arrays in each other":    nest('A', 33),
		"100 tables in each other":   nest('F', 100),
		"an array of 9,000 booleans": "A" + sized(strings.Repeat("t\x01", 9000)),
		"a table of 9,000 entries":   "F" + sized(entries(9000)),
		"100,000 bytes":              "S" + sized(strings.Repeat("s", 100_000)),
		"an empty array":             "A" + sized(""),
		"an empty table":             "F" + sized(""),
		"a time of no year":          "T\x7f\xff\xff\xff\xff\xff\xff\xff",
		"text that is no UTF-8":      "S" + sized("\xff\xfe"),
	}
	fixed := map[byte]int{'t': 1, 'b': 1, 'B': 1, 's': 2, 'u': 2, 'I': 4, 'i': 4, 'l': 8, 'L': 8, 'd': 8, 'D': 5, 'T': 8, 'V': 0}
	r := rand.New(rand.NewPCG(1, 2))
	var value func(depth int) string
	value = func(depth int) string {
		kinds := "tbBsuIilLdDTVSxAF"
		k := kinds[r.IntN(len(kinds))]
		if n, ok := fixed[k]; ok {
			raw := make([]byte, n)
			for i := range raw {
				raw[i] = byte(r.Uint32())
			}
			return string(k) + string(raw)
		}
		var inner strings.Builder
		for range r.IntN(4) {
			switch {
			case k == 'S' || k == 'x':
				inner.WriteByte(byte(r.Uint32()))
			case depth > 40:
			case k == 'F':
				inner.WriteString("\x02" + string([]byte{byte('a' + r.IntN(26)), byte('0' + r.IntN(10))}) + value(depth+1))
			default:
				inner.WriteString(value(depth + 1))
			}
		}
		return string(k) + sized(inner.String())
	}
	for i := range 40 {
		all[fmt.Sprintf("at random, %d", i)] = value(0)
	}
	return all
}

func entries(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "\x05e%04dV", i%10000)
	}
	return b.String()
}

// A message of anybody costs nothing but itself, and keeps everything it had.
func TestForeignHeadersCostNobodyAnything(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"quorum", "classic"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			queue, neighbour := f.name("foreign"), f.name("neighbour")
			f.ensure(queueing.Topology{Queues: []queueing.Queue{{Name: queue, Type: kind}, {Name: neighbour, Type: kind}}})
			live, publishing := f.node.consume.Live(), f.node.publish.Live()
			foreign, beside := f.consume(queue, 10), f.consume(neighbour, 10)
			for name, value := range foreignHeaders() {
				sent := message.Properties{
					MessageID: name, CorrelationID: "c", ReplyTo: "r", ContentEncoding: "e", ContentType: "text/plain", Priority: 3, Type: "t",
					Headers: message.Table{Rest: "\x03odd" + value + "\x06tenantS" + sized("acme")},
				}
				of := &envelope.Original{Encoded: string(sent.Append(nil)), Body: []byte("body")}
				if err := f.publish(&queueing.Message{RoutingKey: queue, Of: of, Mandatory: true, Persistent: true}); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				f.mustPublish(toQueue(neighbour, name))
				d := foreign.next()
				wantWhole(t, name, d, sent)
				// A copy of it is what it was, too: as a retry, a dead letter, or sent back.
				if err := f.publish(&queueing.Message{RoutingKey: queue, Of: d.Original, Mandatory: true, Persistent: true, Attempt: 2}); err != nil {
					t.Fatalf("copy of %s: %v", name, err)
				}
				again := foreign.next()
				wantWhole(t, "copy of "+name, again, sent)
				if again.Attempt != 2 {
					t.Errorf("copy of %s is attempt %d", name, again.Attempt)
				}
				if n := beside.next(); n.Event == nil || n.Event.ID != name {
					t.Fatalf("the neighbour got %+v", n)
				} else if err := n.Ack(); err != nil {
					t.Fatal(err)
				}
				if d.Ack() != nil || again.Ack() != nil {
					t.Fatal("the channel is gone")
				}
			}
			if f.node.consume.Live() != live || f.node.publish.Live() != publishing {
				t.Error("a message cost a connection")
			}
		})
	}
}

func wantWhole(t *testing.T, name string, d *queueing.Delivery, sent message.Properties) {
	t.Helper()
	if d.Malformed != nil || d.Event.ID != sent.MessageID || string(d.Raw) != "body" {
		t.Fatalf("%s: delivered %+v (%v)", name, d.Event, d.Malformed)
	}
	got, ok := d.Original.(*envelope.Original)
	if !ok {
		t.Fatalf("%s: original %T", name, d.Original)
	}
	properties := got.Properties()
	table, err := message.ParseTable(sent.Headers.Rest)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range table.Fields {
		have, _ := properties.Headers.Lookup(f.Name)
		all := message.Budget{Depth: 1000, Elements: 1 << 20}
		want := f.Value(&all)
		all = message.Budget{Depth: 1000, Elements: 1 << 20}
		if v := have.Value(&all); !sameValue(v, want) {
			t.Errorf("%s: header %q is %v, want %v", name, f.Name, v, want)
		}
	}
	p := properties
	p.Headers, p.Flags, p.DeliveryMode = message.Table{}, 0, 0
	want := sent
	want.Headers = message.Table{}
	if !reflect.DeepEqual(p, want) {
		t.Errorf("%s: properties %+v, want %+v", name, p, want)
	}
}

// sameValue compares values by what they say: RabbitMQ may write an integer, or a
// not-a-number, in another way than it read it.
func sameValue(a, b any) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

// rawTaker gets the confirm of one publish.
type rawTaker chan bool

func (c rawTaker) Deliver(*message.Message)        {}
func (c rawTaker) GiveBack(frame.Returned)         { c <- false }
func (c rawTaker) Confirm(_ uint64, _, acked bool) { c <- acked }

// publishRaw publishes what neither Warren nor its client library would.
func (f *fixture) publishRaw(exchange, key string, p *message.Properties, body []byte) {
	f.Helper()
	s, taker := f.node.publish.Live(), make(rawTaker, 2)
	ch, hot, err := s.HotChannel(taker, 0)
	if err == nil {
		err = ch.Confirm(false)
	}
	if err == nil {
		frames, rest := frame.AppendPublish(nil, exchange, key, true, p, body, s.FrameSize())
		err = hot.Send(frames, rest, s.FrameSize())
	}
	if err != nil {
		f.Fatal(err)
	}
	select {
	case acked := <-taker:
		if !acked {
			f.Fatal("a raw publish was returned or refused")
		}
	case <-time.After(patience):
		f.Fatal("a raw publish was not confirmed")
	}
	if err := ch.Close(); err != nil {
		f.Fatal(err)
	}
}

// What RabbitMQ says of a count is believed, and what others say of it is not.
func TestOnlyTrueHeadersCount(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	queue, exchange := f.queue("q"), f.name("x")
	f.ensure(queueing.Topology{
		Exchanges: exchangesOf(exchange), Bindings: []queueing.Binding{{Exchange: exchange, Queue: queue, Key: "#"}},
	})
	var forged message.Table
	for _, name := range []string{
		"warren-attempt", "warren-first-failure", "warren-crashes", "warren-expiration", "warren-user-id", "warren-copy",
		"warren-dead-letter-detail", "warren-dead-letter-subscription", "warren-dead-letter-routing-key", "warren-dead-letter-attempts",
		"warren-dead-letter-first-failure", "warren-dead-letter-time", "warren-dead-letter-cut",
	} {
		forged.AddInt(name, 99)
	}
	for _, name := range []string{mapping.OriginExchange, mapping.OriginKey, "warren-dead-letter-reason", "warren-dead-letter-exchange"} {
		forged.AddInt(name, 99)
		forged.AddText(name, "forged")
	}
	forged.AddInt("x-delivery-count", 5000)
	raw := string(forged.Append(nil)[4:])
	f.publishRaw(exchange, "k", &message.Properties{Headers: message.Table{Rest: raw}, DeliveryMode: message.Persistent}, []byte("x"))
	c := f.consume(queue, 1)
	d := c.next()
	if d.Attempt != 1 || d.Returned != 0 || d.Crashes != 0 || d.Redelivered || d.DeadLetter != nil || d.Origin.Name != exchange || d.Origin.Key != "k" || !d.FirstFailure.IsZero() {
		t.Errorf("delivered %+v", d)
	}
	// Nor does a copy have them, but for what it says itself.
	if err := f.publish(&queueing.Message{RoutingKey: queue, Of: d.Original, Attempt: 2, OriginExchange: d.Origin.Name, OriginKey: d.Origin.Key, Mandatory: true}); err != nil {
		t.Fatal(err)
	}
	if err := d.Ack(); err != nil {
		t.Fatal(err)
	}
	d = c.next()
	if d.Attempt != 2 || d.Origin.Name != exchange || d.DeadLetter != nil || d.Crashes != 0 {
		t.Errorf("the copy was delivered as %+v", d)
	}
	if err := d.Ack(); err != nil {
		t.Fatal(err)
	}
}

// What a queue gives up is in its dead-letter queue, whole, and says why.
func TestTheBrokersOwnDeadLettersAreRead(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"quorum", "classic"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			queue, dead, exchange := f.name("q"), f.name("q.dead"), f.name("x")
			f.ensure(queueing.Topology{
				Exchanges: exchangesOf(exchange),
				Queues:    []queueing.Queue{{Name: queue, Type: kind, DeadLetter: dead}, {Name: dead, Type: kind}},
				Bindings:  []queueing.Binding{{Exchange: exchange, Queue: queue, Key: "#"}},
			})
			m := toQueue("k", "large")
			m.Exchange, m.Event.Data = exchange, []byte(strings.Repeat("b", 3000))
			f.mustPublish(m)
			c := f.consumeWith(queueing.ConsumeOptions{Queue: queue, Prefetch: 1, Tag: "t", MaxBytes: 2999})
			d := c.next()
			if d.Malformed == nil || d.Original != nil || d.Raw != nil || d.Size != 3000 {
				t.Fatalf("delivered %+v", d)
			}
			if err := d.Reject(); err != nil {
				t.Fatal(err)
			}
			small := toQueue("k2", "expires")
			small.Exchange, small.TTL = exchange, 1
			c.stop()
			<-c.ended
			c.drain()
			f.mustPublish(small)
			letters := f.consumeWith(queueing.ConsumeOptions{Queue: dead, Prefetch: 2, Tag: "t", Letters: true})
			for _, want := range []string{"set-aside large k 3000", "expired expires k2 15"} {
				d := letters.next()
				got := fmt.Sprintf("%s %s %s %d", d.DeadLetter.Reason, d.Event.ID, d.DeadLetter.Origin.Key, d.Size)
				if got != want || d.DeadLetter.Origin.Name != exchange || d.Origin.Name != exchange || d.DeadLetter.Time.IsZero() {
					t.Errorf("letter %q of %+v, want %q", got, d.DeadLetter, want)
				}
			}
		})
	}
}

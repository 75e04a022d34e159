package tap_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/tap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	orders  = mesh.Name{Namespace: "shop", Name: "orders"}
	next    = mesh.Name{Namespace: "shop", Name: "orders-next"}
	billing = mesh.Name{Namespace: "shop", Name: "billing"}
)

func order(id string) *event.Event {
	return &event.Event{ID: id, Source: "/checkout", Type: "placed", Data: []byte("0123456789")}
}

func listen(t *testing.T, b *tap.Bus, o tap.Options) *tap.Listener {
	t.Helper()
	l, err := b.Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// taken returns what is queued.
func taken(l *tap.Listener) []*tap.Record {
	stop := make(chan struct{})
	close(stop)
	var out []*tap.Record
	for misses := 0; misses < 64; { // a closed stop and a queued record are chosen between at random
		if r := l.Next(stop); r != nil {
			out, misses = append(out, r), 0
		} else {
			misses++
		}
	}
	return out
}

func TestAListenerSeesWhatItAskedFor(t *testing.T) {
	t.Parallel()
	canary := tap.Sight{Stage: tap.Published, Topic: next, Asked: orders}
	delivered := tap.Sight{Stage: tap.Delivered, Topic: next, Subscription: billing}
	other := tap.Sight{Stage: tap.Published, Topic: mesh.Name{Namespace: "shop", Name: "audit"}}
	tests := []struct {
		name string
		opts tap.Options
		want []tap.Stage
	}{
		{"everything, without a filter", tap.Options{}, []tap.Stage{tap.Published, tap.Delivered, tap.Published}},
		{"a topic by the name it was published to", tap.Options{Topic: orders}, []tap.Stage{tap.Published}},
		{"a topic by where a route led, and what comes from it", tap.Options{Topic: next}, []tap.Stage{tap.Published, tap.Delivered}},
		{"a subscription", tap.Options{Subscription: billing}, []tap.Stage{tap.Delivered}},
		{"a topic or a subscription", tap.Options{Topic: orders, Subscription: billing}, []tap.Stage{tap.Published, tap.Delivered}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var bus tap.Bus
			l := listen(t, &bus, tt.opts)
			for _, s := range []tap.Sight{canary, delivered, other} {
				s.Event = order("1")
				bus.Emit(&s)
			}
			var got []tap.Stage
			for _, r := range taken(l) {
				got = append(got, r.Stage)
			}
			if fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("saw %v, want %v", got, tt.want)
			}
		})
	}
}

func TestThePayloadIsLeftOutUnlessAsked(t *testing.T) {
	t.Parallel()
	var bus tap.Bus
	without, with := listen(t, &bus, tap.Options{}), listen(t, &bus, tap.Options{PayloadBytes: 4})
	e := order("1")
	bus.Emit(&tap.Sight{Stage: tap.Published, Event: e, Topic: orders})
	e.Data[0] = 'x' // a record has its own copy
	r := taken(without)[0]
	if r.Data != nil || r.Event != nil || r.DataBytes != 10 || r.ID != "1" {
		t.Errorf("without payload: %+v", r)
	}
	if r := taken(with)[0]; string(r.Data) != "0123" || r.DataBytes != 10 {
		t.Errorf("with 4 bytes: %q of %d", r.Data, r.DataBytes)
	}
}

func TestASampledEventIsSeenAtAllStagesOrNone(t *testing.T) {
	t.Parallel()
	var bus tap.Bus
	l := listen(t, &bus, tap.Options{SamplePercent: 25})
	const n = 400
	for i := range n {
		e := order(fmt.Sprint(i))
		bus.Emit(&tap.Sight{Stage: tap.Delivered, Event: e, Topic: orders})
		bus.Emit(&tap.Sight{Stage: tap.Settled, Event: e, Topic: orders})
	}
	stages := map[string]int{}
	for _, r := range taken(l) {
		stages[r.ID]++
	}
	for id, count := range stages {
		if count != 2 {
			t.Errorf("event %s was seen %d times", id, count)
		}
	}
	// The hash decides, so the share is the same in every run.
	if share := len(stages) * 100 / n; share < 18 || share > 32 {
		t.Errorf("%d %% of the events were seen, want about 25", share)
	}
}

func TestASlowListenerLosesRecordsAndHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	var bus tap.Bus
	slow, fast := listen(t, &bus, tap.Options{}), listen(t, &bus, tap.Options{})
	const n = 1000
	seen := 0
	for i := range n {
		bus.Emit(&tap.Sight{Stage: tap.Published, Event: order(fmt.Sprint(i)), Topic: orders})
		if i%100 == 0 {
			seen += len(taken(fast))
		}
	}
	seen += len(taken(fast))
	if seen != n || fast.Dropped() != 0 {
		t.Errorf("the fast one saw %d of %d and lost %d", seen, n, fast.Dropped())
	}
	kept := len(taken(slow))
	if uint64(kept)+slow.Dropped() != n || slow.Dropped() == 0 {
		t.Errorf("the slow one kept %d and lost %d of %d", kept, slow.Dropped(), n)
	}
	bus.Emit(&tap.Sight{Stage: tap.Published, Event: order("last"), Topic: orders})
	if r := taken(slow)[0]; r.Dropped != slow.Dropped() {
		t.Errorf("the next record tells of %d lost, want %d", r.Dropped, slow.Dropped())
	}
}

func TestPayloadsInAQueueAreBoundedInBytes(t *testing.T) {
	t.Parallel()
	var bus tap.Bus
	l := listen(t, &bus, tap.Options{PayloadBytes: 1 << 30}) // is cut to the most
	e := order("1")
	e.Data = make([]byte, tap.MaxPayloadBytes+1)
	for range 200 {
		bus.Emit(&tap.Sight{Stage: tap.Published, Event: e, Topic: orders})
	}
	records := taken(l)
	if n := len(records); n != 64 || len(records[0].Data) != tap.MaxPayloadBytes || l.Dropped() != 136 {
		t.Errorf("%d records of %d bytes, %d lost; want 64 of %d, 136 lost", n, len(records[0].Data), l.Dropped(), tap.MaxPayloadBytes)
	}
}

func TestTapsAreBoundedInNumber(t *testing.T) {
	t.Parallel()
	var bus tap.Bus
	for range tap.MaxListeners {
		listen(t, &bus, tap.Options{})
	}
	if _, err := bus.Listen(tap.Options{}); !errors.Is(err, tap.ErrTooManyListeners) {
		t.Errorf("one too many: %v", err)
	}
}

func TestClosingEndsEveryTap(t *testing.T) {
	t.Parallel()
	var bus tap.Bus
	l := listen(t, &bus, tap.Options{})
	var waiting sync.WaitGroup
	waiting.Go(func() {
		if r := l.Next(nil); r != nil {
			t.Errorf("a closed tap gave %+v", r)
		}
	})
	bus.Close()
	waiting.Wait()
	if _, err := bus.Listen(tap.Options{}); !errors.Is(err, tap.ErrClosed) || bus.Active() {
		t.Errorf("after Close: %v, active %t", err, bus.Active())
	}
}

func TestNobodyCanListenToANilBus(t *testing.T) {
	t.Parallel()
	var bus *tap.Bus
	bus.Emit(&tap.Sight{Event: order("1")})
	bus.Close()
	if _, err := bus.Listen(tap.Options{}); err == nil || bus.Active() || bus.Listeners() != 0 {
		t.Error("a nil bus is not silent")
	}
}

func TestEventsAndTapsComeAndGoAtOnce(t *testing.T) {
	t.Parallel()
	var bus tap.Bus
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range 200 {
				if bus.Active() {
					bus.Emit(&tap.Sight{Stage: tap.Published, Event: order(fmt.Sprint(i)), Topic: orders})
				}
			}
		})
		all.Go(func() {
			for range 50 {
				if l, err := bus.Listen(tap.Options{}); err == nil {
					taken(l)
					l.Close()
				}
			}
		})
	}
	all.Wait()
	if bus.Active() {
		t.Error("taps are left")
	}
}

// With nobody listening a bus costs a load and a branch: under 2 ns, 0 allocs.
func BenchmarkNobodyListens(b *testing.B) {
	var bus tap.Bus
	b.ReportAllocs()
	for b.Loop() {
		if bus.Active() {
			b.Fatal("somebody listens")
		}
	}
}

func ExampleBus() {
	var bus tap.Bus
	l, err := bus.Listen(tap.Options{Topic: orders})
	if err != nil {
		panic(err)
	}
	defer l.Close()
	if bus.Active() { // publish and deliver ask this for each event
		bus.Emit(&tap.Sight{Stage: tap.Published, Event: order("17"), Topic: orders, Attempt: 1})
	}
	r := l.Next(nil)
	fmt.Println(r.Stage, r.ID, r.Type, r.DataBytes, "bytes")
	// Output: published 17 placed 10 bytes
}

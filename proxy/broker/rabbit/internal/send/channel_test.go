package send

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/conn"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/envelope"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/frame"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
)

// fakeWire is a wire whose broker is the test.
type fakeWire struct {
	ring *ring

	mu      sync.Mutex
	written []*fakeConfirm // by number, from 1 on
	back    chan frame.Returned
	closed  bool
	hold    chan struct{} // when set, send blocks on it as on a full socket
}

type fakeConfirm struct {
	wire   *fakeWire
	p      *pending
	number uint64
	copy   int64 // the header as it was written
}

func (c *fakeConfirm) decide(ack bool) { c.wire.ring.confirm(c.number, false, ack) }

// send takes what the ring has and was not written yet.
func (w *fakeWire) send([]byte, []byte) error {
	if w.hold != nil {
		<-w.hold
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return amqp.ErrClosed
	}
	w.ring.mu.Lock()
	defer w.ring.mu.Unlock()
	for n := uint64(len(w.written)) + 1; n < w.ring.first+uint64(len(w.ring.open)); n++ {
		p := w.ring.open[n-w.ring.first]
		w.written = append(w.written, &fakeConfirm{wire: w, p: p, number: n, copy: p.copy})
	}
	return nil
}

func (w *fakeWire) returns() <-chan frame.Returned { return w.back }

func (w *fakeWire) isClosed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.closed
}

func (w *fakeWire) at(i int) *fakeConfirm {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.written[i]
}

// sendBack enqueues the return of c, as the broker does before it confirms.
func (w *fakeWire) sendBack(c *fakeConfirm) {
	var h message.Table
	h.AddText(envelope.IDHeader, c.p.id)
	if c.copy != 0 {
		h.AddInt(envelope.CopyHeader, c.copy)
	}
	w.back <- frame.Returned{Reason: "NO_ROUTE", Exchange: c.p.exchange, Key: c.p.key, Properties: message.Properties{Headers: h}}
}

// close ends the channel as the library does: everything unconfirmed is negative.
func (w *fakeWire) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.ring.fail()
}

// newFakeChannel makes a channel on a fake wire, and runs it.
func newFakeChannel(window int, hold chan struct{}) (*channel, *fakeWire) {
	w := &fakeWire{ring: newRing(window), back: make(chan frame.Returned, window), hold: hold}
	c := newChannel(w, w.ring, window, &conn.Alarm{})
	go c.write()
	go c.confirm()
	go c.refuseBlocked()
	return c, w
}

// onChannel runs test in a bubble with a channel on a fake wire.
func onChannel(t *testing.T, window int, test func(t *testing.T, c *channel, w *fakeWire)) {
	synctest.Test(t, func(t *testing.T) {
		c, w := newFakeChannel(window, nil)
		test(t, c, w)
		w.close()
		if !c.isEnded() {
			c.end(nil)
		}
		<-c.drained
	})
}

// onStuckChannel is onChannel with a wire that takes the first publish only once hold is
// closed, which test does.
func onStuckChannel(t *testing.T, test func(*testing.T, *channel, *fakeWire)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c, w := newFakeChannel(8, make(chan struct{}))
		test(t, c, w)
		w.close()
		c.end(nil)
		<-c.drained
	})
}

func (c *channel) isEnded() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

// publication is a batch of one, whose outcome can be waited for.
type publication struct {
	*pending
	outcome chan error
}

func newPending(exchange, id string) *publication {
	p := newPublication(context.Background())
	p.be(exchange, id)
	return p
}

// be makes p a mandatory publish of an event.
func (p *pending) be(exchange, id string) {
	m := queueing.Message{Exchange: exchange, RoutingKey: "k", Event: newEvent(id), Mandatory: true}
	if err := p.encode(&m, &envelope.Limits{HeaderBytes: 1 << 10, DataBytes: 1 << 10, Now: time.Now}, 1<<17); err != nil {
		panic(err)
	}
}

// acceptOne asks c to take p.
func (c *channel) acceptOne(ctx context.Context, p *pending) (bool, error) {
	n, err := c.accept(ctx, p.batch.run(p.number, p.number+1))
	return n == 1, err
}

func newPublication(ctx context.Context) *publication {
	outcome := make(chan error, 1)
	b := newBatch(ctx, 1, func(_, _ int, err error) { outcome <- err })
	return &publication{&b.pendings[0], outcome}
}

func (p *publication) wait() error { return <-p.outcome }

func accept(t *testing.T, c *channel, p *publication) *publication {
	t.Helper()
	if ok, err := c.acceptOne(t.Context(), p.pending); !ok || err != nil {
		t.Fatalf("accept: %v, %v", ok, err)
	}
	return p
}

func TestReturnsAndConfirmsArePairedExactly(t *testing.T) {
	t.Parallel()
	const window, rounds = 64, 50
	onChannel(t, window, func(t *testing.T, c *channel, w *fakeWire) {
		random := rand.New(rand.NewPCG(1, 2))
		for round := range rounds {
			receipts, unroutable := make([]*publication, window), make([]bool, window)
			for i := range receipts {
				// Few ids, so that copies of an event are in flight together.
				receipts[i] = accept(t, c, newPending("x", fmt.Sprint(random.IntN(8))))
			}
			synctest.Wait()
			for i := range receipts {
				if unroutable[i] = random.IntN(3) == 0; unroutable[i] {
					w.sendBack(w.at(round*window + i))
				}
			}
			for _, i := range random.Perm(window) { // confirms may come in any order
				w.at(round*window + i).decide(true)
			}
			for i, p := range receipts {
				err := p.wait()
				if unroutable[i] {
					wantKind(t, err, broker.Unroutable, broker.Failed)
				} else if err != nil {
					t.Fatalf("round %d, publish %d: %v", round, i, err)
				}
			}
		}
	})
}

func TestOnlyACopyInFlightCarriesACopyHeader(t *testing.T) {
	t.Parallel()
	onChannel(t, 8, func(t *testing.T, c *channel, w *fakeWire) {
		first, other, second := accept(t, c, newPending("x", "a")), accept(t, c, newPending("x", "b")), accept(t, c, newPending("x", "a"))
		synctest.Wait()
		for i, want := range []int64{0, 0, 1} {
			if got := w.at(i).copy; got != want {
				t.Errorf("publish %d has copy header %d, want %d", i, got, want)
			}
			w.at(i).decide(true)
		}
		for _, p := range []*publication{first, other, second} {
			if err := p.wait(); err != nil {
				t.Error(err)
			}
		}
		accept(t, c, newPending("x", "a"))
		synctest.Wait()
		if got := w.at(3).copy; got != 0 {
			t.Errorf("a later publish of the event has copy header %d, want none", got)
		}
	})
}

func TestAClosedChannelFailsEverythingAsUnknownAtOnce(t *testing.T) {
	t.Parallel()
	onChannel(t, 8, func(t *testing.T, c *channel, w *fakeWire) {
		a, b := accept(t, c, newPending("x", "a")), accept(t, c, newPending("x", "b"))
		synctest.Wait()
		w.sendBack(w.at(0)) // returned, but its confirm did not come
		late := accept(t, c, newPending("x", "c"))
		synctest.Wait()
		w.close()
		c.end(nil)
		wantKind(t, a.wait(), broker.Unroutable, broker.Failed)
		wantKind(t, b.wait(), broker.Closed, broker.Unknown)
		wantKind(t, late.wait(), broker.Closed, broker.Unknown)
	})
}

func TestAChannelClosedForAnExchangeSaysSoToItsPublishes(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		cause *amqp.Error
		kind  broker.Kind
	}{
		"missing":   {&amqp.Error{Code: 404, Reason: "NOT_FOUND - no exchange 'x' in vhost '/'"}, broker.NotFound},
		"forbidden": {&amqp.Error{Code: 403, Reason: "ACCESS_REFUSED - access to exchange 'x' in vhost '/' refused for user 'u'"}, broker.Refused},
		"internal":  {&amqp.Error{Code: 403, Reason: "ACCESS_REFUSED - cannot publish to internal exchange 'x' in vhost '/'"}, broker.Refused},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onChannel(t, 8, func(t *testing.T, c *channel, w *fakeWire) {
				guilty, neighbour := accept(t, c, newPending("x", "a")), accept(t, c, newPending("y", "b"))
				synctest.Wait()
				w.close()
				c.end(tc.cause)
				wantKind(t, guilty.wait(), tc.kind, broker.Unknown)
				wantKind(t, neighbour.wait(), broker.Closed, broker.Unknown)
			})
			onChannel(t, 8, func(t *testing.T, c *channel, w *fakeWire) {
				confirmed := accept(t, c, newPending("x", "before"))
				synctest.Wait()
				w.at(0).decide(true)
				if err := confirmed.wait(); err != nil {
					t.Fatal(err)
				}
				alone := accept(t, c, newPending("x", "a"))
				synctest.Wait()
				w.close()
				c.end(tc.cause)
				wantKind(t, alone.wait(), tc.kind, broker.NotSent)
			})
			onChannel(t, 8, func(t *testing.T, c *channel, w *fakeWire) {
				first, last := accept(t, c, newPending("x", "a")), accept(t, c, newPending("x", "b"))
				synctest.Wait()
				w.close()
				c.end(tc.cause)
				wantKind(t, first.wait(), tc.kind, broker.Unknown) // it may have been before the fault
				wantKind(t, last.wait(), tc.kind, broker.NotSent)
			})
		})
	}
}

func TestAChannelClosedForALargeMessageFailsThatOneForCertain(t *testing.T) {
	t.Parallel()
	for reason, certain := range map[string]bool{
		"PRECONDITION_FAILED - message size 2000 is larger than configured max size 1000": true,
		"PRECONDITION_FAILED - message size 2000 is larger than max size 1000":            true,
		"PRECONDITION_FAILED - invalid expiration":                                        false,
	} {
		onChannel(t, 8, func(t *testing.T, c *channel, w *fakeWire) {
			large, fits := newPending("x", "a"), newPending("x", "b")
			large.size, fits.size = 1001, 1000
			accept(t, c, large)
			accept(t, c, fits)
			synctest.Wait()
			w.close()
			c.end(&amqp.Error{Code: amqp.PreconditionFailed, Reason: reason})
			wantKind(t, fits.wait(), broker.Closed, broker.Unknown)
			if certain {
				wantKind(t, large.wait(), broker.TooLarge, broker.Failed)
			} else {
				wantKind(t, large.wait(), broker.Closed, broker.Unknown)
			}
		})
	}
}

func TestANackIsUnknownAndRetiresTheChannel(t *testing.T) {
	t.Parallel()
	onChannel(t, 8, func(t *testing.T, c *channel, w *fakeWire) {
		young := accept(t, c, newPending("x", "a"))
		synctest.Wait()
		w.at(0).decide(false)
		wantKind(t, young.wait(), broker.Nacked, broker.Unknown)
		if c.isRetired() {
			t.Fatal("a channel that was just opened is retired by a nack: a full queue would make one per event")
		}
		inFlight := accept(t, c, newPending("x", "b"))
		<-time.After(retireAge) // of the bubble's clock
		if ok, err := c.acceptOne(t.Context(), newPending("x", "d").pending); ok || err != nil {
			t.Fatalf("a retired channel accepts: %v, %v", ok, err)
		}
		synctest.Wait()
		w.at(1).decide(true)
		if err := inFlight.wait(); err != nil {
			t.Fatalf("what was in flight on a retired channel: %v", err)
		}
	})
}

func TestANackRetiresAChannelOfSomeAgeAtOnce(t *testing.T) {
	t.Parallel()
	onChannel(t, 8, func(t *testing.T, c *channel, w *fakeWire) {
		<-time.After(retireAge) // of the bubble's clock
		nacked := accept(t, c, newPending("x", "a"))
		synctest.Wait()
		w.at(0).decide(false)
		wantKind(t, nacked.wait(), broker.Nacked, broker.Unknown)
		if !c.isRetired() {
			t.Error("the channel goes on")
		}
	})
}

func TestAnAlarmEndsTheWaitOfWhatIsQueuedToAWriterThatIsStuck(t *testing.T) {
	t.Parallel()
	onStuckChannel(t, func(t *testing.T, c *channel, w *fakeWire) {
		stuck, behind := accept(t, c, newPending("x", "a")), accept(t, c, newPending("x", "b"))
		waiting := make(chan error, 1)
		go func() { waiting <- behind.wait() }()
		synctest.Wait()
		c.alarm.Set(true, "memory")
		wantKind(t, <-waiting, broker.Blocked, broker.NotSent)
		close(w.hold)
		synctest.Wait()
		w.at(0).decide(true)
		if err := stuck.wait(); err != nil {
			t.Errorf("what the writer had: %v", err)
		}
		if n := len(w.written); n != 1 {
			t.Errorf("%d messages were written, want only the one the writer had", n)
		}
	})
}

func TestTheWindowBoundsUnconfirmedPublishes(t *testing.T) {
	t.Parallel()
	onChannel(t, 2, func(t *testing.T, c *channel, w *fakeWire) {
		accept(t, c, newPending("x", "a"))
		accept(t, c, newPending("x", "b"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.acceptOne(ctx, newPending("x", "c").pending)
		wantKind(t, err, broker.WindowFull, broker.NotSent)
		go func() { w.at(0).decide(true) }()
		accept(t, c, newPending("x", "d"))
	})
}

func TestAnAlarmStopsPublishesAtOnce(t *testing.T) {
	t.Parallel()
	onChannel(t, 2, func(t *testing.T, c *channel, w *fakeWire) {
		accept(t, c, newPending("x", "a"))
		accept(t, c, newPending("x", "b"))
		synctest.Wait()
		waiting := make(chan error, 1)
		go func() {
			_, err := c.acceptOne(t.Context(), newPending("x", "c").pending)
			waiting <- err
		}()
		synctest.Wait()
		c.alarm.Set(true, "memory")
		wantKind(t, <-waiting, broker.Blocked, broker.NotSent)
		w.at(0).decide(true)
		synctest.Wait()
		queued := accept(t, c, newPending("x", "d")) // a slot is free, but the writer sees the alarm
		wantKind(t, queued.wait(), broker.Blocked, broker.NotSent)
		c.alarm.Set(false, "")
		accept(t, c, newPending("x", "e"))
		synctest.Wait()
		if n := len(w.written); n != 3 {
			t.Errorf("%d messages were written, want 3", n)
		}
	})
}

func TestAPublishThatWaitsForTheWriterIsNotSentWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	onStuckChannel(t, func(t *testing.T, c *channel, w *fakeWire) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		stuck, behind := newPublication(ctx), newPublication(ctx)
		accept(t, c, stuck)
		accept(t, c, behind)
		wantKind(t, behind.wait(), broker.WindowFull, broker.NotSent)
		wantKind(t, stuck.wait(), broker.ConfirmTimeout, broker.Unknown)
		close(w.hold)
		synctest.Wait()
		if n := len(w.written); n != 1 {
			t.Errorf("%d messages were written, want only the one the writer had", n)
		}
		w.at(0).decide(true) // a second outcome would block the confirmer
		synctest.Wait()
	})
}

func TestAPublishThatIsQueuedAsItsContextEndsHasAnOutcome(t *testing.T) {
	t.Parallel()
	onStuckChannel(t, func(t *testing.T, c *channel, w *fakeWire) {
		accept(t, c, newPending("x", "a")) // holds up the writer
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		late := newPublication(ctx)
		cancel()
		synctest.Wait() // the end of the context has passed it over
		if ok, err := c.acceptOne(ctx, late.pending); !ok || err != nil {
			t.Fatalf("accept: %v, %v", ok, err)
		}
		wantKind(t, late.wait(), broker.WindowFull, broker.NotSent)
		close(w.hold)
		synctest.Wait()
		w.at(0).decide(true)
	})
}

// A channel remembers publishes that are decided, for their ids, and ones that were given
// up, for their confirms: neither may keep what the caller published.
func TestWhatHasItsOutcomeIsKeptNoLonger(t *testing.T) {
	t.Parallel()
	onChannel(t, 16, func(t *testing.T, c *channel, w *fakeWire) {
		publish := func(ctx context.Context, id string) (weak.Pointer[[64]byte], <-chan error) {
			data, outcome := new([64]byte), make(chan error, 1)
			b := newBatch(ctx, 1, func(_, _ int, err error) {
				outcome <- err
				runtime.KeepAlive(data)
			})
			p := &b.pendings[0]
			p.be("x", id)
			p.rest = data[:]
			if ok, err := c.acceptOne(ctx, p); !ok || err != nil {
				t.Fatal(ok, err)
			}
			return weak.Make(data), outcome
		}
		confirmed, told := publish(t.Context(), "a")
		synctest.Wait()
		w.at(0).decide(true)
		if err := <-told; err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		givenUp, told := publish(ctx, "b")
		wantKind(t, <-told, broker.ConfirmTimeout, broker.Unknown)
		synctest.Wait()
		runtime.GC()
		if confirmed.Value() != nil {
			t.Error("what was confirmed is kept")
		}
		if givenUp.Value() != nil {
			t.Error("what was given up is kept")
		}
		w.at(1).decide(true)
	})
}

func TestWhatIsConfirmedAtOnceIsToldAtOnce(t *testing.T) {
	t.Parallel()
	onChannel(t, 16, func(t *testing.T, c *channel, w *fakeWire) {
		var told []string
		b := newBatch(t.Context(), 10, func(from, to int, err error) { told = append(told, fmt.Sprint(from, to, err != nil)) })
		for i := range b.pendings {
			p := &b.pendings[i]
			p.be("x", fmt.Sprint(i))
			if ok, err := c.acceptOne(t.Context(), p); !ok || err != nil {
				t.Fatal(ok, err)
			}
		}
		synctest.Wait()
		w.sendBack(w.at(4))
		for i := 9; i >= 0; i-- { // the confirmer waits for the first
			w.at(i).decide(true)
		}
		synctest.Wait()
		if want := []string{"0 4 false", "4 5 true", "5 10 false"}; !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
	})
}

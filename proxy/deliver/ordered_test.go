package deliver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/internal/brokertest/one"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/door/rpcerr"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/refusal"
)

const partitionCount = 4

// perKey orders a subscription by key.
func perKey(s *mesh.Subscription) {
	s.Ordering, s.Partitions = mesh.PerKey, mesh.Partitions{Count: partitionCount, Key: event.AttrPartitionKey}
}

func orderedRig(t *testing.T, change func(*mesh.Subscription)) *rig {
	t.Helper()
	return newRig(t, func(s *mesh.Subscription) {
		perKey(s)
		if change != nil {
			change(s)
		}
	})
}

// keyed publishes an event of a key to the partition that is the key's first letter
// modulo their number.
func (r *rig) keyed(key, id string) {
	r.t.Helper()
	e := &event.Event{ID: id, Source: "/shop", Type: "com.shop.order.placed", Data: []byte("order " + id)}
	e.Set(event.AttrPartitionKey, event.String(key))
	r.send(&queueing.Message{Exchange: "orders", RoutingKey: e.Type, Event: e, Mandatory: true, Partitioned: true, Partition: uint32(key[0]) % partitionCount})
}

func (r *rig) send(m *queueing.Message) {
	r.t.Helper()
	receipt, err := one.Publish(r.t.Context(), r.driver.Publish, *m)
	if err == nil {
		err = receipt.Wait(r.t.Context())
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// settledDown waits until nothing is left in any partition.
func (r *rig) settledDown() {
	r.t.Helper()
	for i := range partitionCount {
		r.empty(fmt.Sprintf("shop.billing.p%d", i))
	}
}

// next expects the event with this id.
func (s *stream) next(id string) *eventsv1.Delivery {
	s.t.Helper()
	d := s.delivery()
	if d.GetEvent().GetId() != id {
		s.t.Fatalf("delivered %s, want %s", d.GetEvent().GetId(), id)
	}
	return d
}

// both expects two events, in either order.
func (s *stream) both(a, b string) (*eventsv1.Delivery, *eventsv1.Delivery) {
	s.t.Helper()
	first := s.delivery()
	if first.GetEvent().GetId() == a {
		return first, s.next(b)
	}
	if first.GetEvent().GetId() != b {
		s.t.Fatalf("delivered %s, want %s or %s", first.GetEvent().GetId(), a, b)
	}
	return s.next(a), first
}

// quiet expects nothing but a heartbeat.
func (s *stream) quiet() {
	s.t.Helper()
	res, err := s.Recv()
	if err != nil || res.GetHeartbeat() == nil {
		s.t.Fatalf("nothing may come, but %v did, %v", res, err)
	}
}

func (s *stream) retry(d *eventsv1.Delivery) {
	s.t.Helper()
	s.settle(&eventsv1.Settlement{Token: d.GetToken(), Outcome: eventsv1.Outcome_OUTCOME_RETRY, Reason: "not now"})
}

func (s *stream) refuse(d *eventsv1.Delivery) {
	s.t.Helper()
	s.settle(&eventsv1.Settlement{Token: d.GetToken(), Outcome: eventsv1.Outcome_OUTCOME_DEAD_LETTER, Reason: "no"})
}

// letters waits for dead letters and returns their ids and reasons.
func (r *rig) letters(n int) (out []string) {
	r.t.Helper()
	eventually(r.t, fmt.Sprint(n, " dead letters"), func() bool { return len(r.broker.Peek("shop.billing.dead", n+1)) >= n })
	for _, m := range r.broker.Peek("shop.billing.dead", n+1) {
		out = append(out, m.Event.ID+" "+m.DeadLetter.Reason)
	}
	return out
}

func TestOrderedEventsOfAKeyComeOneByOneAndOtherKeysFlow(t *testing.T) {
	t.Parallel()
	r := orderedRig(t, nil)
	r.keyed("a", "a1")
	r.keyed("a", "a2")
	s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 100})
	a1 := s.next("a1")
	r.keyed("e", "e1") // in the same partition
	r.keyed("b", "b1") // in another
	e1, b1 := s.both("e1", "b1")
	s.ack(e1)
	s.ack(b1)
	s.quiet()
	s.ack(a1)
	s.ack(s.next("a2"))
	r.settledDown()
}

func TestAnEventWithoutAKeyWaitsForNobody(t *testing.T) {
	t.Parallel()
	r := orderedRig(t, nil)
	r.publish("1", "2")
	s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 100})
	first := s.next("1")
	s.ack(s.next("2"))
	s.ack(first)
	r.settledDown()
}

func TestEventsOfPlainProducersAreOrderedByTheirKeyInTheFirstPartition(t *testing.T) {
	t.Parallel()
	r := orderedRig(t, nil)
	for _, id := range []string{"1", "2"} {
		e := &event.Event{ID: id, Source: "/legacy", Type: "com.shop.order.placed"}
		e.Set(event.AttrPartitionKey, event.String("b"))
		r.send(&queueing.Message{Exchange: "orders", RoutingKey: e.Type, Event: e, Mandatory: true})
	}
	if ready, _ := r.broker.Len("shop.billing.p0"); ready != 2 {
		t.Fatalf("%d events in the first partition, want 2", ready)
	}
	s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 100})
	first := s.next("1")
	s.quiet()
	s.ack(first)
	s.ack(s.next("2"))
	r.settledDown()
}

func TestARetryHoldsItsKeyAndNoOther(t *testing.T) {
	t.Parallel()
	r := orderedRig(t, func(s *mesh.Subscription) { s.Backoff = mesh.Backoff{Base: 300 * time.Millisecond, Max: time.Second} })
	r.keyed("a", "a1")
	r.keyed("a", "a2")
	s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 100, SettleResults: true})
	a1, failed := s.next("a1"), time.Now()
	s.retry(a1)
	if res := s.hear().GetSettled().GetResults(); len(res) != 1 || res[0].GetStatus() != nil {
		t.Fatalf("the retry was answered with %v", res)
	}
	r.keyed("e", "e1")
	s.ack(s.next("e1"))
	s.hear()
	again := s.next("a1")
	if again.GetAttempt() != 2 || !again.GetRedelivered() || again.GetToken() == a1.GetToken() {
		t.Errorf("then came %v; want the second attempt, with a token of its own", again)
	}
	if waited := time.Since(failed); waited < 300*time.Millisecond {
		t.Errorf("it came after %v, the backoff is 300ms", waited)
	}
	s.ack(a1) // settled: no effect on the second attempt
	if res := s.hear().GetSettled().GetResults(); len(res) != 1 || res[0].GetStatus() == nil {
		t.Errorf("an ack with the first attempt's token was answered with %v", res)
	}
	s.ack(again)
	s.hear()
	s.ack(s.next("a2"))
	r.settledDown()
}

func TestARetryEndsAfterItsAttemptsOrItsTime(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*mesh.Subscription)
		after  uint32
		reason string
	}{
		"attempts": {func(*mesh.Subscription) {}, 3, "attempts-exhausted"},
		"time": {func(s *mesh.Subscription) {
			s.MaxElapsed, s.Attempts, s.Backoff = 20*time.Millisecond, 1000, mesh.Backoff{Base: time.Hour, Max: time.Hour}
		}, 2, "retries-elapsed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := orderedRig(t, test.change)
			r.keyed("a", "a1")
			r.keyed("a", "a2")
			s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 100})
			for range test.after {
				s.retry(s.next("a1"))
			}
			s.ack(s.next("a2"))
			dl := r.letter().DeadLetter
			if dl.Reason != test.reason || dl.Attempts != test.after || dl.FirstFailure.IsZero() || dl.Time.Before(dl.FirstFailure) ||
				dl.Origin.Name != "orders" || dl.Origin.Key != "com.shop.order.placed" {
				t.Errorf("dead letter %+v, want %s", dl, test.reason)
			}
			r.settledDown()
		})
	}
}

func TestAHeldKeyIsDeadLetteredInOrderUntilItIsReleased(t *testing.T) {
	t.Parallel()
	r := orderedRig(t, func(s *mesh.Subscription) { s.KeyPolicy = mesh.Hold })
	s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 100})
	for _, id := range []string{"a1", "a2", "a3"} {
		r.keyed("a", id)
	}
	s.refuse(s.next("a1"))
	if got, want := r.letters(3), []string{"a1 rejected", "a2 key-held", "a3 key-held"}; !slices.Equal(got, want) {
		t.Errorf("dead letters %v, want %v", got, want)
	}
	if got := r.service.HeldKeys(billing); !slices.Equal(got, []string{"a"}) {
		t.Errorf("held keys %v, want a", got)
	}
	r.keyed("b", "b1")
	s.ack(s.next("b1"))
	if n := r.service.ReleaseKeys(billing, "b", "a"); n != 1 {
		t.Errorf("released %d keys, want 1", n)
	}
	r.keyed("a", "a4")
	s.ack(s.next("a4"))
	if left := r.service.ReleaseKeys(billing); left != 0 {
		t.Errorf("%d keys are still held", left)
	}
	r.settledDown()
}

func TestAKeyWaitsUntilItsDeadLetterIsThere(t *testing.T) {
	t.Parallel()
	r := orderedRig(t, nil)
	r.keyed("a", "a1")
	r.keyed("a", "a2")
	s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 100})
	a1 := s.next("a1")
	end := r.broker.Alarm()
	s.refuse(a1)
	s.quiet()
	if n := len(r.broker.Peek("shop.billing.dead", 1)); n != 0 {
		t.Fatalf("%d dead letters though the broker takes none", n)
	}
	end()
	s.ack(s.next("a2"))
	if got := r.letters(1); !slices.Equal(got, []string{"a1 rejected"}) {
		t.Errorf("dead letters %v", got)
	}
	r.settledDown()
}

func TestALostConnectionKeepsOrderAndAttempts(t *testing.T) {
	t.Parallel()
	r := orderedRig(t, func(s *mesh.Subscription) { s.Backoff = mesh.Backoff{Base: time.Millisecond, Max: time.Millisecond} })
	r.keyed("a", "a1")
	r.keyed("a", "a2")
	r.keyed("e", "e1")
	s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 100})
	a1, e1 := s.both("a1", "e1")
	s.retry(a1)
	a1 = s.next("a1")
	r.broker.Interrupt()
	a1again, e1again := s.both("a1", "e1")
	if a1again.GetAttempt() != 2 || e1again.GetAttempt() != 1 || !e1again.GetRedelivered() {
		t.Errorf("after the cut came attempt %d and %d; want 2, what was tried before, and 1", a1again.GetAttempt(), e1again.GetAttempt())
	}
	s.ack(a1) // stale: must not let a2 pass
	if res := s.hear().GetSettled().GetResults(); len(res) != 1 || res[0].GetStatus() == nil {
		t.Errorf("an ack with an old token was answered with %v", res)
	}
	s.ack(e1)
	s.hear()
	s.quiet()
	s.ack(a1again)
	s.ack(s.next("a2"))
	s.ack(e1again)
	r.settledDown()
}

func TestAnEventThatCrashesItsServiceSpendsNoAttemptOfThoseBehindIt(t *testing.T) {
	t.Parallel()
	r := orderedRig(t, nil)
	r.keyed("a", "poison")
	for _, id := range []string{"a2", "a3"} {
		r.keyed("a", id)
	}
	for attempt := range uint32(3) {
		s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 100})
		if d := s.next("poison"); d.GetAttempt() != attempt+1 {
			t.Errorf("attempt %d, want %d", d.GetAttempt(), attempt+1)
		}
		s.cancel()
		_ = s.end()
	}
	s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 100})
	for _, id := range []string{"a2", "a3"} {
		d := s.next(id)
		if d.GetAttempt() != 1 {
			t.Errorf("%s comes as attempt %d, want its first", id, d.GetAttempt())
		}
		s.ack(d)
	}
	if got := r.letters(1); !slices.Equal(got, []string{"poison attempts-exhausted"}) {
		t.Errorf("dead letters %v", got)
	}
	r.settledDown()
}

func TestWhatIsParkedDoesNotHoldUpADrain(t *testing.T) {
	t.Parallel()
	r := orderedRig(t, func(s *mesh.Subscription) { s.Backoff = mesh.Backoff{Base: time.Hour, Max: time.Hour} })
	r.keyed("a", "a1")
	r.keyed("a", "a2")
	s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 100, SettleResults: true})
	s.retry(s.next("a1"))
	s.hear()
	within(t, "Drain", func() { r.service.Drain(context.Background()) })
	if err := s.end(); rpcerr.Reason(err) != refusal.Draining {
		t.Errorf("the stream ended with %v", err)
	}
	var left []string
	for _, m := range r.broker.Peek("shop.billing.p1", 3) {
		left = append(left, m.Event.ID)
	}
	if !slices.Equal(left, []string{"a1", "a2"}) {
		t.Errorf("left in the queue: %v", left)
	}
}

func TestAHalfCloseOfAnOrderedStreamGivesBackWhatIsParked(t *testing.T) {
	t.Parallel()
	r := orderedRig(t, func(s *mesh.Subscription) { s.Backoff = mesh.Backoff{Base: time.Hour, Max: time.Hour} })
	r.keyed("a", "a1")
	s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 100, SettleResults: true})
	s.retry(s.next("a1"))
	s.hear()
	if err := s.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if err := s.end(); !errors.Is(err, io.EOF) {
		t.Errorf("the stream ended with %v", err)
	}
	if ready, unsettled := r.broker.Len("shop.billing.p1"); ready != 1 || unsettled != 0 {
		t.Errorf("%d ready, %d unsettled; want the event back", ready, unsettled)
	}
}

func TestAnOrderedStreamHasNoMoreInHandThanItAskedFor(t *testing.T) {
	t.Parallel()
	r := orderedRig(t, nil)
	r.publish("1", "2", "3")
	s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 100, MaxOutstandingMessages: 2})
	first := s.next("1")
	s.next("2")
	s.quiet()
	s.ack(first)
	s.next("3")
}

package deadletter_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/deadletter"
	"github.com/warrenmesh/warren/proxy/refusal"
)

func (r *rig) redrive(q deadletter.Query, how deadletter.Redrive) deadletter.Report {
	r.Helper()
	report, err := r.Redrive(r.Context(), q, how, nil)
	if err != nil {
		r.Fatalf("redrive: %v", err)
	}
	return report
}

func TestARedrivenLetterIsAFirstAttemptOfTheSameEvent(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	was := letter("17", 0)
	r.put(was)
	if report := r.redrive(deadletter.Query{Subscription: billing}, deadletter.Redrive{}); report.Done != 1 || !report.Complete {
		t.Errorf("%+v", report)
	}
	r.wantIDs(dead)
	r.wantIDs("shop.shipping")
	got := r.broker.Peek("shop.billing", 2)
	if len(got) != 1 {
		t.Fatalf("%d messages in the subscription's queue", len(got))
	}
	m := got[0]
	if !reflect.DeepEqual(m.Event, was.Event) || m.Trace != was.Trace || m.Priority != was.Priority || m.AppID != was.AppID {
		t.Errorf("event, trace context, priority or publisher changed: %+v", m)
	}
	if m.DeadLetter != nil || m.Attempt != 1 || !m.FirstFailure.IsZero() {
		t.Errorf("it still says that it failed: %+v", m)
	}
	if m.OriginExchange != "orders" || m.OriginKey != "placed.17" {
		t.Errorf("origin %q, %q", m.OriginExchange, m.OriginKey)
	}
	if !m.Persistent || !m.Mandatory || !m.Republished {
		t.Errorf("persistent %t, mandatory %t, marked as repeated %t", m.Persistent, m.Mandatory, m.Republished)
	}
}

func TestARedriveToTheTopicReachesEverySubscription(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.bury(2)
	r.redrive(deadletter.Query{Subscription: billing}, deadletter.Redrive{To: deadletter.Topic})
	r.wantIDs("shop.billing", "0", "1")
	r.wantIDs("shop.shipping", "0", "1")
	if m := r.broker.Peek("shop.shipping", 1)[0]; m.Exchange != "orders" || m.RoutingKey != "placed.0" || m.OriginExchange != "" {
		t.Errorf("published to %q with key %q, origin %q", m.Exchange, m.RoutingKey, m.OriginExchange)
	}
}

func TestAnOrderedSubscriptionsLetterGoesToItsPartition(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	sub := r.subscriptions[billing]
	sub.Ordering, sub.Partitions = mesh.PerKey, mesh.Partitions{Count: 2, Key: "partitionkey"}
	queues := []queueing.Queue{{Name: sub.Queue.Partition(0)}, {Name: sub.Queue.Partition(1)}}
	if err := r.driver.EnsureTopology(t.Context(), queueing.Topology{Policy: mesh.Manage, Queues: queues}); err != nil {
		t.Fatal(err)
	}
	led, beyond := letter("led", 0), letter("beyond", 0)
	led.Partition, led.Partitioned = 1, true
	beyond.Partition, beyond.Partitioned = 2, true
	r.put(letter("plain", 0), led, beyond)
	r.redrive(deadletter.Query{Subscription: billing}, deadletter.Redrive{})
	r.wantIDs(queues[0].Name, "plain", "beyond")
	r.wantIDs(queues[1].Name, "led")
	if m := r.broker.Peek(queues[1].Name, 1)[0]; m.Partition != 1 || !m.Partitioned {
		t.Errorf("its partition is gone: %+v", m)
	}
}

func TestOnlyWhatWasChosenIsRedrivenAndTheRestKeepsItsPlace(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	foreign := letter("foreign", 0)
	foreign.DeadLetter.Subscription = shipping.String()
	r.put(foreign)
	r.bury(many)
	var want, rest []string
	rest = append(rest, "foreign")
	for i := range many {
		if i%3 == 0 {
			want = append(want, fmt.Sprint(i))
		} else {
			rest = append(rest, fmt.Sprint(i))
		}
	}
	report := r.redrive(deadletter.Query{Subscription: billing, Filter: deadletter.Filter{IDs: want}}, deadletter.Redrive{})
	if report.Done != len(want) || report.Matched != len(want) || report.Foreign != 1 || report.Read != many+1 {
		t.Errorf("%+v", report)
	}
	r.wantIDs("shop.billing", want...)
	r.wantIDs(dead, rest...)
}

func TestALimitLeavesTheRest(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.bury(many)
	if report := r.redrive(deadletter.Query{Subscription: billing, Limit: 100}, deadletter.Redrive{}); report.Done != 100 || !report.Complete {
		t.Errorf("%+v", report)
	}
	r.wantIDs("shop.billing", numbered(0, 100)...)
	r.wantIDs(dead, numbered(100, many)...)
}

func TestADryRunChangesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.bury(many)
	q := deadletter.Query{Subscription: billing, Filter: deadletter.Filter{Until: died.Add(10 * time.Minute)}}
	if report := r.redrive(q, deadletter.Redrive{DryRun: true, PerSecond: 1}); report.Done != 10 || !report.Complete {
		t.Errorf("redrive: %+v", report)
	}
	report, err := r.Purge(t.Context(), q, true, nil)
	if err != nil || report.Done != 10 {
		t.Errorf("purge: %v, %+v", err, report)
	}
	r.wantIDs("shop.billing")
	r.wantIDs(dead, numbered(0, many)...)
}

func TestALetterThatDiesAgainIsNotRedrivenAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.bury(3)
	again := 0
	report, err := r.Redrive(t.Context(), deadletter.Query{Subscription: billing}, deadletter.Redrive{}, func(p deadletter.Report) {
		if p.Done > again { // its service gives it up at once
			r.put(letter(fmt.Sprint("again-", again), again))
			again++
		}
	})
	if err != nil || report.Done != 3 {
		t.Errorf("%v, %+v", err, report)
	}
	r.wantIDs(dead, "again-0", "again-1", "again-2")
}

func TestAFailedPublishLeavesTheLetter(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.bury(3)
	r.subscriptions[billing].Queue.Name = "nowhere"
	report, err := r.Redrive(t.Context(), deadletter.Query{Subscription: billing}, deadletter.Redrive{}, nil)
	if refusal.Reason(err) != refusal.Unroutable || report.Done != 0 || report.Complete {
		t.Errorf("a queue that is not there: %v, %+v", err, report)
	}
	end := r.broker.Alarm()
	report, err = r.Redrive(t.Context(), deadletter.Query{Subscription: billing}, deadletter.Redrive{}, nil)
	if refusal.Reason(err) != refusal.BrokerBlocked || report.Done != 0 {
		t.Errorf("a broker under an alarm: %v, %+v", err, report)
	}
	end()
	r.wantIDs(dead, numbered(0, 3)...)
}

// refusing is a driver that cannot express one event.
type refusing struct {
	queueing.Driver
	id string
}

func (d *refusing) Publish(ctx context.Context, batch []queueing.Message, told broker.Told) {
	if batch[0].Event.ID == d.id {
		told(0, len(batch), &broker.Error{Kind: broker.Invalid, Op: "publish", Err: errors.New("event expired")})
		return
	}
	d.Driver.Publish(ctx, batch, told)
}

func TestALetterThatTheBrokerDoesNotTakeStaysAndTheOthersGo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.put(letter("0", 0), letter("never", 0), letter("1", 0))
	r.driver = &refusing{r.driver, "never"}
	report := r.redrive(deadletter.Query{Subscription: billing}, deadletter.Redrive{})
	if report.Done != 2 || report.Failed != 1 || report.Matched != 3 || !strings.Contains(report.Failure, `"never"`) {
		t.Errorf("%+v", report)
	}
	r.wantIDs("shop.billing", "0", "1")
	r.wantIDs(dead, "never")
}

func TestALetterWhoseConfirmNeverComesStays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.bury(2)
		release := r.broker.HoldConfirms()
		report, err := r.Redrive(t.Context(), deadletter.Query{Subscription: billing}, deadletter.Redrive{}, nil)
		if refusal.Reason(err) != refusal.ConfirmTimeout || refusal.Of(err).Outcome != broker.Unknown || report.Done != 0 {
			t.Errorf("%v, %+v", err, report)
		}
		release()
		r.wantIDs(dead, "0", "1")
	})
}

func TestALetterIsRemovedOnlyAfterItsConfirm(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.bury(1)
	release := r.broker.HoldConfirms()
	ctx, cancel := context.WithCancel(t.Context())
	cut := &cutting{Driver: r.driver, when: func() { // published, unconfirmed
		if ready, unsettled := r.broker.Len(dead); ready+unsettled != 1 {
			t.Errorf("%d ready and %d in hand before the confirm", ready, unsettled)
		}
		cancel() // what has begun is brought to its end all the same
		release()
	}}
	r.driver = cut
	report, err := r.Redrive(ctx, deadletter.Query{Subscription: billing}, deadletter.Redrive{}, nil)
	if err != nil || report.Done != 1 {
		t.Errorf("%v, %+v", err, report)
	}
	r.wantIDs(dead)
	r.wantIDs("shop.billing", "0")
}

// cutting is a driver that does something after each publish, before its confirm is
// waited for.
type cutting struct {
	queueing.Driver
	when func()
}

func (d *cutting) Publish(ctx context.Context, batch []queueing.Message, told broker.Told) {
	d.Driver.Publish(ctx, batch, told)
	d.when()
}

func TestACutDuringARedriveLosesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.bury(many)
	plain, n := r.driver, 0
	r.driver = &cutting{Driver: plain, when: func() {
		if n++; n == 100 {
			r.broker.Interrupt()
		}
	}}
	report, err := r.Redrive(t.Context(), deadletter.Query{Subscription: billing}, deadletter.Redrive{}, nil)
	if refusal.Reason(err) != refusal.ConnectionLost || report.Done < 99 || report.Complete {
		t.Errorf("%v, %+v", err, report)
	}
	r.driver = plain
	left := r.redrive(deadletter.Query{Subscription: billing}, deadletter.Redrive{})
	if report.Done+left.Done != many {
		t.Errorf("%d and %d of %d redriven", report.Done, left.Done, many)
	}
	r.wantIDs(dead)
	got := slices.Compact(r.ids("shop.billing")) // the one at the cut may be there twice, together
	if !slices.Equal(got, numbered(0, many)) {
		t.Errorf("redriven: %q", got)
	}
}

func TestARateSpreadsLettersAndLongJobsGiveBackInBetween(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		other := letter("other", 0)
		other.Event.Type = "com.shop.refund"
		r.put(other)
		r.bury(many)
		begin := time.Now()
		q := deadletter.Query{Subscription: billing, Filter: deadletter.Filter{Types: []string{"com.shop.order.placed"}}}
		report, err := r.Redrive(t.Context(), q, deadletter.Redrive{PerSecond: 0.1}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if took, want := time.Since(begin), (many-1)*10*time.Second; took < want || took > want+time.Minute {
			t.Errorf("it took %s, want %s", took, want)
		}
		if report.Done != many || report.Matched != many || report.Read != many+1 || !report.Complete {
			t.Errorf("%+v", report)
		}
		r.wantIDs("shop.billing", numbered(0, many)...)
		r.wantIDs(dead, "other")
		if returned := r.broker.Peek(dead, 1)[0].Attempt - other.Attempt; returned != 4 {
			t.Errorf("what was not chosen was given back %d times in half an hour, want every 10 minutes and at the end", returned)
		}
	})
}

func TestARedriveEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.bury(many)
		ctx, cancel := context.WithTimeout(t.Context(), 94500*time.Millisecond)
		defer cancel()
		report, err := r.Redrive(ctx, deadletter.Query{Subscription: billing}, deadletter.Redrive{PerSecond: 1}, nil)
		if err == nil || report.Done != 95 || report.Complete {
			t.Errorf("%v, %+v", err, report)
		}
		r.wantIDs("shop.billing", numbered(0, 95)...)
		r.wantIDs(dead, numbered(95, many)...)
	})
}

func TestAPurgeRemovesWhatWasChosen(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	foreign := letter("foreign", 0)
	foreign.DeadLetter.Subscription = shipping.String()
	r.put(foreign)
	r.bury(many)
	var told []int
	q := deadletter.Query{Subscription: billing, Filter: deadletter.Filter{Since: died.Add(50 * time.Minute)}}
	report, err := r.Purge(t.Context(), q, false, func(p deadletter.Report) { told = append(told, p.Done) })
	if err != nil || report.Done != many-50 || !report.Complete || len(told) != many+1 || told[many] != many-50 {
		t.Errorf("%v, %+v", err, report)
	}
	r.wantIDs(dead, append([]string{"foreign"}, numbered(0, 50)...)...)
	r.wantIDs("shop.billing")
}

func TestADestinationHasAName(t *testing.T) {
	t.Parallel()
	for d, want := range map[deadletter.Destination]string{
		deadletter.Subscription: "subscription", deadletter.Topic: "topic", 7: "Destination(7)",
	} {
		if d.String() != want {
			t.Errorf("%s, want %s", d, want)
		}
	}
}

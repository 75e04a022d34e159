package deadletter_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warrenmesh/warren/internal/brokertest/one"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/deadletter"
	"github.com/warrenmesh/warren/proxy/refusal"
)

// More than one window, so that order must hold over several channels.
const many = 200

func TestListingFiftyTimesLosesNoneAndChangesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.bury(many)
	type seen struct {
		d    broker.Delivery
		dead broker.DeadLetter
	}
	var first []seen
	for i := range 50 {
		var all []seen
		report, err := r.List(t.Context(), deadletter.Query{Subscription: billing}, func(d *broker.Delivery) error {
			s := seen{*d, *d.DeadLetter}
			// What the broker says of this handing out, not of the letter.
			s.d.Attempt, s.d.Returned, s.d.Redelivered, s.d.Returning, s.d.Epoch, s.d.Tag, s.d.Settler, s.d.Handle, s.d.DeadLetter = 0, 0, false, false, 0, 0, nil, nil, nil
			all = append(all, s)
			return nil
		})
		if err != nil || !report.Complete || report.Total != many || report.Read != many || report.Matched != many {
			t.Fatalf("listing %d: %v, %+v", i+1, err, report)
		}
		if first == nil {
			first = all
		}
		if !reflect.DeepEqual(all, first) {
			t.Fatalf("listing %d differs from the first", i+1)
		}
	}
	r.wantIDs(dead, numbered(0, many)...)
}

func TestAListOfAnEmptyQueueIsEmpty(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ids, report := r.list(deadletter.Query{Subscription: billing})
	if len(ids) != 0 || !report.Complete || report.Queue != dead {
		t.Errorf("%q, %+v", ids, report)
	}
}

func TestAFilterChoosesByIDTypeReasonAndTime(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	refund, late, foreign, plain := letter("refund", 1), letter("late", 60), letter("foreign", 2), letter("plain", 0)
	refund.Event.Type, refund.Event.Source = "com.shop.refund", "/desk"
	late.DeadLetter.Reason = "ack-deadline"
	foreign.DeadLetter.Subscription = shipping.String()
	plain.DeadLetter = nil
	timeless := letter("timeless", 0)
	timeless.DeadLetter.Time = time.Time{}
	r.put(letter("order", 0), refund, plain, foreign, late, timeless)
	tests := []struct {
		name   string
		filter deadletter.Filter
		want   []string
	}{
		{"nothing chooses all of the subscription", deadletter.Filter{}, []string{"order", "refund", "late", "timeless"}},
		{"one of the ids", deadletter.Filter{IDs: []string{"late", "order", "none"}}, []string{"order", "late"}},
		{"the source", deadletter.Filter{Source: "/desk"}, []string{"refund"}},
		{"a type", deadletter.Filter{Types: []string{"com.shop.refund"}}, []string{"refund"}},
		{"a type is no prefix", deadletter.Filter{Types: []string{"com.shop"}}, nil},
		{"a prefix of the type", deadletter.Filter{Types: []string{"com.shop.order.*"}}, []string{"order", "late", "timeless"}},
		{"one of the types", deadletter.Filter{Types: []string{"com.shop.refund", "com.shop.o*"}}, []string{"order", "refund", "late", "timeless"}},
		{"a reason", deadletter.Filter{Reasons: []string{"ack-deadline"}}, []string{"late"}},
		{"from a time on", deadletter.Filter{Since: died.Add(time.Minute)}, []string{"refund", "late"}},
		{"before a time", deadletter.Filter{Until: died.Add(time.Minute)}, []string{"order"}},
		{"a span of time", deadletter.Filter{Since: died, Until: died.Add(2 * time.Minute)}, []string{"order", "refund"}},
		{"all at once", deadletter.Filter{Types: []string{"com.shop.*"}, Reasons: []string{"rejected"}, Since: died.Add(time.Second)}, []string{"refund"}},
	}
	for _, tt := range tests { // one after the other: a queue has one reader
		ids, report := r.list(deadletter.Query{Subscription: billing, Filter: tt.filter})
		if !slices.Equal(ids, tt.want) || report.Foreign != 2 || report.Matched != len(tt.want) {
			t.Errorf("%s: %q, want %q; %+v", tt.name, ids, tt.want, report)
		}
	}
}

func TestALimitEndsTheListing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.bury(many)
	ids, report := r.list(deadletter.Query{Subscription: billing, Limit: 3})
	if !slices.Equal(ids, numbered(0, 3)) || report.Read != 3 || !report.Complete || report.Total != many {
		t.Errorf("%q, %+v", ids, report)
	}
	r.wantIDs(dead, numbered(0, many)...)
}

func TestAReaderThatEndsLeavesEveryLetterInItsPlace(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.bury(many)
	broken := errors.New("the pipe is broken")
	n := 0
	_, err := r.List(t.Context(), deadletter.Query{Subscription: billing}, func(*broker.Delivery) error {
		if n++; n == 100 {
			return broken
		}
		return nil
	})
	if err == nil {
		t.Error("the reader's error was lost")
	}
	r.wantIDs(dead, numbered(0, many)...)
}

func TestALostConnectionEndsAListingAndNoLetter(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.bury(many)
	for _, at := range []int{1, 64, 65, 150} { // in each window, and between them
		n := 0
		report, err := r.List(t.Context(), deadletter.Query{Subscription: billing}, func(*broker.Delivery) error {
			if n++; n == at {
				r.broker.Interrupt()
			}
			return nil
		})
		if refusal.Reason(err) != refusal.ConnectionLost || report.Complete {
			t.Errorf("cut after %d: %v, %+v", at, err, report)
		}
		r.wantIDs(dead, numbered(0, many)...)
	}
}

// wrong is a driver that counts messages others take before they can be read: the
// first time, or always.
type wrong struct {
	queueing.Driver
	more   int
	always bool
}

func (w *wrong) Inspect(ctx context.Context, queue string) (queueing.QueueState, error) {
	state, err := w.Driver.Inspect(ctx, queue)
	state.Messages += w.more
	if !w.always {
		w.more = 0
	}
	return state, err
}

func TestWhatOthersTookMeanwhileIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.bury(3)
		r.driver = &wrong{Driver: r.driver, more: 2}
		ids, report := r.list(deadletter.Query{Subscription: billing})
		if len(ids) != 3 || report.Total != 5 || report.Read != 3 || !report.Complete {
			t.Errorf("%q, %+v", ids, report)
		}
	})
}

func TestABrokerThatHandsNothingOutIsNoEmptyQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.bury(3)
		r.driver = &wrong{Driver: r.driver, more: 2, always: true}
		report, err := r.List(t.Context(), deadletter.Query{Subscription: billing}, func(*broker.Delivery) error { return nil })
		if refusal.Reason(err) != refusal.BrokerUnavailable || report.Complete || report.Read != 3 {
			t.Errorf("%v, %+v", err, report)
		}
		r.wantIDs(dead, numbered(0, 3)...)
	})
}

func TestOtherConsumersAreTold(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.bury(3)
	holding, release := context.WithCancel(t.Context())
	taken := make(chan struct{}, 3)
	var other sync.WaitGroup
	other.Go(func() {
		drain, _ := r.driver.Consume(holding, queueing.ConsumeOptions{Queue: dead, Prefetch: 2}, one.Each(func(*queueing.Delivery) { taken <- struct{}{} }))
		drain()
	})
	<-taken
	<-taken
	if ids, report := r.list(deadletter.Query{Subscription: billing}); len(ids) != 1 || report.Consumers != 1 || report.Total != 1 {
		t.Errorf("beside another consumer: %q, %+v", ids, report)
	}
	release()
	other.Wait()
	r.wantIDs(dead, numbered(0, 3)...)
}

func TestOneJobAtATimeWorksOnAQueue(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.bury(1)
	_, err := r.List(t.Context(), deadletter.Query{Subscription: billing}, func(*broker.Delivery) error {
		for _, name := range []mesh.Name{billing, shipping} { // they share it
			if _, err := r.Purge(t.Context(), deadletter.Query{Subscription: name}, false, nil); !errors.Is(err, deadletter.ErrBusy) {
				t.Errorf("a second job for %s: %v", name, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if ids, _ := r.list(deadletter.Query{Subscription: billing}); len(ids) != 1 {
		t.Errorf("after that: %q", ids)
	}
}

func TestAJobThatCannotBeginSaysWhy(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.subscriptions[shipping].DeadLetterQueue = "nowhere"
	show := func(*broker.Delivery) error { return nil }
	if _, err := r.List(t.Context(), deadletter.Query{Subscription: shipping}, show); refusal.Reason(err) != refusal.ExchangeNotFound {
		t.Errorf("a queue that is not there: %v", err)
	}
	unknown := mesh.Name{Namespace: "shop", Name: "unknown"}
	if _, err := r.List(t.Context(), deadletter.Query{Subscription: unknown}, show); refusal.Reason(err) != refusal.SubscriptionUnknown {
		t.Errorf("a subscription that is not there: %v", err)
	}
}

func TestStopEndsJobsAndRefusesNewOnes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.bury(many)
	reading, goOn := make(chan struct{}), make(chan struct{})
	var job sync.WaitGroup
	job.Go(func() {
		var once sync.Once
		_, err := r.List(t.Context(), deadletter.Query{Subscription: billing}, func(*broker.Delivery) error {
			once.Do(func() { close(reading); <-goOn })
			return nil
		})
		if refusal.Reason(err) != refusal.Draining {
			t.Errorf("a job that was stopped: %v", err)
		}
	})
	<-reading
	at, cancel := context.WithCancel(t.Context())
	cancel()
	r.Stop(at) // returns at once, though the job still runs
	close(goOn)
	r.Stop(t.Context())
	r.wantIDs(dead, numbered(0, many)...)
	job.Wait()
	if _, err := r.Purge(t.Context(), deadletter.Query{Subscription: billing}, false, nil); refusal.Reason(err) != refusal.Draining {
		t.Errorf("a job after Stop: %v", err)
	}
}

package publish_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/balance"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/door/rpcerr"
	"github.com/warrenmesh/warren/proxy/limit"
	"github.com/warrenmesh/warren/proxy/pool"
	"github.com/warrenmesh/warren/proxy/publish"
	"github.com/warrenmesh/warren/proxy/publish/passage"
	"github.com/warrenmesh/warren/proxy/refusal"
	"github.com/warrenmesh/warren/tracing"
)

func failure(kind broker.Kind, outcome broker.Outcome) error {
	return &broker.Error{Kind: kind, Outcome: outcome, Op: "publish"}
}

// scripted is a node whose publishes come to what play says.
type scripted struct {
	broker.Driver
	name string
	play func(ctx context.Context, m *broker.Message) error // blocks until the outcome is known
}

func (s *scripted) Publish(ctx context.Context, batch []*broker.Message, told broker.Told) {
	for i, m := range batch {
		go func() { told(i, i+1, s.play(ctx, m)) }()
	}
}

func (s *scripted) State() broker.State { return broker.State{Publishing: true, Address: s.name} }

// cluster has several such nodes; it prefers untried ones, and keeps what it is told.
type cluster struct {
	nodes []*scripted

	mu       sync.Mutex
	answered []string // guarded by mu
}

func (c *cluster) Claim(_ context.Context, _ mesh.Name, _ string, tried []pool.Node) (pool.Node, error) {
	var candidates []balance.Candidate
	for _, n := range c.nodes {
		candidates = append(candidates, balance.Candidate{Up: true, Tried: slices.Contains(tried, pool.Node(claimed{node{n}, c}))})
	}
	return claimed{node{c.nodes[balance.PickNode(candidates, 0)]}, c}, nil
}

// claimed is a node of a cluster, which notes how publishes went.
type claimed struct {
	node
	cluster *cluster
}

func (n claimed) Answered(err error) {
	n.cluster.mu.Lock()
	defer n.cluster.mu.Unlock()
	kind := "ok"
	if err != nil {
		kind = broker.KindOf(err).String()
	}
	n.cluster.answered = append(n.cluster.answered, n.Address()+" "+kind)
}

// on is a service on c with the topics of the rig.
func (r *rig) on(c passage.Brokers, budget *limit.Budget) *service {
	return enter(publish.Options{
		Namespace: "shop", Topics: r.topics, Brokers: c, Tracing: tracing.Disabled().Messaging(), InFlight: budget,
	})
}

func publishTo(ctx context.Context, s *service, e *eventsv1.CloudEvent) error {
	_, err := s.Publish(ctx, &eventsv1.PublishRequest{Topic: "orders", Event: e})
	return err
}

// script makes each try come to the next of errs.
func script(errs ...error) func(context.Context, *broker.Message) error {
	return func(context.Context, *broker.Message) error {
		err := errs[0]
		errs = errs[1:]
		return err
	}
}

func TestALaterFailureDoesNotUndoAnUnknownOutcome(t *testing.T) {
	t.Parallel()
	lost := failure(broker.Closed, broker.Unknown)
	down := failure(broker.Unavailable, broker.NotSent)
	for name, test := range map[string]struct {
		tries []error
		want  verdict
	}{
		"no queue takes the repeat":    {[]error{lost, failure(broker.Unroutable, broker.Failed)}, verdict{code: codes.FailedPrecondition, reason: refusal.Unroutable, outcome: "unknown"}},
		"the exchange is gone":         {[]error{lost, failure(broker.NotFound, broker.NotSent)}, verdict{code: codes.NotFound, reason: refusal.ExchangeNotFound, outcome: "unknown"}},
		"the broker stays away":        {[]error{lost, down, down}, verdict{code: codes.Unavailable, reason: refusal.BrokerUnavailable, outcome: "unknown"}},
		"the broker raises an alarm":   {[]error{lost, failure(broker.Blocked, broker.NotSent)}, verdict{code: codes.ResourceExhausted, reason: refusal.BrokerBlocked, outcome: "unknown"}},
		"a nack is one, too":           {[]error{failure(broker.Nacked, broker.Unknown), down, down}, verdict{code: codes.Unavailable, reason: refusal.BrokerUnavailable, outcome: "unknown"}},
		"what was never written is no": {[]error{down, down, down}, verdict{code: codes.Unavailable, reason: refusal.BrokerUnavailable, outcome: "not_sent"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil)
			s := r.on(&cluster{nodes: []*scripted{{name: "a", play: script(test.tries...)}}}, nil)
			check(t, publishTo(t.Context(), s, event()), test.want)
		})
	}
}

func TestARetryGoesToANodeThatWasNotTried(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	c := &cluster{nodes: []*scripted{
		{name: "a", play: script(failure(broker.Closed, broker.Unknown))},
		{name: "b", play: script(failure(broker.Nacked, broker.Unknown))},
		{name: "c", play: script(nil)},
	}}
	if err := publishTo(t.Context(), r.on(c, nil), event()); err != nil {
		t.Fatal(err)
	}
	if want := []string{"a connection-lost", "c ok"}; !slices.Equal(c.answered, want) {
		t.Errorf("told of %v, want %v: a nack does not speak against its node", c.answered, want)
	}
}

func TestWhatSpeaksAgainstANode(t *testing.T) {
	t.Parallel()
	silent := func(ctx context.Context, _ *broker.Message) error { return unconfirmed(ctx) }
	t.Run("a confirm that did not come in the time a try has", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, func(rule *mesh.Rule) { rule.Retry.Attempts = 1 })
			c := &cluster{nodes: []*scripted{{name: "a", play: silent}}}
			_ = publishTo(t.Context(), r.on(c, nil), event())
			if want := []string{"a confirm-timeout"}; !slices.Equal(c.answered, want) {
				t.Errorf("told of %v, want %v", c.answered, want)
			}
		})
	})
	t.Run("but not a caller that had no time for it", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, nil)
			c := &cluster{nodes: []*scripted{{name: "a", play: silent}}}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer cancel()
			_ = publishTo(ctx, r.on(c, nil), event())
			if len(c.answered) != 0 {
				t.Errorf("told of %v", c.answered)
			}
		})
	})
}

// unconfirmed waits for a confirm that never comes.
func unconfirmed(ctx context.Context) error {
	<-ctx.Done()
	return failure(broker.ConfirmTimeout, broker.Unknown)
}

// A broker that lost 40 publishes at once is asked for a fifth of them again at a
// time, and in the end for all.
func TestRepeatsOfWhatWasWrittenKeepToTheBudget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(rule *mesh.Rule) { rule.Retry.Attempts = 2 })
		gate := make(chan struct{})
		var repeating, most atomic.Int64
		c := &cluster{nodes: []*scripted{{name: "a", play: func(_ context.Context, m *broker.Message) error {
			if !m.Republished {
				return failure(broker.Closed, broker.Unknown)
			}
			most.Store(max(most.Load(), repeating.Add(1)))
			defer repeating.Add(-1)
			<-gate
			return nil
		}}}}
		s := r.on(c, nil)
		errs := make(chan error, 40)
		for i := range 40 {
			go func() { errs <- publishTo(t.Context(), s, numbered(i)) }()
		}
		<-time.After(time.Second)
		synctest.Wait()
		if n := repeating.Load(); n != 8 {
			t.Errorf("%d of 40 are repeated at once, want 8", n)
		}
		close(gate)
		for range 40 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		if most.Load() > 8 {
			t.Errorf("%d were repeated at once, want at most 8", most.Load())
		}
	})
}

func TestARepeatForWhichThereIsNeverRoomIsUnknown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(rule *mesh.Rule) { rule.Retry.PerTryTimeout = time.Hour })
		c := &cluster{nodes: []*scripted{{name: "a", play: func(ctx context.Context, m *broker.Message) error {
			if !m.Republished {
				return failure(broker.Closed, broker.Unknown)
			}
			return unconfirmed(ctx)
		}}}}
		s := r.on(c, nil)
		began := time.Now()
		errs := make(chan error, 4)
		for i := range 4 { // 3 have room, to no avail
			go func() { errs <- publishTo(t.Context(), s, numbered(i)) }()
		}
		for range 4 {
			if err := <-errs; rpcerr.Metadata(err, "outcome") != "unknown" {
				t.Error(err)
			}
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("answered after %v", took)
		}
	})
}

// Nothing was written, so nothing is asked of the broker twice.
func TestThoseWhoWaitForABrokerNeedNoRoomInTheBudget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(rule *mesh.Rule) {
			rule.Retry.Attempts = 100
			rule.Retry.Backoff = mesh.Backoff{Base: 50 * time.Millisecond, Max: 200 * time.Millisecond}
		})
		began := time.Now()
		c := &cluster{nodes: []*scripted{{name: "a", play: func(_ context.Context, m *broker.Message) error {
			if m.Republished {
				t.Error("flagged as a repeat of what was never written")
			}
			if time.Since(began) < 3*time.Second {
				return failure(broker.Unavailable, broker.NotSent)
			}
			return nil
		}}}}
		s := r.on(c, nil)
		errs := make(chan error, 200)
		for i := range 200 {
			go func() { errs <- publishTo(t.Context(), s, numbered(i)) }()
		}
		for range 200 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(began); took > 3200*time.Millisecond {
			t.Errorf("the last was confirmed %v after the beginning; the broker was away for 3s", took)
		}
	})
}

func TestABlockedBrokerIsToldOfAtOnceAndNotRetried(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, partitions)
		budget := limit.NewBudget(100, 1<<20)
		var tries atomic.Int64
		c := &cluster{nodes: []*scripted{{name: "a", play: func(context.Context, *broker.Message) error {
			tries.Add(1)
			return failure(broker.Blocked, broker.NotSent)
		}}}}
		s := r.on(c, budget)
		began := time.Now()
		var events []*eventsv1.CloudEvent
		for i := range 10 {
			events = append(events, keyed("a", i), numbered(100+i))
		}
		res, err := s.PublishBatch(t.Context(), batchOf(events...))
		if err != nil {
			t.Fatal(err)
		}
		for _, got := range res.GetResults() {
			err := status.FromProto(statusOf(got)).Err()
			check(t, err, verdict{code: codes.ResourceExhausted, reason: refusal.BrokerBlocked, outcome: "not_sent"})
			var retry *errdetails.RetryInfo
			for _, d := range status.Convert(err).Details() {
				if info, ok := d.(*errdetails.RetryInfo); ok {
					retry = info
				}
			}
			if retry.GetRetryDelay().AsDuration() <= 0 {
				t.Error("no RetryInfo")
			}
		}
		if took := time.Since(began); took != 0 || tries.Load() != 20 {
			t.Errorf("%d tries of 20 events in %v", tries.Load(), took)
		}
		if n, bytes := budget.InUse(); n != 0 || bytes != 0 {
			t.Errorf("%d events of %d bytes still count as in flight", n, bytes)
		}
	})
}

func TestWhatWaitsForItsTurnCountsAsInFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, partitions)
		budget := limit.NewBudget(5, 0)
		s := r.on(one{r.driver}, budget)
		release := r.broker.HoldConfirms()
		errs := make(chan error, 5)
		for i := range 5 {
			go func() { errs <- publishTo(t.Context(), s, keyed("a", i)) }()
		}
		synctest.Wait()
		if n := len(r.queued()); n != 1 {
			t.Errorf("%d events of one key were written", n)
		}
		check(t, publishTo(t.Context(), s, keyed("b", 6)), verdict{code: codes.ResourceExhausted, reason: refusal.BufferFull, outcome: "not_sent"})
		release()
		for range 5 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		if n, _ := budget.InUse(); n != 0 {
			t.Errorf("%d still count as in flight", n)
		}
	})
}

// Whatever a broker withholds, and whatever waits for what, a call ends by the
// caller's deadline.
func TestEveryCallEndsByItsDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRigOf(t, 1<<20, partitions)
		defer r.broker.HoldConfirms()()
		var calls sync.WaitGroup
		for i := range 200 {
			calls.Go(func() {
				deadline := time.Duration(i%20+1) * 100 * time.Millisecond
				ctx, cancel := context.WithTimeout(t.Context(), deadline)
				defer cancel()
				e := numbered(i)
				if i%2 == 0 {
					e = keyed(fmt.Sprint(i%6), i)
				}
				began := time.Now()
				err := publishTo(ctx, r.service, e)
				if took := time.Since(began); took >= deadline {
					t.Errorf("a call with %v was answered after %v", deadline, took)
				}
				if status.Code(err) != codes.DeadlineExceeded {
					t.Errorf("answered with %v", err)
				}
			})
		}
		calls.Wait()
	})
}

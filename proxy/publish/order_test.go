package publish_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/membroker"
	"github.com/warrenmesh/warren/proxy/broker/membroker/faulty"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/limit"
	"github.com/warrenmesh/warren/proxy/pool"
	"github.com/warrenmesh/warren/proxy/publish"
	"github.com/warrenmesh/warren/proxy/refusal"
	"github.com/warrenmesh/warren/tracing"
)

// queued returns what is in the queue, as "key/id".
func (r *rig) queued() []string {
	var out []string
	for _, m := range r.broker.Peek("q", 1<<20) {
		out = append(out, m.Event.Text("partitionkey")+"/"+m.Event.ID)
	}
	return out
}

func (r *rig) waitQueued(t *testing.T, n int) {
	t.Helper()
	waitFor(t, func() bool { ready, _ := r.broker.Len("q"); return ready >= n })
}

func batchOf(events ...*eventsv1.CloudEvent) *eventsv1.PublishBatchRequest {
	req := &eventsv1.PublishBatchRequest{Topic: "orders"}
	for _, e := range events {
		req.Entries = append(req.Entries, &eventsv1.PublishBatchEntry{Event: e})
	}
	return req
}

func TestAnEventWaitsForTheEarlierOnesOfItsKeyOnly(t *testing.T) {
	t.Parallel()
	entries := []*eventsv1.CloudEvent{keyed("a", 1), keyed("a", 2), keyed("b", 3), numbered(4), keyed("b", 5)}
	first, then := []string{"a/1", "b/3", "/4"}, []string{"a/2", "b/5"}
	compare := func(t *testing.T, r *rig) {
		t.Helper()
		got := r.queued()
		if !slices.Equal(got[:3], first) {
			t.Errorf("without a confirm %v were written, want %v", got[:3], first)
		}
		if rest := slices.Sorted(slices.Values(got[3:])); !slices.Equal(rest, then) {
			t.Errorf("then %v, want %v", rest, then)
		}
	}
	t.Run("in a batch", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, partitions)
		release := r.broker.HoldConfirms()
		answer := make(chan *eventsv1.PublishBatchResponse, 1)
		go func() {
			res, _ := r.PublishBatch(context.Background(), batchOf(entries...))
			answer <- res
		}()
		r.waitQueued(t, 3)
		release()
		for i, got := range (<-answer).GetResults() {
			if id := entries[i].GetId(); got.GetResponse().GetEventId() != id {
				t.Errorf("result %d: %v, want event %s confirmed", i, got, id)
			}
		}
		compare(t, r)
	})
	t.Run("in a stream", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, partitions)
		release := r.broker.HoldConfirms()
		s, _ := openStream(t, r.service)
		for i, e := range entries {
			put(t, s, &eventsv1.PublishStreamEntry{RequestId: uint64(i), Event: e})
		}
		r.waitQueued(t, 3)
		release()
		if got, err := results(t, s, 5); err != nil {
			t.Errorf("%v, %v", got, err)
		}
		compare(t, r)
	})
}

func TestARetriedEventIsNotOvertakenByTheNextOfItsKey(t *testing.T) {
	t.Parallel()
	r := newRig(t, partitions)
	s := enter(publish.Options{
		Namespace: "shop", Topics: r.topics, Brokers: one{&flaky{r.driver, 2}}, Tracing: tracing.Disabled().Messaging(),
	})
	res, err := s.PublishBatch(t.Context(), batchOf(keyed("a", 1), keyed("a", 2), keyed("a", 3)))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := r.queued(), []string{"a/1", "a/2", "a/3"}; !slices.Equal(got, want) {
		t.Errorf("queued %v, want %v", got, want)
	}
	if n := res.GetResults()[0].GetResponse().GetAttempts(); n != 3 {
		t.Errorf("the first took %d attempts, want 3", n)
	}
}

func TestAnEventWhoseTimeIsUpLeavesTheLine(t *testing.T) {
	t.Parallel()
	for name, limited := range map[string]func(context.Context) (context.Context, context.CancelFunc){
		"by the caller's deadline": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 20*time.Millisecond)
		},
		"because the caller went away": func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			return ctx, cancel
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, partitions)
				budget := limit.NewBudget(100, 0)
				s := r.on(one{r.driver}, budget)
				release := r.broker.HoldConfirms()
				first := make(chan error, 1)
				go func() { first <- publishTo(context.Background(), s, keyed("a", 1)) }()
				r.waitQueued(t, 1)
				ctx, cancel := limited(t.Context())
				defer cancel()
				check(t, publishTo(ctx, s, keyed("a", 2)), verdict{code: codes.DeadlineExceeded, reason: refusal.DeadlineNear, outcome: "not_sent"})
				release()
				if err := <-first; err != nil {
					t.Error(err)
				}
				if err := publishTo(t.Context(), s, keyed("a", 3)); err != nil {
					t.Error(err)
				}
				if got, want := r.queued(), []string{"a/1", "a/3"}; !slices.Equal(got, want) {
					t.Errorf("queued %v, want %v", got, want)
				}
				if n, _ := budget.InUse(); n != 0 {
					t.Errorf("%d still count as in flight", n)
				}
			})
		})
	}
}

func TestAnEventThatExpiresInTheLineIsNotSent(t *testing.T) {
	t.Parallel()
	r := newRig(t, partitions)
	c := &clock{}
	s := enter(publish.Options{
		Namespace: "shop", Topics: r.topics, Brokers: one{slowly{r.driver, c}}, Tracing: tracing.Disabled().Messaging(), Now: c.now,
	})
	short, long := expiring(90*time.Second), expiring(time.Hour)
	for _, e := range []*eventsv1.CloudEvent{short, long} {
		e.Attributes["partitionkey"] = attr("a")
	}
	res, err := s.PublishBatch(t.Context(), batchOf(keyed("a", 1), keyed("a", 2), short, long))
	if err != nil {
		t.Fatal(err)
	}
	if got := res.GetResults()[2].GetStatus(); codes.Code(got.GetCode()) != codes.InvalidArgument {
		t.Errorf("an event that expired in the line: %v", res.GetResults()[2])
	}
	queued := r.broker.Peek("q", 10)
	if len(queued) != 3 || queued[2].TTL != time.Hour-2*time.Minute {
		t.Errorf("queued %v; the last lives %v, want what was left of an hour", r.queued(), queued[len(queued)-1].TTL)
	}
}

// shaky is a broker of two nodes that breaks at random: it writes nothing and says
// so, writes and loses the confirm, or nacks.
type shaky struct {
	nodes [2]broker.Driver

	mu     sync.Mutex
	random *rand.Rand // guarded by mu
}

func (s *shaky) roll(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.random.IntN(n)
}

func (s *shaky) Claim(context.Context, mesh.Name, string, []pool.Node) (pool.Node, error) {
	return shakyNode{node{s.nodes[s.roll(2)]}, s}, nil
}

type shakyNode struct {
	node
	shaky *shaky
}

func (n shakyNode) Publish(ctx context.Context, batch []*broker.Message, told broker.Told) {
	for i := range batch {
		one := func(_, _ int, err error) { told(i, i+1, err) }
		switch n.shaky.roll(20) {
		case 0:
			one(0, 1, &broker.Error{Kind: broker.Unavailable, Op: "publish"})
		case 1:
			one(0, 1, &broker.Error{Kind: broker.Nacked, Outcome: broker.Unknown, Op: "publish"})
		case 2:
			n.Driver.Publish(ctx, batch[i:i+1], func(_, _ int, err error) {
				if broker.OutcomeOf(err) != broker.NotSent || err == nil {
					err = &broker.Error{Kind: broker.Closed, Outcome: broker.Unknown, Op: "publish"}
				}
				told(i, i+1, err)
			})
		default:
			n.Driver.Publish(ctx, batch[i:i+1], one)
		}
	}
}

// Twenty publishers send batches, each with keys of its own, while confirms are held
// back and connections cut at random: whatever was answered with OK is in the queue,
// and of each key in the order in which it was sent.
func TestOrderHoldsUnderFaults(t *testing.T) {
	t.Parallel()
	synctest.Test(t, orderHoldsUnderFaults) // time passes only while all wait: no machine is too slow
}

func orderHoldsUnderFaults(t *testing.T) {
	const publishers, batches, size, keys = 20, 6, 25, 3
	r := newRigOf(t, 1<<20, func(rule *mesh.Rule) {
		partitions(rule)
		rule.Retry.Attempts = 6
	})
	second := r.broker.Node(membroker.NodeOptions{})
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- second.Run(ctx) }()
	defer func() { cancel(); <-ran }()
	s := enter(publish.Options{
		Namespace: "shop", Topics: r.topics, Tracing: tracing.Disabled().Messaging(),
		Brokers: &shaky{nodes: [2]broker.Driver{r.driver, queueing.NewNode(second)}, random: rand.New(rand.NewPCG(1, 4))},
	})
	ok := make([]map[string][]int, publishers) // numbers confirmed of each key
	var working sync.WaitGroup
	for p := range publishers {
		ok[p] = map[string][]int{}
		working.Go(func() {
			for b := range batches {
				var events []*eventsv1.CloudEvent
				for i := range size {
					n := b*size + i
					events = append(events, keyed(fmt.Sprintf("%d-%d", p, n%keys), n))
				}
				res, err := s.PublishBatch(context.Background(), batchOf(events...))
				if err != nil {
					t.Error(err)
					return
				}
				for i, got := range res.GetResults() {
					if got.GetResponse() != nil {
						key := events[i].GetAttributes()["partitionkey"].GetCeString()
						ok[p][key] = append(ok[p][key], b*size+i)
					}
				}
			}
		})
	}
	faults(r.broker, &working)
	position := map[string]int{} // of the first copy
	copies := r.broker.Peek("q", 1<<20)
	for i, m := range copies {
		id := m.Event.Text("partitionkey") + "/" + m.Event.ID
		if _, there := position[id]; !there {
			position[id] = i
		}
	}
	confirmed := 0
	for p := range publishers {
		for key, numbers := range ok[p] {
			last := -1
			for _, n := range numbers {
				at, there := position[key+"/"+strconv.Itoa(n)]
				if !there || at < last {
					t.Errorf("event %d of key %s: in the queue %v, at %d, after one at %d", n, key, there, at, last)
				}
				last = at
				confirmed++
			}
		}
	}
	if total := publishers * batches * size; confirmed < total*9/10 {
		t.Errorf("%d of %d events were confirmed", confirmed, total)
	}
	if n := len(copies) - len(position); n < 100 {
		t.Errorf("%d events were repeated in vain; the faults did not take hold", n)
	}
}

// faults holds confirms back and cuts connections until working is done.
func faults(b *faulty.Broker, working *sync.WaitGroup) {
	done := make(chan struct{})
	go func() { working.Wait(); close(done) }()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	release := func() {}
	defer func() { release() }()
	for n := 0; ; n++ {
		select {
		case <-done:
			return
		case <-tick.C:
		}
		switch n % 4 {
		case 0:
			release = b.HoldConfirms()
		case 2:
			b.Interrupt()
		case 3:
			release()
		}
	}
}

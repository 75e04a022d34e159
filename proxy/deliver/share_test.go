package deliver_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/internal/brokertest/one"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/event"
)

// journal notes what services were given of each key, in which order.
type journal struct {
	mu       sync.Mutex
	newest   map[string]int // by key: the highest number seen
	acked    map[string]int // by key: how many different events
	done     map[string]bool
	by       map[string]map[string]int // worker, then key: deliveries
	problems []string
}

func newJournal() *journal {
	return &journal{newest: map[string]int{}, acked: map[string]int{}, done: map[string]bool{}, by: map[string]map[string]int{}}
}

// see notes a delivery of the event "<key>/<number>"; numbers begin with 1.
func (j *journal) see(worker, id string) {
	key, n := numbered(id)
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.by[worker] == nil {
		j.by[worker] = map[string]int{}
	}
	j.by[worker][key]++
	switch newest := j.newest[key]; {
	case n == newest+1:
		j.newest[key] = n
	case n > newest:
		j.problems = append(j.problems, fmt.Sprintf("%s saw %s, and the newest of its key was %d", worker, id, newest))
	}
}

func (j *journal) ack(id string) {
	key, _ := numbered(id)
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.done[id] {
		j.done[id] = true
		j.acked[key]++
	}
}

// keysOf lists the keys worker has seen since the last call.
func (j *journal) keysOf(worker string) []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	keys := make([]string, 0, len(j.by[worker]))
	for key := range j.by[worker] {
		keys = append(keys, key)
	}
	delete(j.by, worker)
	slices.Sort(keys)
	return keys
}

func (j *journal) check(t *testing.T) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, p := range j.problems {
		t.Error(p)
	}
}

func (j *journal) total() (n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.done)
}

func numbered(id string) (key string, n int) {
	key, number, _ := strings.Cut(id, "/")
	_, _ = fmt.Sscan(number, &n)
	return key, n
}

// work runs a service that receives until stop, and opens its stream again when
// that ends, or when crash says so after a delivery. judge gives the outcomes.
func (r *rig) work(name string, j *journal, judge func() eventsv1.Outcome, crash func() bool) (stop func()) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			r.receive(ctx, name, j, judge, crash)
		}
	}()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	r.t.Cleanup(stop)
	return stop
}

func (r *rig) receive(ctx context.Context, name string, j *journal, judge func() eventsv1.Outcome, crash func() bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := r.client.Subscribe(ctx)
	if err != nil {
		return
	}
	defer func() {
		cancel()
		for err == nil { // the sidecar knows, too
			_, err = s.Recv()
		}
	}()
	_ = s.Send(&eventsv1.SubscribeRequest{Request: &eventsv1.SubscribeRequest_Init{Init: &eventsv1.SubscribeInit{Subscription: "billing", InitialCredit: 1 << 20}}})
	for {
		var res *eventsv1.SubscribeResponse
		if res, err = s.Recv(); err != nil {
			return
		}
		for _, d := range res.GetDeliveries().GetDeliveries() {
			id := d.GetEvent().GetId()
			j.see(name, id)
			if crash() {
				return
			}
			outcome := judge()
			if outcome == eventsv1.Outcome_OUTCOME_ACK {
				j.ack(id)
			}
			_ = s.Send(&eventsv1.SubscribeRequest{Request: &eventsv1.SubscribeRequest_Settle{Settle: &eventsv1.SubscribeSettle{
				Settlements: []*eventsv1.Settlement{{Token: d.GetToken(), Outcome: outcome}},
			}}})
		}
	}
}

func always() eventsv1.Outcome { return eventsv1.Outcome_OUTCOME_ACK }
func never() bool              { return false }

// surely publishes the event "<key>/<n>" until the broker confirms it, as a service
// does.
func (r *rig) surely(key string, n int) {
	e := &event.Event{ID: fmt.Sprintf("%s/%d", key, n), Source: "/shop", Type: "com.shop.order.placed"}
	e.Set(event.AttrPartitionKey, event.String(key))
	m := &queueing.Message{
		Exchange: "orders", RoutingKey: e.Type, Event: e, Mandatory: true,
		Partitioned: true, Partition: uint32(key[0]) % partitionCount,
	}
	for r.t.Context().Err() == nil {
		receipt, err := one.Publish(r.t.Context(), r.driver.Publish, *m)
		if err == nil && receipt.Wait(r.t.Context()) == nil {
			return
		}
		again := *m
		again.Republished = true
		m = &again
	}
}

func TestPartitionsAreSharedAndMoveWhenAServiceGoes(t *testing.T) {
	t.Parallel()
	r := orderedRig(t, nil)
	j := newJournal()
	keys, sent := []string{"a", "b", "c", "d"}, 0 // a partition each
	round := func() {
		sent++
		for _, key := range keys {
			r.surely(key, sent)
		}
		eventually(t, "the round is acked", func() bool { return j.total() == sent*len(keys) })
	}
	shares := func() (one, two int) {
		_, _ = j.keysOf("one"), j.keysOf("two")
		round()
		return len(j.keysOf("one")), len(j.keysOf("two"))
	}
	stop := r.work("one", j, always, never)
	if one, _ := shares(); one != 4 {
		t.Fatalf("the first has %d partitions, want all", one)
	}
	r.work("two", j, always, never)
	eventually(t, "each has half of the partitions", func() bool { one, two := shares(); return one == 2 && two == 2 })
	stop()
	eventually(t, "the second has all", func() bool { _, two := shares(); return two == 4 })
	j.check(t)
}

// TestWhateverBreaksNothingIsLostAndNoKeyOvertakes has two services work through a
// load while connections are cut, attempts fail and services crash.
func TestWhateverBreaksNothingIsLostAndNoKeyOvertakes(t *testing.T) {
	t.Parallel()
	r := orderedRig(t, func(s *mesh.Subscription) {
		s.Attempts, s.Backoff = 10_000, mesh.Backoff{Base: time.Millisecond, Max: 4 * time.Millisecond}
	})
	j := newJournal()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for i, name := range []string{"one", "two"} {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		r.work(name, j, func() eventsv1.Outcome {
			if random.IntN(4) == 0 {
				return eventsv1.Outcome_OUTCOME_RETRY
			}
			return eventsv1.Outcome_OUTCOME_ACK
		}, func() bool { return random.IntN(100) == 0 })
	}
	const keys, each = 12, 60
	var publishers sync.WaitGroup
	for i := range keys {
		publishers.Go(func() {
			for n := range each {
				r.surely(string(rune('a'+i)), n+1)
			}
		})
	}
	cuts := rand.New(rand.NewPCG(seed, 9))
	for n := range 10 {
		eventually(t, "the load goes on", func() bool { return j.total() >= keys*each*n/11+cuts.IntN(10) })
		r.broker.Interrupt()
	}
	publishers.Wait()
	eventually(t, "everything is acked", func() bool { return j.total() == keys*each })
	r.settledDown()
	if n := len(r.broker.Peek("shop.billing.dead", 1)); n != 0 {
		t.Error("something was dead-lettered")
	}
	j.check(t)
}

package mesh_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/warrenmesh/warren/mesh"
)

func TestNamesMadeFromAQueue(t *testing.T) {
	t.Parallel()
	q := &mesh.Queue{Name: "shop.billing"}
	for want, got := range map[string]string{
		"shop.billing.dead":                     q.DeadLetters(),
		"shop.billing.members":                  q.Members(),
		"shop.billing.partitions":               q.Partitioner(),
		"shop.billing.partitions.unpartitioned": q.Unpartitioned(),
		"shop.billing.p0":                       q.Partition(0),
		"shop.billing.p1023":                    q.Partition(1023),
		"shop.billing.retry.1000ms":             q.Delay(time.Second),
		"shop.billing.retry.300000ms":           q.Delay(5 * time.Minute),
		"shop.billing.retry.1ms":                q.Delay(1999 * time.Microsecond),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// A queue of the longest name that a subscription with partitions may have leaves room
// for every name that is made from it.
func TestTheLongestPartitionedQueueLeavesRoomForAllItsNames(t *testing.T) {
	t.Parallel()
	q := &mesh.Queue{Name: strings.Repeat("q", mesh.MaxPartitionedQueue)}
	partition := &mesh.Queue{Name: q.Partition(math.MaxUint32)}
	for _, name := range []string{
		partition.Name, partition.DeadLetters(), q.Members(), q.Partitioner(), q.Unpartitioned(), q.DeadLetters(), q.Delay(math.MaxInt64),
	} {
		if len(name) > mesh.MaxAMQPName {
			t.Errorf("%s has %d bytes", name[mesh.MaxPartitionedQueue:], len(name))
		}
	}
}

func TestDelaysAreTheQueuesThatRetriesNeed(t *testing.T) {
	t.Parallel()
	seconds := func(n ...int) []time.Duration {
		var out []time.Duration
		for _, s := range n {
			out = append(out, time.Duration(s)*time.Second)
		}
		return out
	}
	growing := mesh.Backoff{Base: time.Second, Max: 5 * time.Second}
	for name, test := range map[string]struct {
		sub  mesh.Subscription
		want []time.Duration
	}{
		"one for each delay":                     {mesh.Subscription{Attempts: 3, Backoff: growing}, seconds(1, 2)},
		"the maximum once":                       {mesh.Subscription{Attempts: 100, Backoff: growing}, seconds(1, 2, 4, 5)},
		"a constant":                             {mesh.Subscription{Attempts: 5, Backoff: mesh.Backoff{Base: time.Second, Max: time.Second}}, seconds(1)},
		"a maximum that is met exactly":          {mesh.Subscription{Attempts: 5, Backoff: mesh.Backoff{Base: time.Second, Max: 4 * time.Second}}, seconds(1, 2, 4)},
		"one attempt has no retry":               {mesh.Subscription{Attempts: 1, Backoff: growing}, nil},
		"no attempt has none either":             {mesh.Subscription{Backoff: growing}, nil},
		"without a delay there is none":          {mesh.Subscription{Attempts: 5}, nil},
		"in order, events wait in the sidecar":   {mesh.Subscription{Attempts: 5, Backoff: growing, Ordering: mesh.PerKey}, nil},
		"a broker that delays needs no queue":    {mesh.Subscription{Attempts: 5, Backoff: growing, Strategy: mesh.BrokerDelay}, nil},
		"a millisecond that a maximum shares":    {mesh.Subscription{Attempts: 5, Backoff: mesh.Backoff{Base: time.Millisecond, Max: 1500 * time.Microsecond}}, []time.Duration{time.Millisecond}},
		"fractions that are apart stay distinct": {mesh.Subscription{Attempts: 3, Backoff: mesh.Backoff{Base: 1500 * time.Microsecond, Max: time.Second}}, []time.Duration{1500 * time.Microsecond, 3 * time.Millisecond}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := test.sub.Delays(); !slices.Equal(got, test.want) {
				t.Errorf("delays are %v, want %v", got, test.want)
			}
		})
	}
}

// Two delays of one name would make the control plane say that a subscription shares a
// queue with itself, and a retry without a queue would be lost.
func TestEveryRetryHasAQueueAndNoQueueIsNamedTwice(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	for range 1000 {
		s := &mesh.Subscription{Queue: mesh.Queue{Name: "q"}, Attempts: random.Uint32N(30)}
		s.Backoff.Base = time.Millisecond + time.Duration(random.Int64N(int64(10*time.Millisecond)))
		s.Backoff.Max = s.Backoff.Base + time.Duration(random.Int64N(int64(time.Second)>>random.IntN(30)))
		named := map[string]bool{}
		for _, d := range s.Delays() {
			if name := s.Queue.Delay(d); named[name] {
				t.Fatalf("%+v: %s twice", s.Backoff, name)
			} else {
				named[name] = true
			}
		}
		used := map[string]bool{}
		for n := uint32(1); n < s.Attempts; n++ {
			used[s.Queue.Delay(s.Backoff.Delay(n))] = true
		}
		for name := range used {
			if !named[name] {
				t.Fatalf("%+v: a retry waits in %s, which is not listed", s.Backoff, name)
			}
		}
		if len(used) != len(named) {
			t.Fatalf("%+v: %d queues are listed, retries use %d", s.Backoff, len(named), len(used))
		}
	}
}

package publish_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/pool"
)

// crowded takes one message after the other, and has no room for one event: what comes
// behind that in a batch waits.
type crowded struct {
	broker.Driver
	noRoom string
}

func (*crowded) State() broker.State { return broker.State{Publishing: true} }

func (c *crowded) Publish(ctx context.Context, batch []*broker.Message, told broker.Told) {
	for i, m := range batch {
		if m.Event.ID == c.noRoom {
			<-ctx.Done()
		}
		if ctx.Err() != nil {
			told(i, i+1, failure(broker.WindowFull, broker.NotSent))
			continue
		}
		told(i, i+1, nil)
	}
}

// slowAtFirst takes a while for its first claim.
type slowAtFirst struct {
	node  pool.Node
	takes time.Duration
	first sync.Once
}

func (s *slowAtFirst) Claim(context.Context, mesh.Name, string, []pool.Node) (pool.Node, error) {
	s.first.Do(func() { <-time.After(s.takes) })
	return s.node, nil
}

// many publishes n events in one request of a stream, and returns how many were refused.
func many(t *testing.T, s *service, n int) (refused int) {
	t.Helper()
	stream, end := openStream(t, s)
	defer end()
	var entries []*eventsv1.PublishStreamEntry
	for i := range n {
		entries = append(entries, &eventsv1.PublishStreamEntry{RequestId: uint64(i), Event: numbered(i)})
	}
	put(t, stream, entries...)
	got, err := results(t, stream, n)
	if err != nil || len(got) != n {
		t.Fatalf("%d results of %d, %v", len(got), n, err)
	}
	for _, r := range got {
		if r.GetResponse() == nil {
			refused++
		}
	}
	return refused
}

func TestAnEventThatFindsNoRoomTakesNoOtherWithIt(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(rule *mesh.Rule) { rule.Retry.PerTryTimeout = 200 * time.Millisecond })
	for _, stuck := range []string{"0", "7"} {
		s := r.on(&slowAtFirst{node: node{&crowded{noRoom: stuck}}}, nil)
		if refused := many(t, s, 40); refused != 1 {
			t.Errorf("%d of 40 were refused, want only event %s", refused, stuck)
		}
	}
}

func TestASlowClaimLeavesTheEventsBehindItTheirTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(rule *mesh.Rule) { rule.Retry.PerTryTimeout, rule.Retry.Attempts = 300*time.Millisecond, 1 })
		confirming := &scripted{name: "a", play: func(ctx context.Context, _ *broker.Message) error {
			select {
			case <-time.After(50 * time.Millisecond):
				return nil
			case <-ctx.Done():
				return failure(broker.ConfirmTimeout, broker.Unknown)
			}
		}}
		s := r.on(&slowAtFirst{node: node{confirming}, takes: 280 * time.Millisecond}, nil)
		events := make([]*eventsv1.CloudEvent, 40)
		for i := range events {
			events[i] = numbered(i)
		}
		res, err := s.PublishBatch(t.Context(), batchOf(events...))
		if err != nil {
			t.Fatal(err)
		}
		refused := 0
		for _, one := range res.GetResults() {
			if one.GetResponse() == nil {
				refused++
			}
		}
		if refused != 1 {
			t.Errorf("%d of 40 had no time left, want the one whose claim was slow", refused)
		}
	})
}

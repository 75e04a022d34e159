package queueing_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
)

// recorder is a driver that notes what is to be forgotten or removed.
type recorder struct {
	queueing.Driver
	gone    []string
	refuses error // what it says when something is to be removed
}

func (r *recorder) EnsureTopology(_ context.Context, t queueing.Topology) error {
	if len(t.Gone)+len(t.GonePartitioners) > 0 && r.refuses != nil {
		return r.refuses
	}
	if t.Policy == mesh.Ignore {
		for _, x := range t.Exchanges {
			r.gone = append(r.gone, x.Name)
		}
		for _, q := range t.Queues {
			r.gone = append(r.gone, q.Name)
		}
	}
	for _, b := range t.Gone {
		r.gone = append(r.gone, b.Exchange+" to "+b.Queue)
	}
	for _, p := range t.GonePartitioners {
		r.gone = append(r.gone, p.Exchange+" to "+p.Name)
	}
	return nil
}

// of is a subscription of a topic with that exchange.
func of(exchange, name string) broker.Object {
	s := billing()
	s.Name.Name, s.Exchange.Name, s.Queue.Name, s.DeadLetterQueue = name, exchange, name, name+".dead"
	return broker.Object{Subscription: &s, Policy: mesh.Manage}
}

func ordered(o broker.Object) broker.Object {
	o.Subscription.Ordering, o.Subscription.Partitions = mesh.PerKey, mesh.Partitions{Count: 1, Key: "k"}
	return o
}

// keep makes objects exist, and nothing else, and returns what that came to.
func (r *recorder) keep(t *testing.T, n *queueing.Node, objects ...broker.Object) (gone []string, err error) {
	t.Helper()
	for _, o := range objects {
		if err := n.Ensure(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	r.gone = nil
	err = n.Keep(t.Context(), objects)
	return r.gone, err
}

func TestKeepForgetsWhatNothingElseNeeds(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	n := queueing.NewNode(r)
	for _, step := range []struct {
		name    string
		objects []broker.Object
		gone    []string
	}{
		{"at first", []broker.Object{of("x", "a"), of("x", "b"), of("y", "c")}, nil},
		{"without a", []broker.Object{of("x", "b"), of("y", "c")}, []string{"a", "a.dead"}},
		{"with c moved", []broker.Object{of("x", "b"), of("x", "c")}, []string{"y", "y to c"}},
		{"without a change", []broker.Object{of("x", "b"), of("x", "c")}, nil},
		{"without anything", nil, []string{"x", "b", "b.dead", "c", "c.dead"}},
	} {
		if gone, err := r.keep(t, n, step.objects...); err != nil || !slices.Equal(gone, step.gone) {
			t.Errorf("%s: forgot %q, %v; want %q", step.name, gone, err, step.gone)
		}
	}
}

func TestKeepRemovesWhatLedToAQueueThatHasMovedUntilItIsGone(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	n := queueing.NewNode(r)
	stays := ordered(of("old", "stays"))
	if gone, err := r.keep(t, n, stays, of("old", "a"), ordered(of("old", "b"))); err != nil || len(gone) != 0 {
		t.Fatal(gone, err)
	}
	after := []broker.Object{stays, of("new", "a"), ordered(of("new", "b"))}
	r.refuses = errors.New("not now")
	if gone, err := r.keep(t, n, after...); err == nil || len(gone) != 0 {
		t.Errorf("removed %q, %v; want nothing and an error", gone, err)
	}
	r.refuses = nil
	if gone, err := r.keep(t, n, after...); err != nil || !slices.Equal(gone, []string{"old to a", "old to b.partitions"}) {
		t.Errorf("when it can it removed %q, %v", gone, err)
	}
	if gone, err := r.keep(t, n, after...); err != nil || len(gone) != 0 {
		t.Errorf("later it removed %q, %v; want nothing more", gone, err)
	}
}

func TestObjectsThatLookTheSameNeedNoEnsure(t *testing.T) {
	t.Parallel()
	n := queueing.NewNode(&recorder{})
	a, b := of("x", "a"), of("x", "a")
	b.Subscription.Attempts = 9 // without a backoff nothing waits on the broker
	if !n.Same(a, b) {
		t.Error("a change that shows nowhere on the broker makes another object")
	}
	b.Subscription.Queue.Type = "classic"
	if n.Same(a, b) {
		t.Error("another type of queue makes no other object")
	}
	topic := broker.Object{Policy: mesh.Manage, Topic: &mesh.Destination{Exchange: mesh.Exchange{Name: "x"}}}
	if n.Same(a, topic) {
		t.Error("a subscription is taken for its topic")
	}
}

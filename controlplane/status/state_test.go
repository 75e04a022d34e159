package status

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/controlplane/declare"
	"github.com/warrenmesh/warren/controlplane/resolve"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/server"
)

// topicKey is the resource of topic orders in these tests.
var topicKey = resolve.ResourceKey{TypeURL: xds.TypeRoute, Name: "topic/shop/orders"}

// orders is topic shop/orders as it was declared for the nth time.
func orders(generation int64) declare.Object {
	t := &v1alpha1.EventTopic{ObjectMeta: v1alpha1.ObjectMeta{Name: "orders", Namespace: "shop", Generation: generation}}
	return declare.Object{Value: t}
}

// counted is a counter that says what it is told to.
type counted Progress

func (c *counted) Progress() Progress { return Progress(*c) }

// serving is a set of one topic, at a version of its resource, that nobody uses.
func serving(version string, topic declare.Object) *InForce {
	return servingTo(version, topic, &counted{})
}

// servingTo is serving to those that c counts.
func servingTo(version string, topic declare.Object, c *counted) *InForce {
	return &InForce{
		Version: "set-" + version, Objects: []declare.Object{topic},
		Counters: map[v1alpha1.ObjectName]Counter{topic.Name(): c},
		Versions: map[resolve.ResourceKey]string{topicKey: version},
	}
}

// has is a sidecar with the topic's resource.
func has(version string, state server.State) server.Sidecar {
	r := server.ResourceState{TypeURL: topicKey.TypeURL, Name: topicKey.Name, Version: version, State: state}
	if state == server.Nacked {
		r.Error = "odd"
	}
	return server.Sidecar{Resources: []server.ResourceState{r}}
}

// world is a state and what it is told.
type world struct {
	*State
	sidecars []server.Sidecar
	now      time.Time
}

func newWorld() *world {
	w := &world{now: time.Unix(1000, 0)}
	w.State = New(Options{Now: func() time.Time { return w.now }, Sidecars: func() []server.Sidecar { return w.sidecars }})
	return w
}

// said is an object's conditions in brief, with the generation that each observed.
func said(o *Object) string {
	var out []string
	for _, c := range o.Conditions {
		out = append(out, fmt.Sprintf("%s=%s/%s@%d", c.Type, c.Status, c.Reason, c.ObservedGeneration))
	}
	return strings.Join(out, " ")
}

func (w *world) expect(t *testing.T, when, want string) Object {
	t.Helper()
	s := w.Observe()
	if len(s.Objects) != 1 {
		t.Fatalf("%s: got %d objects, want one", when, len(s.Objects))
	}
	if got := said(&s.Objects[0]); got != want {
		t.Errorf("%s: got %s, want %s", when, got, want)
	}
	return s.Objects[0]
}

func problem(kind v1alpha1.ErrorKind) declare.Problem {
	topic := orders(0)
	return topic.Problem(v1alpha1.FieldError{Path: "spec.brokerRef.name", Message: "is wrong", Kind: kind})
}

func TestConditionsFollowAnObjectThroughItsLife(t *testing.T) {
	t.Parallel()
	w := newWorld()
	if s := w.Observe(); len(s.Objects)+len(s.Problems) > 0 || !s.LoadedAt.IsZero() || s.Version != "" {
		t.Errorf("in the beginning: got %+v", s)
	}
	w.Refuse([]declare.Object{orders(1)}, []declare.Problem{{Message: "another's"}})
	w.expect(t, "beside another's problem", "Accepted=Unknown/Pending@1 ResolvedRefs=Unknown/Pending@1 Programmed=False/Invalid@1")
	w.Refuse([]declare.Object{orders(2)}, []declare.Problem{problem(v1alpha1.RefNotFound)})
	o := w.expect(t, "dangling", "Accepted=False/RefNotFound@2 ResolvedRefs=False/RefNotFound@2 Programmed=False/Invalid@2")
	if want := "EventTopic shop/orders: spec.brokerRef.name: is wrong"; o.Conditions[0].Message != want || o.Conditions[1].Message != want {
		t.Errorf("got %q and %q, want %q", o.Conditions[0].Message, o.Conditions[1].Message, want)
	}

	a, b := &counted{}, &counted{Pending: 2}
	w.Accept(servingTo("a", orders(3), a))
	w.expect(t, "alone", "Accepted=True/Accepted@3 ResolvedRefs=True/ResolvedRefs@3 Programmed=Unknown/NoSidecars@3")
	*a = counted{Acked: 1, Pending: 1}
	o = w.expect(t, "one is silent", "Accepted=True/Accepted@3 ResolvedRefs=True/ResolvedRefs@3 Programmed=False/Pending@3")
	if o.Progress != (Progress{Acked: 1, Pending: 1}) || o.Conditions[2].Message != "1 of 2 sidecars have not answered yet" {
		t.Errorf("got %+v, %q", o.Progress, o.Conditions[2].Message)
	}
	*a = counted{Acked: 1, Rejected: 1, LastError: "odd"}
	o = w.expect(t, "one refuses", "Accepted=True/Accepted@3 ResolvedRefs=True/ResolvedRefs@3 Programmed=False/Rejected@3")
	if o.Progress.LastError != "odd" || o.Conditions[2].Message != "1 of 2 sidecars refused it: odd" {
		t.Errorf("got %+v, %q", o.Progress, o.Conditions[2].Message)
	}
	*a = counted{Acked: 2}
	o = w.expect(t, "all have it", "Accepted=True/Accepted@3 ResolvedRefs=True/ResolvedRefs@3 Programmed=True/Programmed@3")
	if o.Progress.Total() != 2 || o.Conditions[2].Message != "acknowledged by 2 of 2 sidecars" {
		t.Errorf("got %+v, %q", o.Progress, o.Conditions[2].Message)
	}

	// What is in force was observed at another generation than what was refused.
	w.Refuse([]declare.Object{orders(4)}, []declare.Problem{problem(v1alpha1.Conflict)})
	o = w.expect(t, "a bad change", "Accepted=False/Conflicted@4 ResolvedRefs=True/ResolvedRefs@4 Programmed=True/Programmed@3")
	if !strings.HasSuffix(o.Conditions[0].Message, "; the last good declaration stays in force") {
		t.Errorf("got %q", o.Conditions[0].Message)
	}
	w.Accept(servingTo("b", orders(5), b))
	w.expect(t, "what was said of the old version", "Accepted=True/Accepted@5 ResolvedRefs=True/ResolvedRefs@5 Programmed=False/Pending@5")
	w.Wait(map[v1alpha1.ObjectName]string{{Kind: "EventTopic", Namespace: "shop", Name: "orders"}: "it waits"})
	if o = w.expect(t, "while one waits", "Accepted=True/Accepted@5 ResolvedRefs=True/ResolvedRefs@5 Programmed=False/Pending@5"); o.Conditions[0].Message != "it waits" {
		t.Errorf("got %q", o.Conditions[0].Message)
	}
	w.Accept(&InForce{Version: "none"})
	if s := w.Observe(); len(s.Objects) > 0 {
		t.Errorf("in the end: got %+v", s.Objects)
	}
}

func TestATransitionHasTheTimeAtWhichItWasSeen(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.Accept(serving("a", orders(1)))
	start := w.now
	before := w.Observe()
	w.now = w.now.Add(time.Minute)
	w.Accept(servingTo("a", orders(1), &counted{Acked: 1})) // the same content came into force before
	s := w.Observe()
	for i, want := range []time.Time{start, start, w.now} {
		if c := s.Objects[0].Conditions[i]; !c.LastTransitionTime.Time.Equal(want) {
			t.Errorf("%s changed at %v, want %v", c.Type, c.LastTransitionTime, want)
		}
	}
	if c := before.Objects[0].Conditions[2]; c.Reason != v1alpha1.ReasonNoSidecars {
		t.Errorf("what was observed before has changed to %+v", c)
	}
	if !s.LoadedAt.Equal(start) || s.Version != "set-a" {
		t.Errorf("%s came into force at %v, want %v", s.Version, s.LoadedAt, start)
	}
	w.Accept(serving("b", orders(1)))
	if s := w.Observe(); !s.LoadedAt.Equal(w.now) {
		t.Errorf("other content came into force at %v, want %v", s.LoadedAt, w.now)
	}
}

func TestARefusedSetTellsWhatIsNew(t *testing.T) {
	t.Parallel()
	w := newWorld()
	one, two := declare.Problem{Message: "one"}, declare.Problem{Message: "two"}
	for _, c := range []struct{ set, news []declare.Problem }{
		{[]declare.Problem{one}, []declare.Problem{one}},
		{[]declare.Problem{one}, nil},
		{[]declare.Problem{one, two}, []declare.Problem{two}},
		{[]declare.Problem{two}, nil},
		{[]declare.Problem{one}, []declare.Problem{one}},
	} {
		if got := w.Refuse(nil, c.set); !slices.Equal(got, c.news) {
			t.Errorf("of %v, new is %v; want %v", c.set, got, c.news)
		}
	}
	many := make([]declare.Problem, MaxProblems+3)
	for i := range many {
		many[i].Message = fmt.Sprint(i)
	}
	if news := w.Refuse(nil, many); len(news) != len(many) {
		t.Errorf("%d are new of %d", len(news), len(many))
	}
	got := w.Observe().Problems
	if len(got) != MaxProblems+1 || !strings.HasPrefix(got[MaxProblems].Message, "3 more problems are not shown") {
		t.Errorf("%d are shown, the last is %q", len(got), got[len(got)-1].Message)
	}
	w.Accept(serving("a", orders(1)))
	if got := w.Observe().Problems; len(got) > 0 {
		t.Errorf("a good set follows: %v", got)
	}
}

func TestObjectsAreOrderedByKindAndName(t *testing.T) {
	t.Parallel()
	object := func(o v1alpha1.Object, namespace, name string) declare.Object {
		o.SetNamespace(namespace)
		o.SetName(name)
		return declare.Object{Value: o}
	}
	w := newWorld()
	w.Accept(&InForce{Version: "1", Objects: []declare.Object{
		object(new(v1alpha1.EventSubscription), "a", "a"), object(new(v1alpha1.EventTopic), "b", "a"), object(new(v1alpha1.EventTopic), "a", "b"),
	}})
	w.Refuse([]declare.Object{object(new(v1alpha1.EventBroker), "z", "z"), object(new(v1alpha1.EventTopic), "a", "a"), object(new(v1alpha1.EventTopic), "b", "a")}, nil)
	var got []string
	for _, o := range w.Observe().Objects {
		got = append(got, o.Name.String())
	}
	want := []string{"EventBroker z/z", "EventTopic a/a", "EventTopic a/b", "EventTopic b/a", "EventSubscription a/a"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Sidecars are told by Snapshot alone: to list them all costs much more than to observe.
func TestASnapshotTellsTheSidecars(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.Accept(serving("a", orders(1)))
	w.sidecars = []server.Sidecar{has("a", server.Acked)}
	if n := len(w.Observe().Sidecars); n != 0 {
		t.Errorf("an observation tells %d sidecars", n)
	}
	if n := len(w.Snapshot().Sidecars); n != 1 {
		t.Errorf("a snapshot tells %d sidecars, want 1", n)
	}
}

func TestTheStateOfASidecarIsItsWorst(t *testing.T) {
	t.Parallel()
	versions := map[resolve.ResourceKey]string{topicKey: "a"}
	gone := server.ResourceState{TypeURL: topicKey.TypeURL, Name: "topic/shop/gone", State: server.DoesNotExist}
	both := func(s server.Sidecar, more server.ResourceState) server.Sidecar {
		s.Resources = append(s.Resources, more)
		return s
	}
	for _, c := range []struct {
		name, want string
		sidecar    server.Sidecar
	}{
		{"nothing was sent", SidecarNotSent, server.Sidecar{}},
		{"all is acknowledged", SidecarSynced, has("a", server.Acked)},
		{"an older version is", SidecarStale, has("b", server.Acked)},
		{"an answer is due", SidecarStale, has("a", server.Sent)},
		{"something was refused", SidecarNack, has("a", server.Nacked)},
		{"what does not exist does not", SidecarSynced, both(has("a", server.Acked), gone)},
		{"what exists does not yet", SidecarStale, server.Sidecar{Resources: []server.ResourceState{{TypeURL: topicKey.TypeURL, Name: topicKey.Name, State: server.DoesNotExist}}}},
	} {
		if got := SidecarState(&c.sidecar, versions); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

package controlplane

import (
	"slices"
	"testing"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/xds"
)

func object(t *testing.T, s *adminv1.GetStatusResponse, kind, name string) *adminv1.Object {
	t.Helper()
	for _, o := range s.GetObjects() {
		if o.GetKind() == kind && o.GetName() == name {
			return o
		}
	}
	t.Fatalf("no %s %s among the objects", kind, name)
	return nil
}

func condition(o *adminv1.Object, conditionType string) *adminv1.Condition {
	for _, c := range o.GetConditions() {
		if c.GetType() == conditionType {
			return c
		}
	}
	return nil
}

func counts(o *adminv1.Object) [3]uint32 {
	return [3]uint32{o.GetAcked(), o.GetPending(), o.GetRejected()}
}

func TestProgrammedIsWhatTheSidecarsSay(t *testing.T) {
	t.Parallel()
	dir := shopDir(t)
	cp := launch(t, dir, nil)
	wait(t, "ready", cp.Ready())
	route := func() *adminv1.Object { return object(t, getStatus(t, cp, ""), "EventRoute", "canary") }
	if c := condition(route(), "Programmed"); c.GetStatus() != "Unknown" || c.GetReason() != "NoSidecars" {
		t.Errorf("without sidecars: got %v", c)
	}

	acking, nacking, silent := connect(t, cp, "a"), connect(t, cp, "n"), connect(t, cp, "s")
	first := acking.subscribe(xds.TypeRoute, "topic/shop/orders")
	expect(t, first, xds.TypeRoute, "topic/shop/orders")
	acking.ack(first)
	nacking.nack(nacking.subscribe(xds.TypeRoute, "topic/shop/orders"), "weights are odd")
	unanswered := silent.subscribe(xds.TypeRoute, "topic/shop/orders")

	var got *adminv1.Object
	eventually(t, "counts are 1/1/1", func() bool {
		got = route()
		return counts(got) == [3]uint32{1, 1, 1}
	})
	c := condition(got, "Programmed")
	if c.GetStatus() != "False" || c.GetReason() != "Rejected" || got.GetLastError() != "weights are odd" {
		t.Errorf("got %v and last error %q, want False and the sidecar's words", c, got.GetLastError())
	}
	// orders is a backend of the route as well as its parent, so it is part of the
	// same resource; orders-next too. The broker concerns nobody here.
	status := getStatus(t, cp, "")
	for _, name := range []string{"orders", "orders-next"} {
		if n := counts(object(t, status, "EventTopic", name)); n != [3]uint32{1, 1, 1} {
			t.Errorf("topic %s: got %v", name, n)
		}
	}
	if c := condition(object(t, status, "EventBroker", "main"), "Programmed"); c.GetReason() != "NoSidecars" {
		t.Errorf("broker: got %v", c)
	}
	states := map[string]string{}
	for _, s := range status.GetSidecars() {
		states[s.GetId()] = s.GetState()
	}
	if states["a"] != "SYNCED" || states["n"] != "NACK" || states["s"] != "STALE" {
		t.Errorf("sidecars: got %v", states)
	}

	// A new generation starts anew: what was said of the old one does not count.
	// The silent sidecar is sent no more until it has answered.
	edit(t, dir, map[string]string{"routes.yaml": routeYAML(7, 3)})
	silent.ack(unanswered)
	for _, s := range []*sidecar{acking, nacking, silent} {
		s.ack(s.next())
	}
	eventually(t, "all have acknowledged", func() bool {
		got = route()
		return condition(got, "Programmed").GetStatus() == "True"
	})
	if counts(got) != [3]uint32{3, 0, 0} || got.GetLastError() != "" {
		t.Errorf("got %v and last error %q", counts(got), got.GetLastError())
	}
	if before := c.GetLastTransitionTime().AsTime(); !condition(got, "Programmed").GetLastTransitionTime().AsTime().After(before) {
		t.Error("the transition to True has no time of its own")
	}
}

func TestASelectedSidecarIsPendingUntilItHasAnswered(t *testing.T) {
	t.Parallel()
	cp := launch(t, shopDir(t), nil)
	wait(t, "ready", cp.Ready())
	billing := func() *adminv1.Object { return object(t, getStatus(t, cp, ""), "EventSubscription", "billing") }

	s := connect(t, cp, "billing")
	// It is known to the control plane, and has not asked for subscriptions yet.
	s.ack(s.subscribe(xds.TypeCluster, "broker/shop/main"))
	eventually(t, "the sidecar is seen", func() bool { return counts(billing()) == [3]uint32{0, 1, 0} })
	s.ack(s.subscribe(xds.TypeListener, "*"))
	eventually(t, "the sidecar has acknowledged", func() bool { return counts(billing()) == [3]uint32{1, 0, 0} })
	if n := counts(object(t, getStatus(t, cp, ""), "EventSubscription", "audit")); n != [3]uint32{} {
		t.Errorf("audit, which selects others: got %v", n)
	}
}

func TestGetStatusShowsEverySidecarAndItsResources(t *testing.T) {
	t.Parallel()
	cp := launch(t, shopDir(t), nil)
	wait(t, "ready", cp.Ready())
	s := connect(t, cp, "billing")
	s.readAll("billing")
	var got *adminv1.Sidecar
	eventually(t, "the sidecar is in sync", func() bool {
		status := getStatus(t, cp, "shop")
		if len(status.GetSidecars()) == 1 {
			got = status.GetSidecars()[0]
		}
		return got.GetState() == "SYNCED" && len(got.GetResources()) == 7
	})
	if got.GetId() != "billing" || got.GetNamespace() != "shop" || got.GetWorkload() != "billing" || got.GetLabels()["app"] != "billing" ||
		got.GetVersion() != "v1" || got.GetPeer() == "" || got.GetConnectedFor().AsDuration() <= 0 {
		t.Errorf("got %v", got)
	}
	for _, r := range got.GetResources() {
		if r.GetVersion() == "" || r.GetVersion() != r.GetAckedVersion() || r.GetState() != "ACKED" || r.GetSentVersion() != r.GetVersion() || r.GetSince().AsTime().IsZero() {
			t.Errorf("got %v, want it acknowledged", r)
		}
	}

	var objects []string
	for _, o := range getStatus(t, cp, "shop").GetObjects() {
		objects = append(objects, o.GetKind()+" "+o.GetName())
	}
	want := []string{"EventBroker main", "EventTopic orders", "EventTopic orders-next", "EventRoute canary", "EventSubscription audit", "EventSubscription billing"}
	if !slices.Equal(objects, want) {
		t.Errorf("got objects %v, want %v", objects, want)
	}
	if other := getStatus(t, cp, "other"); len(other.GetObjects())+len(other.GetSidecars()) > 0 {
		t.Errorf("another namespace shows %v", other)
	}
}

package delta

import (
	"fmt"
	"slices"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/wire"
)

func listenerOf(name, version string) wire.Resource {
	return wire.Resource{TypeURL: xds.TypeListener, Name: name, Version: version, Any: &anypb.Any{TypeUrl: xds.TypeListener}}
}

// said returns the names of a difference, those that are removed with a minus.
func said(d *Difference) (out []string) {
	if d == nil {
		return nil
	}
	for _, e := range d.Changed {
		out = append(out, e.Name)
	}
	for _, name := range d.Removed {
		out = append(out, "-"+name)
	}
	return out
}

// subscribe has a subscription take a request in, and returns its response.
func subscribe(s *Subscription, v *View, req *discoveryv3.DeltaDiscoveryRequest, first bool) []string {
	s.Change(req, first)
	s.Recall(req, first, time.Time{})
	s.Open()
	if !s.Queue() {
		return nil
	}
	d := s.Turn(v)
	if d != nil {
		s.Sent(d, time.Time{})
	}
	return said(d)
}

// A peer is allowed many names with versions. The bound of what it subscribes to does not
// count them, so nothing may be kept of those it does not subscribe to.
func TestVersionsOfWhatIsNotAskedForAreNotKept(t *testing.T) {
	t.Parallel()
	versions := map[string]string{"a": "1", "b": "1"}
	for i := range 1000 {
		versions[fmt.Sprint("other", i)] = "1"
	}
	v := NewView("1", []wire.Resource{listenerOf("a", "1"), listenerOf("b", "2")}, nil, nil)
	s := NewSubscription(xds.TypeListener, &xds.Node{ID: "n", Namespace: "shop"})
	got := subscribe(s, v, &discoveryv3.DeltaDiscoveryRequest{ResourceNamesSubscribe: []string{"a", "b"}, InitialResourceVersions: versions}, true)
	if !slices.Equal(got, []string{"b"}) || s.Len() != 2 {
		t.Errorf("said %q, and keeps %d rows; want b and 2", got, s.Len())
	}
	// Under the wildcard they are said to be gone, once.
	s = NewSubscription(xds.TypeListener, &xds.Node{ID: "n", Namespace: "shop"})
	got = subscribe(s, v, &discoveryv3.DeltaDiscoveryRequest{ResourceNamesSubscribe: []string{"*", "a"}, InitialResourceVersions: versions}, true)
	if len(got) != 1001 || s.Len() != 1 {
		t.Errorf("said %d names, and keeps %d rows; want 1001 and 1", len(got), s.Len())
	}
}

// A stream that acknowledges nothing is not told anything, for as long as it lasts.
func TestNamesThatComeAndGoAreNotGatheredForASilentStream(t *testing.T) {
	t.Parallel()
	concerned := func(version string) Scoped {
		return Scoped{Resource: listenerOf("mine", version), Namespace: "shop"}
	}
	first := NewView("1", []wire.Resource{listenerOf("a", "1")}, []Scoped{concerned("1")}, nil)
	s := NewSubscription(xds.TypeListener, &xds.Node{ID: "n", Namespace: "shop"})
	if got := subscribe(s, first, &discoveryv3.DeltaDiscoveryRequest{ResourceNamesSubscribe: []string{"*", "a"}}, true); !slices.Equal(got, []string{"a", "mine"}) {
		t.Fatalf("said %q at first", got)
	}
	s.Look("a")
	for i := range 10_000 {
		s.Look(fmt.Sprint("other", i))
		if n := len(s.pending); n > s.Len()+maxUnknown+1 {
			t.Fatalf("%d names are gathered", n)
		}
	}
	s.add("b") // in a request that comes meanwhile
	now := NewView("2", []wire.Resource{listenerOf("a", "2"), listenerOf("b", "1")}, []Scoped{concerned("2")}, first)
	s.Open()
	if !s.Queue() {
		t.Fatal("nothing is due")
	}
	if got := said(s.Turn(now)); !slices.Equal(got, []string{"a", "b", "mine"}) {
		t.Errorf("said %q at last", got)
	}
}

// The cases of unsubscribing (xds-protocol, "Unsubscribing From Resources").
func TestUnsubscribingUnderTheWildcard(t *testing.T) {
	t.Parallel()
	v := NewView("1", []wire.Resource{listenerOf("topic", "1")}, []Scoped{{Resource: listenerOf("mine", "1"), Namespace: "shop"}}, nil)
	for name, c := range map[string]struct {
		first, then *discoveryv3.DeltaDiscoveryRequest
		want        []string
	}{
		"what the wildcard covers comes again": {
			&discoveryv3.DeltaDiscoveryRequest{ResourceNamesSubscribe: []string{"*", "mine"}},
			&discoveryv3.DeltaDiscoveryRequest{ResourceNamesUnsubscribe: []string{"mine"}}, []string{"mine"},
		},
		"what it does not cover is removed": {
			&discoveryv3.DeltaDiscoveryRequest{ResourceNamesSubscribe: []string{"*", "topic"}},
			&discoveryv3.DeltaDiscoveryRequest{ResourceNamesUnsubscribe: []string{"topic"}}, []string{"-topic"},
		},
		"without it nothing is said": {
			&discoveryv3.DeltaDiscoveryRequest{ResourceNamesSubscribe: []string{"topic"}},
			&discoveryv3.DeltaDiscoveryRequest{ResourceNamesUnsubscribe: []string{"topic"}}, nil,
		},
		"from the wildcard, what is named stays": {
			&discoveryv3.DeltaDiscoveryRequest{ResourceNamesSubscribe: []string{"*", "topic"}},
			&discoveryv3.DeltaDiscoveryRequest{ResourceNamesUnsubscribe: []string{"*"}}, nil,
		},
		"and again in one request": {
			&discoveryv3.DeltaDiscoveryRequest{ResourceNamesSubscribe: []string{"topic"}},
			&discoveryv3.DeltaDiscoveryRequest{ResourceNamesSubscribe: []string{"topic", "gone"}}, []string{"topic", "-gone"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := NewSubscription(xds.TypeListener, &xds.Node{ID: "n", Namespace: "shop"})
			subscribe(s, v, c.first, true)
			if got := subscribe(s, v, c.then, false); !slices.Equal(got, c.want) {
				t.Errorf("said %q, want %q", got, c.want)
			}
			if got := subscribe(s, v, &discoveryv3.DeltaDiscoveryRequest{}, false); got != nil {
				t.Errorf("said %q without being asked", got)
			}
		})
	}
}

package server

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/anypb"

	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/wire"
)

// Looking at what has changed finds the same as looking at everything: for named
// resources and scoped ones, with and without the wildcard, also when only a selector
// changes, and when a subscription changes in between.
func TestLookingAtChangesFindsWhatLookingAtAllFinds(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(5, 6)) //nolint:gosec // repeatable
	const names = 8
	// A name says whether its resource is a scoped one: topic/... or subscription/...
	resource := func(kind string, i int) wire.Resource {
		return wire.Resource{TypeURL: xds.TypeListener, Name: fmt.Sprint(kind, i), Version: fmt.Sprint(random.IntN(2)), Any: &anypb.Any{}}
	}
	next := func() View {
		var v View
		for i := range names {
			switch random.IntN(4) {
			case 0: // there is none
			case 1:
				matches := random.IntN(2) == 0
				v.Scoped = append(v.Scoped, Scoped{Resource: resource("subscription", i), Namespace: "shop", Match: func(map[string]string) bool { return matches }})
			default:
				v.Resources = append(v.Resources, resource("topic", i))
			}
		}
		return v
	}
	fast := 0
	for round := range 300 {
		c := newCache()
		s := newSubscription(xds.TypeListener, xds.Node{ID: "a", Namespace: "shop"})
		for step := range 30 {
			if random.IntN(4) == 0 {
				s.seq = 0 // as stream.subscribe has it
				name := []string{wildcard, fmt.Sprint("topic", random.IntN(names)), fmt.Sprint("subscription", random.IntN(names))}[random.IntN(3)]
				if random.IntN(3) > 0 {
					s.add(name)
				} else {
					s.remove(name)
				}
			}
			for range 1 + random.IntN(2) { // it may miss one
				c.update(next(), time.Now())
			}
			v := c.current()
			all := v.differs(s)
			if s.seq != 0 && s.seq == v.seq-1 {
				fast++
				if changed := v.outdates(s); changed != all {
					t.Fatalf("round %d, step %d: by what changed %t, by all %t\n%+v\n%+v", round, step, changed, all, s, v)
				}
			}
			if v.stale(s) != all {
				t.Fatalf("round %d, step %d: stale is %t", round, step, !all)
			}
			if all && random.IntN(3) > 0 {
				v.diff(s).apply(s)
				if v.differs(s) {
					t.Fatalf("round %d, step %d: something is left", round, step)
				}
			}
		}
	}
	if fast < 1000 {
		t.Errorf("only %d looks were short", fast)
	}
}

package ledger

import (
	"fmt"
	"testing"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/event"
)

func eventOf(source, id string) *event.Event { return &event.Event{Source: source, ID: id} }

func TestAcknowledgedRemembersWithinItsWindowAndBound(t *testing.T) {
	t.Parallel()
	var l Ledger
	b := l.Acknowledged(mesh.Name{Name: "billing"})
	id := func(n int) *event.Event {
		return eventOf("/shop", fmt.Sprint(n))
	}
	now, bounds := time.Now(), mesh.Dedupe{Window: time.Minute, MaxEntries: 3}
	b.Add(id(1), now, bounds)
	b.Add(id(1), now.Add(30*time.Second), bounds)
	if !b.Has(id(1), now.Add(90*time.Second), bounds) || b.Has(id(1), now.Add(91*time.Second), bounds) {
		t.Error("remembered for another time than the window since it was last acknowledged")
	}
	for n := range 4 {
		b.Add(id(n), now, bounds)
	}
	if b.Has(id(0), now, bounds) || !b.Has(id(1), now, bounds) || !b.Has(id(3), now, bounds) {
		t.Error("the bound does not forget the oldest and only it")
	}
	if idOf(eventOf("a", "b")) == idOf(eventOf("", "ab")) {
		t.Error("two events have the same identity")
	}
}

package rabbit

import (
	"testing"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
)

// A queue that nobody consumes, such as a delay queue, can go without a word.
func TestAQueueThatIsGoneIsToldAndDeclaredAgain(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(o *Options) { o.TopologyCheck = 50 * time.Millisecond })
	queue := f.prefix + "delay"
	// Deleted while it is declared, a quorum queue of 3.10.8 answers with INTERNAL_ERROR.
	topology := queueing.Topology{Policy: mesh.Manage, Queues: []queueing.Queue{{Name: queue, Type: "classic"}}}
	if err := f.node.EnsureTopology(t.Context(), topology); err != nil {
		t.Fatal(err)
	}
	if gone := f.node.State().Gone; gone != 0 {
		t.Errorf("%d queues are gone before one was deleted", gone)
	}
	for range 2 {
		before := f.node.State().Gone
		exists := func() bool {
			_, err := f.node.Inspect(t.Context(), queue)
			return err == nil
		}
		f.poll("it is missed", func() bool {
			if exists() { // declared again unseen, if it was deleted between a look and what follows that
				_, _ = f.plain.QueueDelete(queue, false, false, false)
			}
			return f.node.State().Gone > before
		})
		f.poll("it is there again", exists)
	}
	before := f.node.State().Gone
	if err := f.node.EnsureTopology(t.Context(), topology); err != nil {
		t.Fatal(err)
	}
	if gone := f.node.State().Gone; gone != before {
		t.Errorf("%d queues are gone, though nobody deleted one after %d", gone, before)
	}
}

func TestAQueueThatIsDeclaredForTheFirstTimeIsNotGone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, name := range []string{"a", "b"} {
		topology := queueing.Topology{Policy: mesh.Manage, Queues: []queueing.Queue{{Name: f.prefix + name}}}
		if err := f.node.EnsureTopology(t.Context(), topology); err != nil {
			t.Fatal(err)
		}
	}
	if gone := f.node.State().Gone; gone != 0 {
		t.Errorf("%d queues are gone", gone)
	}
}

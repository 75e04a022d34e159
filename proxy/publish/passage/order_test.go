package passage

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/warrenmesh/warren/internal/budget"
	"github.com/warrenmesh/warren/mesh"
)

func (p *place) isFirst() bool {
	if p.atOnce() {
		return true
	}
	select {
	case <-p.turn:
		return true
	default:
		return false
	}
}

// Whatever order events leave in, the turn is the oldest's that is left, and nobody
// else's.
func TestTheTurnIsTheOldestsOfItsKey(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(4, 2))
	var l lines
	topic := mesh.Name{Namespace: "shop", Name: "orders"}
	lineOf := map[string][]*place{}
	for range 20_000 {
		key := string(rune('a' + r.IntN(5)))
		line := lineOf[key]
		if len(line) > 0 && r.IntN(2) == 0 {
			i := r.IntN(len(line))
			line[i].leave()
			line = append(line[:i:i], line[i+1:]...)
		} else {
			line = append(line, l.join(topic, key))
		}
		lineOf[key] = line
		for i, p := range line {
			if p.isFirst() != (i == 0) {
				t.Fatalf("place %d of %d has its turn: %v", i, len(line), p.isFirst())
			}
		}
	}
	for _, line := range lineOf {
		for _, p := range line {
			p.leave()
		}
	}
	for i := range l {
		if n := len(l[i].last); n != 0 {
			t.Errorf("shard %d keeps %d lines of nobody", i, n)
		}
	}
}

func TestKeysOfTwoTopicsDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	var l lines
	if !l.join(mesh.Name{Name: "a"}, "k").atOnce() || !l.join(mesh.Name{Name: "b"}, "k").atOnce() {
		t.Error("the first event of a key has to wait")
	}
	if l.join(mesh.Name{Name: "a"}, "k").await(t.Context(), time.Now()) == nil {
		t.Error("the second event of a key has not")
	}
}

// Budget: 1 allocation for an event that is alone in its line.
func BenchmarkLine(b *testing.B) {
	var l lines
	topic := mesh.Name{Namespace: "shop", Name: "orders"}
	budget.Allocs(b, 1)
	for b.Loop() {
		l.join(topic, "customer-1234567").leave()
	}
}

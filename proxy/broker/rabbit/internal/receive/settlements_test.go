package receive

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// told is what a broker makes of settlements: it knows what it handed out, and ends
// the channel at a tag that is not, or no more, in a client's hands.
type told struct {
	t    *testing.T
	hand map[uint64]bool
	last uint64
	acks int // acknowledgements sent
	ack  map[uint64]bool
	back map[uint64]bool
}

func newTold(t *testing.T) *told {
	t.Helper()
	return &told{t: t, hand: map[uint64]bool{}, ack: map[uint64]bool{}, back: map[uint64]bool{}}
}

func (b *told) deliver(s *settlements) {
	b.last++
	b.hand[b.last] = true
	s.track(b.last)
}

func (b *told) take(s *settlements) {
	b.t.Helper()
	single, upTo, n := s.take()
	for _, x := range single {
		b.settle(x.tag, x.requeue)
	}
	if n == 0 {
		return
	}
	b.acks++
	if !b.hand[upTo] {
		b.t.Fatalf("acknowledged up to %d, which is unknown: the channel is gone", upTo)
	}
	for tag := range b.hand {
		if tag <= upTo {
			delete(b.hand, tag)
			b.ack[tag] = true
			n--
		}
	}
	if n != 0 {
		b.t.Fatalf("acknowledging up to %d settles %d fewer than said", upTo, n)
	}
}

func (b *told) settle(tag uint64, requeue bool) {
	b.t.Helper()
	if !b.hand[tag] {
		b.t.Fatalf("settled %d, which is unknown: the channel is gone", tag)
	}
	delete(b.hand, tag)
	if requeue {
		b.back[tag] = true
		return
	}
	b.ack[tag] = true
	b.acks++
}

func TestOneAcknowledgementSaysWhatMany(t *testing.T) {
	t.Parallel()
	var s settlements
	b := newTold(t)
	for range 9 {
		b.deliver(&s)
	}
	for _, tag := range []uint64{3, 1, 2, 6, 8} {
		s.settle(settlement{tag: tag})
	}
	s.settle(settlement{tag: 4, refused: true, requeue: true})
	b.take(&s)
	if got := fmt.Sprint(len(b.ack), b.acks, b.back); got != "5 3 map[4:true]" {
		t.Errorf("acknowledged, with how many, and given back: %s", got)
	}
	if s.settle(settlement{tag: 2}) || s.settle(settlement{tag: 6}) || s.settle(settlement{tag: 10}) {
		t.Error("a delivery is settled twice, or before it came")
	}
	s.settle(settlement{tag: 5})
	b.take(&s)
	b.take(&s)
	if got := fmt.Sprint(len(b.ack), b.acks); got != "6 4" {
		t.Errorf("acknowledged, with how many: %s", got)
	}
}

// TestTheBrokerLearnsWhatWasSettled compares with what was asked for, in any order.
func TestTheBrokerLearnsWhatWasSettled(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // repeatable
		var s settlements
		b := newTold(t)
		want := map[uint64]bool{} // by tag: given back
		for range 300 {
			switch random.IntN(5) {
			case 0, 1:
				b.deliver(&s)
			case 2, 3:
				if b.last == 0 {
					continue
				}
				tag := b.last - random.Uint64N(min(b.last, 20))
				requeue := random.IntN(4) == 0
				_, before := want[tag]
				if s.settle(settlement{tag, requeue, requeue}) == before {
					t.Fatalf("seed %d: settling %d again: %t", seed, tag, before)
				}
				if !before {
					want[tag] = requeue
				}
			default:
				b.take(&s)
			}
		}
		b.take(&s)
		for tag := uint64(1); tag <= b.last; tag++ {
			requeue, settled := want[tag]
			if b.hand[tag] == settled || b.back[tag] != (settled && requeue) || b.ack[tag] != (settled && !requeue) {
				t.Fatalf("seed %d: delivery %d: in hands %t, acknowledged %t, given back %t; settled %t, to be given back %t",
					seed, tag, b.hand[tag], b.ack[tag], b.back[tag], settled, requeue)
			}
		}
	}
}

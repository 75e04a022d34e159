package receive

// settlement is what the broker is to be told of one delivery.
type settlement struct {
	tag     uint64
	refused bool // not an acknowledgement, and sent by itself
	requeue bool // with refused: back to its queue, not to its dead-letter queue
}

// settlements are those of one consumer channel, whose deliveries RabbitMQ numbers
// from one on without gaps. Events are settled about in the order in which they came,
// so that one acknowledgement of all up to a tag says most of what is to be said:
//
//	1 2 3 4 5 6 7 8 9
//	■ ■ ■ ■ □ ■ □ ■ □   ■ settled  □ in a service's hands
//	      ▲ low
//
// The zero value has no delivery. It is not safe for concurrent use.
type settlements struct {
	low, high uint64              // every delivery up to low is settled; high is the last that came
	open      map[uint64]struct{} // the others; at most the prefetch
	said      []settlement        // not taken yet
	single    []settlement        // what take returned last; its room is used again
}

// track adds a delivery.
func (s *settlements) track(tag uint64) {
	if s.open == nil {
		s.open = map[uint64]struct{}{}
	}
	s.open[tag] = struct{}{}
	s.high = tag
}

// settle takes down what is to be said of a delivery, once; it returns false when it
// was before, or there is no such delivery.
func (s *settlements) settle(x settlement) bool {
	if _, ok := s.open[x.tag]; !ok {
		return false
	}
	delete(s.open, x.tag)
	s.said = append(s.said, x)
	return true
}

// take returns what was taken down since the last call: settlements to be sent one by
// one, and after them the tag up to which everything is acknowledged, and how many
// settlements that stands for. The slice is good until the next call.
func (s *settlements) take() (single []settlement, upTo uint64, n int) {
	for s.low < s.high {
		if _, open := s.open[s.low+1]; open {
			break
		}
		s.low++
	}
	single = s.single[:0]
	for _, x := range s.said {
		if x.refused || x.tag > s.low {
			single = append(single, x)
			continue
		}
		// A tag that the broker has heard of already would close the channel; these are new.
		upTo = max(upTo, x.tag)
		n++
	}
	s.said, s.single = s.said[:0], single
	return single, upTo, n
}

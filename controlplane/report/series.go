package report

import (
	"container/list"
	"time"
)

const (
	// Step is the time from one point of a series to the next.
	Step = 10 * time.Second
	// hour is how many points a series has.
	hour = int64(time.Hour / Step)
	// recent is how many complete steps a rate is over.
	recent = 3
)

// counts are what a step has: events, failed, retried, dead-lettered. In the series of a
// depth they are 1 more than backlog, retrying, dead letters and receivers, so that 0
// means that nobody measured.
type counts [4]uint32

// Places in counts.
const (
	events = iota
	failed
	retried
	deadLettered
)

// key names a series. Of a topic it has topic alone, of a subscription subscription
// alone. Edges have a publisher: "" is one too, so that edge tells them apart.
type key struct {
	edge, depth                    bool
	publisher, topic, subscription string
}

// series is the last hour of one key, in a ring.
type series struct {
	key   key
	place *list.Element // among all, by the time of the last change
	gone  bool          // it was dropped

	first, newest int64 // steps since 1970
	ring          [hour]counts
}

func stepOf(now time.Time) int64 { return now.UnixNano() / int64(Step) }

// at returns the counts of a step, which is the newest or one after it: time does not go
// back in a store.
func (s *series) at(step int64) *counts {
	if step > s.newest {
		for n := max(s.newest+1, step-hour+1); n <= step; n++ {
			s.ring[n%hour] = counts{}
		}
		s.newest = step
	}
	return &s.ring[s.newest%hour]
}

// rates returns events a second, of the complete steps before now and the one that has
// begun.
func (s *series) rates(now time.Time) (out [4]float64) {
	step := stepOf(now)
	from := max(step-recent, s.first, s.newest-hour+1)
	for n := from; n <= min(step, s.newest); n++ {
		for i, c := range s.ring[n%hour] {
			out[i] += float64(c)
		}
	}
	over := max(now.Sub(time.Unix(0, from*int64(Step))), Interval)
	for i := range out {
		out[i] /= over.Seconds()
	}
	return out
}

// points returns what is known of the last hour until step, the oldest first.
func (s *series) points(step int64) []counts {
	from := max(s.first, step-hour+1)
	out := make([]counts, 0, max(0, step-from+1))
	for n := from; n <= step; n++ {
		if n > s.newest || n <= s.newest-hour {
			out = append(out, counts{})
			continue
		}
		out = append(out, s.ring[n%hour])
	}
	return out
}

// shelf has the series, and drops the one that has not changed for the longest when there
// are too many.
type shelf struct {
	most    int
	all     map[key]*series
	byAge   *list.List // of *series; the one that changed last is at the front
	dropped uint64
}

func newShelf(most int) shelf {
	return shelf{most: most, all: map[key]*series{}, byAge: list.New()}
}

// take returns the series of a key, which it makes if need be.
func (s *shelf) take(k key, step int64) *series {
	if found := s.all[k]; found != nil {
		return found
	}
	if len(s.all) >= s.most {
		s.drop(s.byAge.Back().Value.(*series))
		s.dropped++
	}
	made := &series{key: k, first: step, newest: step}
	made.place = s.byAge.PushFront(made)
	s.all[k] = made
	return made
}

func (s *shelf) drop(gone *series) {
	gone.gone = true
	s.byAge.Remove(gone.place)
	delete(s.all, gone.key)
}

// add adds to the step of a series.
func (s *shelf) add(to *series, step int64, more counts) {
	s.byAge.MoveToFront(to.place)
	at := to.at(step)
	for i, n := range more {
		at[i] += n
	}
}

// sweep drops what has not changed for an hour.
func (s *shelf) sweep(step int64) {
	for back := s.byAge.Back(); back != nil; back = s.byAge.Back() {
		oldest, _ := back.Value.(*series)
		if oldest.newest > step-hour {
			return
		}
		s.drop(oldest)
	}
}

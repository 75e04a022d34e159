package keys_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/warrenmesh/warren/proxy/deliver/internal/keys"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// rig adds and takes at one moment that the test moves.
type rig struct {
	*keys.Sequence
	t   *testing.T
	now time.Time
	tag uint64
}

func newRig(t *testing.T) *rig {
	t.Helper()
	return &rig{Sequence: keys.NewSequence(), t: t, now: noon}
}

// delivery is the number of an attempt at an event.
type delivery struct {
	id      string
	attempt int
	place   keys.Place
}

func (d *delivery) Place() keys.Place { return d.place }

// next takes what is next, nil when nothing is.
func (r *rig) next() (*delivery, time.Time) {
	taken, due := r.Take(r.now)
	d, _ := taken.(*delivery)
	return d, due
}

func (r *rig) add(part string, epoch uint64, key, id string) *delivery {
	r.tag++
	d := &delivery{id, 1, keys.Place{Part: part, Epoch: epoch, Tag: r.tag}}
	r.Add(d, key, r.now, time.Time{})
	return d
}

// take expects the events with these ids, one after the other, and then none.
func (r *rig) take(ids ...string) []*delivery {
	r.t.Helper()
	var out []*delivery
	for _, id := range ids {
		d, _ := r.next()
		if d == nil || d.id != id {
			r.t.Fatalf("took %v, want event %s", d, id)
		}
		out = append(out, d)
	}
	if d, _ := r.next(); d != nil {
		r.t.Fatalf("took event %s too, want none", d.id)
	}
	return out
}

func (r *rig) done(d *delivery) { r.Done(d, r.now) }

func (r *rig) park(d *delivery, delay time.Duration) bool {
	again := *d
	again.attempt++
	return r.Park(d, &again, r.now, r.now.Add(delay))
}

func TestAnEventWaitsForThoseBeforeItOfItsKeyOnly(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.add("q", 1, "a", "a1")
	r.add("q", 1, "a", "a2")
	r.add("q", 1, "b", "b1")
	r.add("q", 1, "", "x1")
	r.add("q", 1, "", "x2")
	taken := r.take("a1", "b1", "x1", "x2")
	r.done(taken[2])
	r.take()
	r.done(taken[0])
	r.take("a2")
}

func TestTheSameKeyOfAnotherPartIsAnotherKey(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.add("p0", 1, "a", "plain")
	r.add("p3", 2, "a", "keyed")
	r.take("plain", "keyed")
}

func TestAParkedEventHoldsItsKeyUntilItIsDue(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.add("q", 1, "a", "a1")
	r.add("q", 1, "a", "a2")
	a1 := r.take("a1")[0]
	r.park(a1, time.Minute)
	r.add("q", 1, "b", "b1")
	r.take("b1")
	if _, next := r.Take(r.now); !next.Equal(noon.Add(time.Minute)) {
		t.Errorf("next is due at %v, want in a minute", next)
	}
	r.now = noon.Add(time.Minute)
	again := r.take("a1")[0]
	if again.attempt != 2 {
		t.Errorf("attempt %d, want 2", again.attempt)
	}
	r.done(again)
	r.take("a2")
}

func TestAnEventThatIsNotDueWaitsFromTheStart(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d := &delivery{"a1", 1, keys.Place{Part: "q", Epoch: 1, Tag: 100}}
	r.Add(d, "a", r.now, r.now.Add(time.Second))
	r.add("q", 1, "a", "a2")
	r.take()
	r.now = r.now.Add(time.Second)
	r.done(r.take("a1")[0])
	r.take("a2")
}

func TestALostChannelTakesItsEventsWithIt(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(*rig){
		"when it is told":                  func(r *rig) { r.Lost("p0", 1) },
		"when something of a newer came":   func(*rig) {},
		"not when an older one ends later": func(r *rig) { r.Lost("p0", 1); r.Lost("p0", 0) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.add("p0", 1, "a", "a1") // taken when the channel goes
			r.add("p0", 1, "a", "a2") // waiting
			r.add("p0", 1, "b", "b1") // parked
			r.add("p1", 9, "c", "c1")
			r.add("p1", 9, "c", "c2")
			taken := r.take("a1", "b1", "c1")
			r.park(taken[1], time.Second)
			r.add("p0", 1, "d", "d1") // ready
			lose(r)
			a1, b1 := r.add("p0", 2, "a", "a1"), r.add("p0", 2, "b", "b1")
			r.add("p0", 2, "a", "a2")
			r.done(taken[0]) // stale: must not let a2 pass
			if r.park(taken[0], 0) {
				t.Error("a lost event was parked")
			}
			r.now = r.now.Add(time.Hour)
			again := r.take("a1", "b1")
			if again[0] != a1 || again[1] != b1 {
				t.Error("took an event of the lost channel")
			}
			r.done(again[0])
			r.take("a2")
			r.done(taken[2])
			r.take("c2")
		})
	}
}

func TestAPausedPartIsIdleWhenWhatIsTakenIsSettled(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.add("p0", 1, "a", "a1")
	r.add("p0", 1, "a", "a2")
	r.add("p0", 1, "b", "b1")
	r.add("p1", 2, "c", "c1")
	first := r.take("a1", "b1", "c1")
	idle := r.Pause("p0")
	r.done(first[0])
	r.take() // a2 is withheld
	select {
	case <-idle:
		t.Error("idle while b1 is taken")
	default:
	}
	r.park(first[1], time.Minute)
	<-idle
	r.Resume("p0")
	r.take("a2")
	<-r.Pause("nobody knows it")
}

func TestAPauseEndsWithTheChannel(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.add("p0", 1, "a", "a1")
	r.take("a1")
	idle := r.Pause("p0")
	r.Lost("p0", 1)
	<-idle
	r.add("p0", 2, "a", "a1")
	r.take("a1")
}

func TestLoadsSayWhatEachPartHolds(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.add("p0", 1, "a", "a1")
	r.now = noon.Add(time.Minute)
	r.add("p0", 1, "a", "a2")
	r.add("p0", 1, "b", "b1")
	taken := r.take("a1", "b1")
	r.park(taken[1], time.Hour)
	want := keys.Load{Part: "p0", Epoch: 1, Held: 3, Taken: 1, Parked: 1, Oldest: noon}
	if got := r.Loads(); len(got) != 1 || got[0] != want {
		t.Errorf("loads %+v, want %+v", got, want)
	}
	if at, ok := r.Taken(taken[0]); !ok || !at.Equal(noon) {
		t.Errorf("a1 is taken: %v since %v, want since noon", ok, at)
	}
	if _, ok := r.Taken(taken[1]); ok {
		t.Error("a parked event counts as taken")
	}
	r.done(taken[0])
	if got := r.Loads(); got[0].Held != 2 || !got[0].Oldest.Equal(noon.Add(time.Minute)) {
		t.Errorf("after a1 is settled the loads are %+v", got)
	}
}

// TestWhateverHappensAKeyStaysInOrder plays a broker with a few parts against a
// sequence: random arrivals, settlements, retries and losses.
func TestWhateverHappensAKeyStaysInOrder(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		r := newRig(t)
		random := rand.New(rand.NewPCG(seed, 1))
		const parts, keys = 3, 4
		settled := map[string]int{} // by part and key: how many are gone
		given := map[string]int{}   // in this epoch
		epoch := make([]uint64, parts)
		var taken []*delivery
		for range 400 {
			r.now = r.now.Add(time.Millisecond)
			q := random.IntN(parts)
			part, key := fmt.Sprint("p", q), fmt.Sprint("k", random.IntN(keys))
			switch action := random.IntN(10); {
			case action < 4: // the broker hands out the next of the key
				at := part + key
				n := max(given[at], settled[at])
				given[at] = n + 1
				r.add(part, epoch[q], key, fmt.Sprint(at, "/", n))
			case action < 7:
				if d, _ := r.next(); d != nil {
					taken = append(taken, d)
				}
			case action < 9 && len(taken) > 0:
				i := random.IntN(len(taken))
				d := taken[i]
				taken = append(taken[:i:i], taken[i+1:]...)
				if _, current := r.Taken(d); !current {
					r.done(d) // stale
					continue
				}
				at, n := split(t, d.id)
				if n != settled[at] {
					t.Fatalf("seed %d: event %s was taken when %d are settled", seed, d.id, settled[at])
				}
				if random.IntN(3) == 0 {
					r.park(d, time.Duration(random.IntN(5))*time.Millisecond)
					continue
				}
				settled[at]++
				r.done(d)
			case action == 9 && random.IntN(4) == 0: // all unsettled comes again, in order
				r.Lost(part, epoch[q])
				epoch[q]++
				for k := range keys {
					delete(given, fmt.Sprint(part, "k", k))
				}
			}
		}
	}
}

func split(t *testing.T, id string) (at string, n int) {
	t.Helper()
	if _, err := fmt.Sscanf(id[len(id)-lastPart(id):], "/%d", &n); err != nil {
		t.Fatal(err)
	}
	return id[:len(id)-lastPart(id)], n
}

func lastPart(id string) int {
	for i := len(id) - 1; i >= 0; i-- {
		if id[i] == '/' {
			return len(id) - i
		}
	}
	return 0
}

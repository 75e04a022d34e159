package brokertest

import (
	"errors"
	"slices"
	"strings"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
)

// letters of a subscription, as its operator reads them.
func (r *rig) letters() broker.Letters {
	l, _ := r.driver.(broker.Letters)
	return l
}

// read returns copies of all letters, and settles those that settle names.
func (r *rig) read(s *mesh.Subscription, settle ...string) []broker.Delivery {
	r.Helper()
	var out []broker.Delivery
	err := r.letters().ReadLetters(r.context(), s, broker.Reading{Most: 100}, func(d *broker.Delivery) (bool, error) {
		out = append(out, *d)
		if !slices.Contains(settle, d.MessageID()) {
			return false, nil
		}
		return true, d.Ack()
	})
	if err != nil {
		r.Fatalf("read letters: %v", err)
	}
	return out
}

func (r *rig) wantLetters(s *mesh.Subscription, ids ...string) []broker.Delivery {
	r.Helper()
	all := r.read(s)
	var got []string
	for i := range all {
		got = append(got, all[i].MessageID())
	}
	if !slices.Equal(got, ids) {
		r.Fatalf("letters %v, want %v", got, ids)
	}
	return all
}

// buriedOf declares a subscription of a topic and buries events there.
func (r *rig) buriedOf(orders *mesh.Destination, ids ...string) *mesh.Subscription {
	r.Helper()
	billing := r.subscription(orders, "billing")
	r.publish(orders, ids...)
	in := r.receive(billing, 1)
	for _, id := range ids {
		r.settle(in.want(id)[0], bury(billing))
	}
	in.end()
	return billing
}

// buried are dead letters.
var buried = []behaviour{
	{name: "what is buried is a letter by then, says why, and comes no more", needs: letters, run: func(r *rig) {
		orders := r.topic("orders")
		billing := r.subscription(orders, "billing")
		r.publish(orders, "1", "2")
		in := r.receive(billing, 1)
		d := in.want("1")[0]
		d.Attempt = 3
		r.settle(d, bury(billing))
		count, err := r.letters().CountLetters(r.context(), billing)
		if err != nil || count.Letters != 1 || count.Place == "" {
			r.Errorf("counted %+v, %v", count, err)
		}
		if gauge, ok := r.driver.(broker.Gauge); ok {
			if fill, err := gauge.Gauge(r.context(), count.Place); err != nil || fill.Messages != 1 || fill.Consumers != 0 {
				r.Errorf("the place has %+v, %v; want the letter", fill, err)
			}
			if _, err := gauge.Gauge(r.context(), count.Place+".missing"); broker.KindOf(err) != broker.NotFound {
				r.Errorf("a place that is missing: %v", err)
			}
		}
		letter := r.wantLetters(billing, "1")[0]
		if l := letter.DeadLetter; l.Reason != "rejected" || l.Detail != "no such order" || l.Subscription != billing.Name.String() || l.Attempts != 3 || l.Time.IsZero() || l.Origin != d.Origin {
			r.Errorf("the letter says %+v", l)
		}
		if string(letter.Raw) != "data of 1" || letter.Event.Type != d.Event.Type {
			r.Errorf("the letter is of %+v with %q", letter.Event, letter.Raw)
		}
		in.acked("2")
		in.empty()
	}},
	{name: "letters are read in order, and stay where they are", needs: letters, run: func(r *rig) {
		orders := r.topic("orders")
		billing := r.buriedOf(orders, numbered(20)...)
		r.wantLetters(billing, numbered(20)...)
		r.wantLetters(billing, numbered(20)...)
	}},
	{name: "a visitor's error ends the reading, and loses nothing", needs: letters, run: func(r *rig) {
		orders := r.topic("orders")
		billing := r.buriedOf(orders, "1", "2", "3")
		enough := errors.New("enough")
		seen := 0
		err := r.letters().ReadLetters(r.context(), billing, broker.Reading{Most: 10}, func(*broker.Delivery) (bool, error) {
			if seen++; seen == 2 {
				return false, enough
			}
			return false, nil
		})
		if !errors.Is(err, enough) || seen != 2 {
			r.Errorf("ended with %v after %d", err, seen)
		}
		r.wantLetters(billing, "1", "2", "3")
	}},
	{name: "a letter that is acknowledged is gone", needs: letters, run: func(r *rig) {
		orders := r.topic("orders")
		billing := r.buriedOf(orders, "1", "2", "3")
		r.read(billing, "2")
		r.wantLetters(billing, "1", "3")
	}},
	{name: "a letter is revived for its subscription alone, as a first attempt that may be a repeat", needs: letters, run: func(r *rig) {
		orders := r.topic("orders")
		other := r.receive(r.subscription(orders, "shipping"), 5)
		billing := r.buriedOf(orders, "1")
		other.acked("1")
		r.revive(billing, false)
		d := r.receive(billing, 5).want("1")[0]
		if d.Attempt != 1 || !d.Redelivered || d.DeadLetter != nil || !d.FirstFailure.IsZero() || string(d.Raw) != "data of 1" || d.Origin.Key != "a.key" {
			r.Errorf("revived it is %+v", d)
		}
		other.empty()
		r.wantLetters(billing, "1") // settled by nobody
	}},
	{name: "a letter is revived for its whole topic", needs: letters, run: func(r *rig) {
		orders := r.topic("orders")
		other := r.receive(r.subscription(orders, "shipping"), 5)
		billing := r.buriedOf(orders, "1")
		other.acked("1")
		r.revive(billing, true)
		r.receive(billing, 5).acked("1")
		other.acked("1")
	}},
	{name: "a message that is no event is a delivery of its own kind, and is buried and revived whole", needs: strange, run: func(r *rig) {
		orders := r.topic("orders")
		billing := r.subscription(orders, "billing")
		r.publish(orders, "before")
		r.harness.Strange(r.T, r.driver, orders, []byte("no event at all"))
		r.publish(orders, "after")
		in := r.receive(billing, 5)
		in.acked("before")
		d := in.next()
		if d.Event != nil || d.Malformed == nil || d.ID == "" || string(d.Raw) != "no event at all" {
			r.Fatalf("it is %+v", d)
		}
		r.settle(d, broker.Settlement{Subscription: billing, Bury: &broker.Bury{Reason: "invalid-event", Detail: d.Malformed.Error()}})
		in.acked("after") // its neighbour, by the same flow
		letter := r.wantLetters(billing, d.ID)[0]
		if letter.Event != nil || string(letter.Raw) != "no event at all" || letter.DeadLetter.Reason != "invalid-event" {
			r.Errorf("the letter is %+v", letter)
		}
		r.revive(billing, false)
		if again := in.want(d.ID)[0]; string(again.Raw) != "no event at all" || again.Malformed == nil {
			r.Errorf("revived it is %+v", again)
		}
	}},
	{name: "what is too large to be read is buried by the broker, whole", needs: watcher, run: func(r *rig) {
		orders := r.topic("orders")
		billing := r.subscription(orders, "billing")
		large := message(orders, "large")
		large.Event.Data = []byte(strings.Repeat("x", 400<<10))
		r.send(large)
		r.publish(orders, "after")
		in := r.receiveLimited(billing, 1)
		d := in.next()
		if d.Raw != nil || d.Event != nil || !d.LeftBehind || d.Size < 400<<10 || d.Malformed == nil {
			r.Fatalf("it is left behind: %v; size %d", d.LeftBehind, d.Size)
		}
		r.settle(d, broker.Settlement{Subscription: billing, Bury: &broker.Bury{Reason: "too-large"}})
		in.acked("after")
		r.eventually("the broker has buried it", func() bool {
			count, err := r.letters().CountLetters(r.context(), billing)
			return err == nil && count.Letters == 1
		})
		if l := r.wantLetters(billing, "large")[0]; len(l.Raw) < 400<<10 || l.DeadLetter.Reason != broker.ReasonSetAside {
			r.Errorf("the letter has %d bytes and says %+v", len(l.Raw), l.DeadLetter)
		}
	}},
	{name: "the broker keeps what it takes out of a subscription by itself", needs: watcher, run: func(r *rig) {
		orders := r.topic("orders")
		billing := r.subscription(orders, "billing")
		w, _ := r.driver.(broker.Watcher)
		if unkept := w.Unkept(billing); len(unkept) != 0 {
			r.Errorf("it keeps nothing of %q", unkept)
		}
		told := make(chan *broker.Delivery, 1)
		watching := make(chan error, 1)
		ctx := r.context()
		go func() {
			watching <- w.Watch(ctx, billing, func(d *broker.Delivery) {
				select {
				case told <- d:
				case <-ctx.Done():
				}
			})
		}()
		r.eventually("it is told", func() bool { // the watch may begin after the first has gone
			m := message(orders, "brief")
			m.TTL = 1e6
			r.send(m)
			select {
			case d := <-told:
				return d.MessageID() == "brief" && d.DeadLetter != nil && d.DeadLetter.Reason == broker.ReasonExpired
			case err := <-watching:
				r.Fatalf("Watch ended with %v", err)
			default:
			}
			return false
		})
	}},
}

// revive revives the only letter there is.
func (r *rig) revive(s *mesh.Subscription, toTopic bool) {
	r.Helper()
	err := r.letters().ReadLetters(r.context(), s, broker.Reading{Most: 1}, func(d *broker.Delivery) (bool, error) {
		return false, r.letters().ReviveLetter(r.context(), s, d, toTopic)
	})
	if err != nil {
		r.Fatalf("revive: %v", err)
	}
}

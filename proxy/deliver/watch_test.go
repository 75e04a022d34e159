package deliver_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/deliver"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/snapshot"
	"github.com/warrenmesh/warren/tracing"
)

// compiled are the subscriptions in force.
func (c *config) compiled() map[mesh.Name]*snapshot.Subscription {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.subs
}

// TestWhatAPolicyTakesIsReported has a policy in the form of a TTL that nobody published
// with.
func TestWhatAPolicyTakesIsReported(t *testing.T) {
	t.Parallel()
	for order, change := range map[string]func(*mesh.Subscription){"unordered": nil, "per key": perKey} {
		t.Run(order, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, change)
			logged := &lines{}
			service := deliver.New(deliver.Options{
				Namespace: "shop", Subscriptions: r.config, Brokers: only(r.driver), Tracing: tracing.Disabled().Messaging(),
				Logger: slog.New(slog.NewTextHandler(logged, nil)),
			})
			w := deliver.NewWatcher(service)
			w.Apply(r.config.compiled())
			defer w.Stop()
			taken := service.DeadLetters
			e := &event.Event{ID: "own", Source: "/shop", Type: "t"}
			// Its own life ends, which is nobody's policy.
			r.plainly(&queueing.Message{Event: e, TTL: time.Millisecond, Expires: time.Now().Add(time.Millisecond)})
			// A watch begins some time after it is asked for.
			r.publishUntil("taken", func() bool { return len(taken()) > 0 })
			got := taken()
			if len(got) != 1 || !got[0].ByBroker || got[0].Reason != broker.ReasonExpired || got[0].Subscription != billing || got[0].LastID != "taken" {
				t.Errorf("reported %+v", got)
			}
			if told := logged.about("a policy on the broker"); len(told) != 1 || !strings.Contains(told[0], "reason=expired") || !strings.Contains(told[0], "shop/billing") {
				t.Errorf("logged %q", told)
			}
			for _, l := range r.letters(2) {
				if !strings.HasSuffix(l, " expired") {
					t.Errorf("dead letter %s", l)
				}
			}
		})
	}
}

// publishUntil publishes one event after the other that the broker soon takes out of the
// queue though they should live for an hour.
func (r *rig) publishUntil(id string, done func() bool) {
	r.t.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for deadline := time.After(20 * time.Second); !done(); {
		r.plainly(&queueing.Message{Event: &event.Event{ID: id, Source: "/shop", Type: "t"}, TTL: time.Millisecond, Expires: time.Now().Add(time.Hour)})
		select {
		case <-again.C:
		case <-deadline:
			r.t.Fatal("it is never reported")
		}
	}
}

// unwatchable is a driver that may not watch.
type unwatchable struct{ rejecting }

func (unwatchable) Watch(context.Context, string, func(*queueing.Delivery)) error {
	return &broker.Error{Kind: broker.Refused, Op: "watch", Err: errors.New("no")}
}

func TestAWatchThatIsRefusedIsLoggedOnceAndEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	logged := &lines{}
	service := deliver.New(deliver.Options{
		Namespace: "shop", Subscriptions: r.config, Brokers: only(unwatchable{rejecting{r.driver}}), Tracing: tracing.Disabled().Messaging(),
		Logger: slog.New(slog.NewTextHandler(logged, nil)),
	})
	w := deliver.NewWatcher(service)
	w.Apply(r.config.compiled())
	eventually(t, "it is logged", func() bool { return len(logged.about("cannot be watched")) == 1 })
	w.Apply(nil)
	within(t, "Stop", w.Stop)
	w.Apply(r.config.compiled()) // without effect
	within(t, "Stop", w.Stop)
}

func TestEventsOfATopicThatASubscriptionHasLeftKeepItsName(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.publish("old")
	moved := subscription()
	moved.Topic.Name, moved.Exchange.Name = "returns", "returns"
	r.ensure(&moved)
	r.config.set(moved)
	r.send(&queueing.Message{Exchange: "returns", Event: &event.Event{ID: "new", Source: "/shop", Type: "t"}, Mandatory: true})
	r.send(&queueing.Message{RoutingKey: "shop.billing", Event: &event.Event{ID: "straight", Source: "/shop", Type: "t"}, Mandatory: true})
	s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 5})
	for _, want := range [][2]string{{"old", "shop/orders"}, {"new", "shop/returns"}, {"straight", "shop/returns"}} {
		d := s.delivery()
		if d.GetEvent().GetId() != want[0] || d.GetTopic() != want[1] {
			t.Errorf("delivered %s of topic %s, want %s of %s", d.GetEvent().GetId(), d.GetTopic(), want[0], want[1])
		}
		s.ack(d)
	}
}

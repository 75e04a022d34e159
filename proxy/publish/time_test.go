package publish_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/door/rpcerr"
	"github.com/warrenmesh/warren/proxy/publish"
	"github.com/warrenmesh/warren/proxy/refusal"
	"github.com/warrenmesh/warren/proxy/route"
	"github.com/warrenmesh/warren/tracing"
)

// clock is set by hand.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time { return time.Unix(1_700_000_000, c.offset.Load()) }

func (c *clock) advance(d time.Duration) { c.offset.Add(int64(d)) }

// expiring is an event that expires d after the clock's beginning.
func expiring(d time.Duration) *eventsv1.CloudEvent {
	e := event()
	e.Attributes = map[string]*eventsv1.CloudEvent_CloudEventAttributeValue{"expirytime": {
		Attr: &eventsv1.CloudEvent_CloudEventAttributeValue_CeTimestamp{CeTimestamp: timestamppb.New(time.Unix(1_700_000_000, 0).Add(d))},
	}}
	return e
}

// late has topics that were never used before and take a minute to come.
type late struct {
	topics
	clock *clock
}

func (l late) Lookup(mesh.Name) (*route.Topic, bool) { return nil, false }

func (l late) Await(ctx context.Context, name mesh.Name) (*route.Topic, error) {
	l.clock.advance(time.Minute)
	return l.topics.Await(ctx, name)
}

func TestAnEventThatExpiresOnItsWayIsNotSent(t *testing.T) {
	t.Parallel()
	t.Run("while its topic is waited for", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, nil)
		c := &clock{}
		s := enter(publish.Options{
			Namespace: "shop", Topics: late{r.topics, c}, Brokers: one{r.driver}, Tracing: tracing.Disabled().Messaging(), Now: c.now,
		})
		_, err := s.Publish(t.Context(), &eventsv1.PublishRequest{Topic: "orders", Event: expiring(30 * time.Second)})
		check(t, err, verdict{code: codes.InvalidArgument, reason: refusal.EventExpired, outcome: "not_sent", field: "event.expirytime"})
		if n := len(r.broker.Peek("q", 1)); n != 0 {
			t.Error("it was sent, to stay for ever")
		}
	})
	t.Run("between two tries", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, nil)
		c := &clock{}
		s := enter(publish.Options{
			Namespace: "shop", Topics: r.topics, Brokers: one{slowly{&flaky{r.driver, 1}, c}}, Tracing: tracing.Disabled().Messaging(), Now: c.now,
		})
		_, err := s.Publish(t.Context(), &eventsv1.PublishRequest{Topic: "orders", Event: expiring(30 * time.Second)})
		check(t, err, verdict{code: codes.Unavailable, reason: refusal.BrokerUnavailable, outcome: "not_sent"})
	})
	t.Run("but a repeat in time lives only as long as is left", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, nil)
		c := &clock{}
		s := enter(publish.Options{
			Namespace: "shop", Topics: r.topics, Brokers: one{slowly{&flaky{r.driver, 1}, c}}, Tracing: tracing.Disabled().Messaging(), Now: c.now,
		})
		if _, err := s.Publish(t.Context(), &eventsv1.PublishRequest{Topic: "orders", Event: expiring(3 * time.Minute)}); err != nil {
			t.Fatal(err)
		}
		if m := r.broker.Peek("q", 1); len(m) != 1 || m[0].TTL != 2*time.Minute {
			t.Errorf("queued %+v, want one with two minutes to live", m)
		}
	})
}

// slowly takes a minute to write.
type slowly struct {
	broker.Driver
	clock *clock
}

func (s slowly) Publish(ctx context.Context, batch []*broker.Message, told broker.Told) {
	s.Driver.Publish(ctx, batch, func(from, to int, err error) {
		s.clock.advance(time.Minute)
		told(from, to, err)
	})
}

func TestACallersDeadlineIsKept(t *testing.T) {
	t.Parallel()
	for name, timeout := range map[string]time.Duration{"past": -time.Hour, "tiny": time.Microsecond, "short": 50 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil)
			defer r.broker.HoldConfirms()()
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			defer cancel()
			_, err := r.Publish(ctx, &eventsv1.PublishRequest{Topic: "orders", Event: event()})
			if err == nil {
				t.Fatal("published without a confirm")
			}
			want := "not_sent"
			if len(r.broker.Peek("q", 1)) > 0 {
				want = "unknown"
			}
			if got := rpcerr.Metadata(err, "outcome"); got != want {
				t.Errorf("outcome %q, want %q: %v", got, want, err)
			}
		})
	}
	t.Run("and that of the route", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, func(rule *mesh.Rule) { rule.Timeout = 20 * time.Millisecond })
		defer r.broker.HoldConfirms()()
		_, err := r.send(t, event())
		check(t, err, verdict{code: codes.DeadlineExceeded, reason: refusal.DeadlineNear, outcome: "unknown"})
	})
}

func TestAMessageSaysWhenItsLifeEnds(t *testing.T) {
	t.Parallel()
	c := &clock{}
	for name, tc := range map[string]struct {
		ttl, expiry, want time.Duration
	}{
		"the topic's ttl":                      {ttl: time.Minute, want: time.Minute},
		"the event's expirytime":               {expiry: time.Hour, want: time.Hour},
		"the ttl, which ends before the event": {ttl: time.Minute, expiry: time.Hour, want: time.Minute},
		"the expirytime, which comes before":   {ttl: time.Hour, expiry: time.Minute, want: time.Minute},
		"never":                                {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(r *mesh.Rule) { r.Backends[0].Destination.TTL = tc.ttl })
			s := enter(publish.Options{Namespace: "shop", Topics: r.topics, Brokers: one{r.driver}, Tracing: tracing.Disabled().Messaging(), Now: c.now})
			e := event()
			if tc.expiry > 0 {
				e = expiring(tc.expiry)
			}
			if _, err := s.Publish(t.Context(), &eventsv1.PublishRequest{Topic: "orders", Event: e}); err != nil {
				t.Fatal(err)
			}
			m := r.broker.Peek("q", 1)[0]
			var left time.Duration
			if !m.Expires.IsZero() {
				left = m.Expires.Sub(c.now())
			}
			if m.TTL != tc.want || left != tc.want {
				t.Errorf("it lives for %v on the broker and %v in all, want %v", m.TTL, left, tc.want)
			}
		})
	}
}

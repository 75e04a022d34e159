package deliver_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/membroker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/deliver"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/tracing"
)

// plainly publishes m to the topic, to no partition.
func (r *rig) plainly(m *queueing.Message) {
	r.t.Helper()
	m.Exchange, m.RoutingKey, m.Mandatory = "orders", m.Event.Type, true
	r.send(m)
}

// lifetime is that of events that expire before their second attempt, and not before
// their first one on a busy machine.
const lifetime = 2 * time.Second

// brief is an event whose expirytime is soon.
func brief(id, key string, d time.Duration) *event.Event {
	e := &event.Event{ID: id, Source: "/shop", Type: "com.shop.order.placed"}
	e.Set(event.AttrExpiryTime, event.Timestamp(time.Now().Add(d)))
	if key != "" {
		e.Set(event.AttrPartitionKey, event.String(key))
	}
	return e
}

func TestWhatExpiresIsADeadLetterAndNotHandedOutAgain(t *testing.T) {
	t.Parallel()
	rooms := func(s *mesh.Subscription) {
		s.Backoff = mesh.Backoff{Base: lifetime + lifetime/4, Max: lifetime + lifetime/4}
	}
	plain := func() *event.Event { return &event.Event{ID: "1", Source: "/shop", Type: "t"} }
	for name, message := range map[string]func() *queueing.Message{
		"by its expirytime": func() *queueing.Message { return &queueing.Message{Event: brief("1", "", lifetime)} },
		"by the topic's ttl": func() *queueing.Message {
			return &queueing.Message{Event: plain(), TTL: lifetime, Expires: time.Now().Add(lifetime)}
		},
		"by an expiration of plain producers": func() *queueing.Message { return &queueing.Message{Event: plain(), TTL: lifetime} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, rooms)
			s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 5})
			r.plainly(message())
			s.retry(s.delivery())
			dl := r.letter()
			if dl.DeadLetter.Reason != broker.ReasonExpired || dl.DeadLetter.Attempts != 1 {
				t.Errorf("dead letter %+v", dl.DeadLetter)
			}
			r.publish("2")
			if d := s.delivery(); d.GetEvent().GetId() != "2" {
				t.Errorf("then came %v", d)
			}
		})
	}
	t.Run("though the service holds it", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, nil)
		s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 5})
		e := brief("1", "", 50*time.Millisecond)
		r.put(e)
		d := s.delivery()
		expiry, _ := e.Lookup(event.AttrExpiryTime)
		eventually(t, "it has expired", func() bool { return time.Now().After(expiry.Time()) })
		s.retry(d)
		if dl := r.letter().DeadLetter; dl.Reason != broker.ReasonExpired || dl.Attempts != 1 {
			t.Errorf("dead letter %+v", dl)
		}
	})
	t.Run("while it waits for credit", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, nil)
		s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 1})
		r.publish("0")
		held := s.delivery()
		e := brief("1", "", 50*time.Millisecond)
		r.put(e)
		expiry, _ := e.Lookup(event.AttrExpiryTime)
		eventually(t, "it has expired", func() bool { return time.Now().After(expiry.Time()) })
		s.credit(1)
		if dl := r.letter().DeadLetter; dl.Reason != broker.ReasonExpired || dl.Attempts != 0 {
			t.Errorf("dead letter %+v", dl)
		}
		s.ack(held)
		r.empty("shop.billing")
	})
}

func TestTheKeyOfWhatExpiresGoesOn(t *testing.T) {
	t.Parallel()
	for policy, want := range map[mesh.KeyPolicy]string{mesh.Continue: "k1 expired", mesh.Hold: "k1 expired,k2 key-held"} {
		t.Run(policy.String(), func(t *testing.T) {
			t.Parallel()
			r := orderedRig(t, func(s *mesh.Subscription) {
				s.KeyPolicy = policy
				s.Backoff = mesh.Backoff{Base: time.Minute, Max: time.Minute}
				s.MaxElapsed = 5 * time.Minute
			})
			r.send(&queueing.Message{Exchange: "orders", Event: brief("k1", "a", lifetime), Partitioned: true, Partition: 'a' % partitionCount})
			r.keyed("a", "k2")
			s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 5})
			if d := s.delivery(); d.GetEvent().GetId() != "k1" {
				t.Fatalf("first came %v", d)
			} else {
				s.retry(d)
			}
			if policy == mesh.Continue {
				if d := s.delivery(); d.GetEvent().GetId() != "k2" || d.GetAttempt() != 1 {
					t.Errorf("then came %v", d)
				}
			}
			if got := strings.Join(r.letters(strings.Count(want, ",")+1), ","); got != want {
				t.Errorf("dead letters %q, want %q", got, want)
			}
		})
	}
}

// narrow is a rig on a node that takes copies of 1,000 bytes; backed says whether the
// subscription's queue has a dead-letter queue of its own.
func narrow(t *testing.T, backed bool, change func(*mesh.Subscription)) *rig {
	t.Helper()
	r := newRig(t, change)
	node := r.broker.Node(membroker.NodeOptions{MaxCopyBytes: 1000})
	run(t, node.Run)
	if err := node.EnsureTopology(t.Context(), queueing.Topology{Policy: mesh.Manage}); err != nil { // which waits until it is up
		t.Fatal(err)
	}
	r.driver = &backing{Driver: node, backed: backed}
	return r
}

// backing is a driver that says whether queues are backed.
type backing struct {
	queueing.Driver
	backed bool
}

func (b *backing) Backed(string) bool { return b.backed }

// with serves r's subscription by its present driver.
func (r *rig) with(use func(*stream)) {
	r.t.Helper()
	service := deliver.New(deliver.Options{
		Namespace: "shop", Subscriptions: r.config, Brokers: only(r.driver), Tracing: tracing.Disabled().Messaging(), Logger: slog.New(slog.DiscardHandler),
	})
	serve(r.t, service, func(c eventsv1.EventServiceClient) {
		use((&rig{t: r.t, client: c}).subscribe(&eventsv1.SubscribeInit{InitialCredit: 5}))
	})
}

func TestWhatIsTooLargeForACopyLeavesByADoor(t *testing.T) {
	t.Parallel()
	wide := []broker.Header{{Name: "blob", Value: strings.Repeat("a", 2000)}}
	small := func() *event.Event { return &event.Event{ID: "1", Source: "/shop", Type: "t", Data: []byte("{}")} }
	large := func() *event.Event {
		return &event.Event{ID: "1", Source: "/shop", Type: "t", Data: bytes.Repeat([]byte("a"), 2000)}
	}
	outcomes := map[string]eventsv1.Outcome{"retry": eventsv1.Outcome_OUTCOME_RETRY, "dead letter": eventsv1.Outcome_OUTCOME_DEAD_LETTER}
	for _, tc := range []struct {
		name, reason string
		backed       bool
		message      *queueing.Message
		cut          string
		data         int
	}{
		{name: "a backed queue keeps it whole", backed: true, message: &queueing.Message{Event: small(), Headers: wide}, reason: broker.ReasonSetAside, data: 2},
		{name: "a backed queue keeps all its data", backed: true, message: &queueing.Message{Event: large()}, reason: broker.ReasonSetAside, data: 2000},
		{name: "without it, headers are cut", message: &queueing.Message{Event: small(), Headers: wide}, cut: "1 headers", data: 2},
		{name: "without it, a stub is left", message: &queueing.Message{Event: large()}, cut: "everything but id, source and type, with 2000 bytes of data"},
	} {
		for how, outcome := range outcomes {
			for order, change := range map[string]func(*mesh.Subscription){"unordered": nil, "per key": perKey} {
				t.Run(fmt.Sprintf("%s, %s, %s", tc.name, how, order), func(t *testing.T) {
					t.Parallel()
					r := narrow(t, tc.backed, change)
					m := *tc.message
					r.plainly(&m)
					r.with(func(s *stream) {
						attempts := uint32(0)
						for {
							d := s.delivery()
							attempts++
							s.settle(&eventsv1.Settlement{Token: d.GetToken(), Outcome: outcome})
							if d.GetAttempt() != attempts || attempts > 3 {
								t.Fatalf("attempt %d came as the %d-th", d.GetAttempt(), attempts)
							}
							if outcome != eventsv1.Outcome_OUTCOME_RETRY || order == "unordered" || attempts == 3 {
								break
							}
						}
						dl := r.letter()
						if tc.backed && (dl.DeadLetter.Reason != tc.reason || len(dl.Headers) != len(m.Headers) || dl.DeadLetter.Cut != "") {
							t.Errorf("dead letter %+v with headers %v", dl.DeadLetter, dl.Headers)
						}
						if !strings.HasPrefix(dl.DeadLetter.Cut, tc.cut) || (dl.DeadLetter.Cut == "") != (tc.cut == "") {
							t.Errorf("cut is %q, want %q", dl.DeadLetter.Cut, tc.cut)
						}
						if dl.Event.ID != "1" || len(dl.Event.Data) != tc.data {
							t.Errorf("event %s with %d bytes", dl.Event.ID, len(dl.Event.Data))
						}
						r.publish("2")
						if d := s.delivery(); d.GetEvent().GetId() != "2" {
							t.Errorf("then came %v", d)
						}
					})
				})
			}
		}
	}
}

func TestWhatIsLargerThanTheTopicTakesIsSetAsideOnArrival(t *testing.T) {
	t.Parallel()
	for order, change := range map[string]func(*mesh.Subscription){"unordered": nil, "per key": perKey} {
		t.Run(order, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(s *mesh.Subscription) {
				s.Queue.PrefetchBytes, s.Queue.MaxEventBytes = 1<<20, 1000
				if change != nil {
					change(s)
				}
			})
			r.put(&event.Event{ID: "huge", Source: "/shop", Type: "t", Data: make([]byte, 200<<10)})
			r.put(&event.Event{ID: "larger", Source: "/shop", Type: "t", Data: make([]byte, 100<<10)}) // by a plain producer, and taken
			s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 5})
			if d := s.delivery(); d.GetEvent().GetId() != "larger" {
				t.Errorf("delivered %v", d.GetEvent().GetId())
			}
			if dl := r.letter(); dl.Event.ID != "huge" || len(dl.Event.Data) != 200<<10 || dl.DeadLetter.Reason != broker.ReasonSetAside {
				t.Errorf("dead letter %+v of %s", dl.DeadLetter, dl.Event.ID)
			}
			counts := r.service.DeadLetters()
			if len(counts) != 1 || counts[0].Reason != "too-large" || counts[0].Count != 1 || !strings.HasPrefix(counts[0].LastID, "malformed-") {
				t.Errorf("counted %+v", counts)
			}
		})
	}
}

func TestCopiesKeepWhatTheMappingDoesNotKnow(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(s *mesh.Subscription) { s.Backoff = mesh.Backoff{Base: time.Millisecond, Max: time.Millisecond} })
	r.plainly(&queueing.Message{
		Event: &event.Event{ID: "1", Source: "/shop", Type: "t"}, Priority: 7, ReplyTo: "rpc.q", ContentEncoding: "gzip",
		Headers: []broker.Header{{Name: "tenant", Value: "acme"}, {Name: "depth", Value: []any{int64(1), "x"}}},
	})
	s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 5})
	for range 3 {
		s.retry(s.delivery())
	}
	m := r.letter()
	if m.Priority != 7 || m.ReplyTo != "rpc.q" || m.ContentEncoding != "gzip" || len(m.Headers) != 2 || m.Headers[0].Value != "acme" || m.DeadLetter.Attempts != 3 {
		t.Errorf("the dead letter is %+v", m)
	}
}

// TestEqualMessagesShareNoAttempts has a service that loses six messages without an
// identity of their own, once.
func TestEqualMessagesShareNoAttempts(t *testing.T) {
	t.Parallel()
	for order, change := range map[string]func(*mesh.Subscription){"unordered": nil, "per key": perKey} {
		t.Run(order, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, change)
			queue := map[string]string{"unordered": "shop.billing", "per key": "shop.billing.p0"}[order]
			for range 6 {
				r.put(&event.Event{ID: "tick", Source: "/shop", Type: "tick", Data: []byte("{}")})
			}
			s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 9})
			for range 6 {
				s.delivery()
			}
			s.cancel()
			eventually(t, "all are back", func() bool { ready, unsettled := r.broker.Len(queue); return ready == 6 && unsettled == 0 })
			s = r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 9})
			for range 6 {
				d := s.delivery()
				if d.GetAttempt() != 2 {
					t.Errorf("attempt %d, want the second", d.GetAttempt())
				}
				s.ack(d)
			}
			r.empty(queue)
			if ready, _ := r.broker.Len("shop.billing.dead"); ready != 0 {
				t.Errorf("%d dead letters: %v", ready, r.letters(ready))
			}
		})
	}
}

// lines gathers what is logged.
type lines struct {
	mu  sync.Mutex
	all []string // guarded by mu
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, string(b))
	return len(b), nil
}

func (l *lines) about(message string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(l.all), func(line string) bool { return !strings.Contains(line, message) })
}

func TestDeadLettersAreCountedEachAndLoggedOnceAReason(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	for n := range 20 {
		r.publish(fmt.Sprint(n))
	}
	logged := &lines{}
	service := deliver.New(deliver.Options{
		Namespace: "shop", Subscriptions: r.config, Brokers: only(rejecting{r.driver}), Tracing: tracing.Disabled().Messaging(),
		Logger: slog.New(slog.NewTextHandler(logged, nil)),
	})
	serve(t, service, func(c eventsv1.EventServiceClient) {
		(&rig{t: t, client: c}).subscribe(&eventsv1.SubscribeInit{InitialCredit: 5})
		r.letters(20)
		eventually(t, "all are counted", func() bool { c := service.DeadLetters(); return len(c) == 1 && c[0].Count == 20 })
		if c := service.DeadLetters()[0]; c.Subscription != billing || c.Reason != "invalid-event" || c.LastID != "malformed-19" || c.ByBroker || c.Last.IsZero() {
			t.Errorf("counted %+v", c)
		}
		if got := logged.about("dead letters"); len(got) != 1 || !strings.Contains(got[0], "count=1 ") || !strings.Contains(got[0], "event_id=malformed-0") {
			t.Errorf("logged %q", got)
		}
	})
}

// rejecting is a driver that takes no message for an event.
type rejecting struct{ queueing.Driver }

func (b rejecting) Consume(ctx context.Context, opts queueing.ConsumeOptions, sink func([]*queueing.Delivery)) (func(), error) {
	return b.Driver.Consume(ctx, opts, func(batch []*queueing.Delivery) {
		for _, d := range batch {
			d.ID, d.Event, d.Malformed = "malformed-"+d.Event.ID, nil, errors.New("it has no type")
		}
		sink(batch)
	})
}

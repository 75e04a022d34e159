package e2e

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/test/internal/product"
	"github.com/warrenmesh/warren/test/internal/rawamqp"
)

// Each case is the smallest input for which Warren once did the wrong thing, or a close
// relative of one. Users of similar systems reported the same kinds of errors.
var cases = []struct {
	name string
	run  func(r *rig)
}{
	{"01 a header that no library reads costs its message alone, on a quorum queue", func(r *rig) { r.headerCostsItself("quorum") }},
	{"01 a header that no library reads costs its message alone, on a classic queue", func(r *rig) { r.headerCostsItself("classic") }},
	{"02 an event whose expirytime passes in a retry is handed out no more", func(r *rig) { r.expiresInRetry(false, false) }},
	{"02 an event of a key whose expirytime passes in a retry lets its key go on", func(r *rig) { r.expiresInRetry(true, false) }},
	{"12 a topic's ttl goes on over a retry", func(r *rig) { r.expiresInRetry(false, true) }},
	{"12 a topic's ttl goes on over the retry of a key", func(r *rig) { r.expiresInRetry(true, true) }},
	{"12 what waited longer than its topic's ttl is a dead letter", (*rig).expiresInQueue},
	{"03 what Publish took can be a dead letter", (*rig).acceptedIsDeadLettered},
	{"03 what a plain producer sent can be a dead letter, however large", (*rig).largeIsDeadLettered},
	{"04 content-type decides the mode, whatever the headers say", (*rig).contentTypeDecides},
	{"06 ids of what is no event are of one message each", (*rig).idsAreOfOneMessage},
	{"07 messages with one id share no count of attempts", (*rig).attemptsAreOfOneMessage},
	{"08 a moved subscription calls no event by the new topic's name", (*rig).movedTopic},
	{"10 a queue name that leaves no room for its delay queues is refused", (*rig).longQueueName},
	{"14 what the broker refuses was not sent", (*rig).refusedIsNotSent},
}

func TestCases(t *testing.T) {
	t.Parallel()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(newRig(t))
		})
	}
}

// raw publishes a message byte by byte.
func (r *rig) raw(topic string, m rawamqp.Message) {
	r.Helper()
	conn, err := rawamqp.Dial(r.Context(), os.Getenv("AMQP_URL"))
	if err != nil {
		r.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Publish(r.name(topic), "k", m); err != nil {
		r.Fatalf("publish to %s: %v", topic, err)
	}
}

// letters reads the dead letters of a subscription. They stay in their queue.
func (r *rig) letters(subscription string) []rawamqp.Got {
	r.Helper()
	got, err := rawamqp.Take(r.Context(), os.Getenv("AMQP_URL"), r.name(subscription)+".dead", rawamqp.Keep)
	if err != nil {
		r.Fatal(err)
	}
	return got
}

// awaitDead waits until a subscription has n dead letters, and returns them.
func (r *rig) awaitDead(subscription string, n int) (got []rawamqp.Got) {
	r.Helper()
	product.Eventually(r, fmt.Sprintf("%s has %d dead letters", subscription, n), func() error {
		if got = r.letters(subscription); len(got) != n {
			return fmt.Errorf("it has %d", len(got))
		}
		return nil
	})
	return got
}

// why is the reason of a dead letter, as Warren or the broker recorded it.
func why(m *rawamqp.Got) string {
	if reason, ok := m.Header("warren-dead-letter-reason"); ok {
		return reason.Text()
	}
	deaths, _ := m.Header("x-death")
	for _, death := range deaths.Items() {
		p := rawamqp.Properties{Headers: death.Fields()}
		queue, _ := p.Header("queue")
		reason, _ := p.Header("reason")
		if !strings.Contains(queue.Text(), ".retry.") {
			return reason.Text()
		}
	}
	return ""
}

// watcher records deliveries in their order and settles each at once.
type watcher struct {
	rig *rig
	mu  sync.Mutex
	got []*eventsv1.Delivery
}

// watch settles the deliveries of a subscription until the test ends. It opens a new
// stream when one ends.
func (s *service) watch(subscription string, outcome func(d *eventsv1.Delivery) eventsv1.Outcome) *watcher {
	s.rig.Helper()
	w := &watcher{rig: s.rig}
	first := s.subscribe(subscription)
	ctx, cancel := context.WithCancel(s.rig.Context())
	var watching sync.WaitGroup
	watching.Go(func() {
		w.settle(first, outcome)
		for ctx.Err() == nil {
			if in, err := s.Subscribe(ctx); err == nil {
				// Recv returns the error of Send.
				_ = in.Send(&eventsv1.SubscribeRequest{Request: &eventsv1.SubscribeRequest_Init{Init: &eventsv1.SubscribeInit{Subscription: subscription, InitialCredit: 1 << 20}}})
				w.settle(in, outcome)
			}
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	s.rig.Cleanup(func() {
		cancel()
		first.close()
		watching.Wait()
	})
	return w
}

// settle settles the deliveries of one stream until it ends.
func (w *watcher) settle(in eventsv1.EventService_SubscribeClient, outcome func(d *eventsv1.Delivery) eventsv1.Outcome) {
	for {
		res, err := in.Recv()
		if err != nil {
			return
		}
		var settle eventsv1.SubscribeSettle
		for _, d := range res.GetDeliveries().GetDeliveries() {
			w.mu.Lock()
			w.got = append(w.got, d)
			w.mu.Unlock()
			settle.Settlements = append(settle.Settlements, &eventsv1.Settlement{Token: d.GetToken(), Outcome: outcome(d), Reason: "case"})
		}
		if len(settle.Settlements) > 0 {
			_ = in.Send(&eventsv1.SubscribeRequest{Request: &eventsv1.SubscribeRequest_Settle{Settle: &settle}}) // Recv returns its error
		}
	}
}

func always(o eventsv1.Outcome) func(*eventsv1.Delivery) eventsv1.Outcome {
	return func(*eventsv1.Delivery) eventsv1.Outcome { return o }
}

const (
	ack   = eventsv1.Outcome_OUTCOME_ACK
	retry = eventsv1.Outcome_OUTCOME_RETRY
	dead  = eventsv1.Outcome_OUTCOME_DEAD_LETTER
)

// ids lists the ids of the delivered events, in order.
func (w *watcher) ids() (ids []string) {
	for _, d := range w.deliveries() {
		ids = append(ids, d.GetEvent().GetId())
	}
	return ids
}

func (w *watcher) deliveries() []*eventsv1.Delivery {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.got)
}

// await waits until an event with each id was delivered.
func (w *watcher) await(ids ...string) {
	w.rig.Helper()
	for _, id := range ids {
		product.Eventually(w.rig, "event "+id+" comes", func() error {
			if got := w.ids(); !slices.Contains(got, id) {
				return fmt.Errorf("%q came", got)
			}
			return nil
		})
	}
}

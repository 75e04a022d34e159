package event

import (
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/test/faults/check"
	"github.com/warrenmesh/warren/test/faults/history"
	"github.com/warrenmesh/warren/test/faults/load"
	"github.com/warrenmesh/warren/test/faults/rig"
)

var lifeRows = []rig.Scenario{
	{
		Row: 43, Name: "expiry-in-retry", Fault: "Events expire by their expirytime or by their topic's ttl while they are retried, ordered and unordered",
		Holds: "each event is a dead letter with the reason expired; services receive it three times at most and never later than 1 s after it expired; the next event of its key follows",
		Nodes: 1, Short: true, Patience: 4 * time.Minute, Run: expiryInRetry,
	},
}

const (
	briefType     = "faults.brief" // type of the events that the services always ask to retry
	briefAttempts = 3
)

// lives holds the ends of the events' lives, by event id.
type lives struct {
	mu   sync.Mutex
	ends map[string]time.Duration // in the recorder's time
}

// shorten makes every fourth event expire soon: by its own expirytime, or with ttl by
// the TTL of its topic.
func (l *lives) shorten(w *rig.World, ttl bool) func(*eventsv1.CloudEvent) {
	n := 0
	return func(e *eventsv1.CloudEvent) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if _, again := l.ends[e.GetId()]; !again {
			if n++; n%4 != 0 {
				return
			}
		}
		e.Type = briefType
		l.ends[e.GetId()] = w.Recorder.Now() + rig.BriefLife
		if !ttl {
			e.Attributes["expirytime"] = &eventsv1.CloudEvent_CloudEventAttributeValue{
				Attr: &eventsv1.CloudEvent_CloudEventAttributeValue_CeTimestamp{CeTimestamp: timestamppb.New(time.Now().Add(rig.BriefLife))},
			}
		}
	}
}

// expiryInRetry: an event that expires becomes a dead letter with that reason. It is
// not delivered any more, and the next events of its key continue.
func expiryInRetry(w *rig.World) check.Expect {
	l := lives{ends: map[string]time.Duration{}}
	w.Start(rig.Setup{
		Declared: rig.Declared{Brief: true, Retry: fmt.Sprintf("attempts: %d, backoff: {baseInterval: 400ms, maxInterval: 400ms}", briefAttempts)},
		Load: func(m *rig.Mix) {
			m.Rate = 20
			m.Behave = func(string, int) func(*load.Subscriber) {
				return func(s *load.Subscriber) {
					s.Decide = func(d *eventsv1.Delivery) load.Decision {
						if d.GetEvent().GetType() == briefType {
							return load.Decision{Outcome: history.Retry, Reason: "not yet"}
						}
						return load.Decision{Outcome: history.Ack}
					}
				}
			}
		},
	})
	from := w.Recorder.Now()
	var ended sync.WaitGroup
	d := w.Disturb("brief events", func() string {
		for i, topic := range []string{rig.Orders, rig.Orders, rig.Passing, rig.Passing} {
			p := w.Publisher(rig.Standard(), fmt.Sprintf("brief%d", i), 1)
			p.Topic, p.Change, p.Count, p.Rate = topic, l.shorten(w, topic == rig.Passing), w.Often(60, 24), 6
			ended.Go(func() { p.Unary(w.Context(), nil) })
		}
		ended.Wait()
		l.mu.Lock()
		defer l.mu.Unlock()
		return fmt.Sprintf("%d events live %v, less than their retries take", len(l.ends), rig.BriefLife)
	})
	d.Heal(nil)
	w.Keep(2 * time.Second)
	w.Flowed(from, w.Recorder.Now(), 5*time.Second)
	w.AwaitOK(100)
	w.Finish()
	w.Drained()
	checkLives(w, &l)
	e := w.Expect()
	// A neighbour may expire too, while it waits for its key's turn.
	e.Reasons = []string{"expired"}
	return e
}

// checkLives checks that brief events were delivered only before they expired, and
// became dead letters for that reason.
func checkLives(w *rig.World, l *lives) {
	w.Helper()
	const late = time.Second
	run := w.Recorder.Run()
	ok := map[string]history.Publish{}
	for _, p := range run.Publishes {
		if _, brief := l.ends[p.ID]; brief && p.Result == history.OK {
			ok[p.ID] = p
			l.ends[p.ID] = max(l.ends[p.ID], p.End+rig.BriefLife) // a topic's TTL begins in the queue
		}
	}
	copies := map[string]int{}
	for _, d := range run.Deliveries {
		end, brief := l.ends[d.ID]
		if !brief {
			continue
		}
		if d.At > end+w.Slowly(late) {
			w.Errorf("%s was delivered to %s %v after it expired", d.ID, d.Subscription, (d.At - end).Round(time.Millisecond))
		}
		if copies[d.Subscription+" "+d.ID]++; copies[d.Subscription+" "+d.ID] > briefAttempts || d.Attempt > briefAttempts {
			w.Errorf("%s was delivered to %s %d times, as attempt %d", d.ID, d.Subscription, copies[d.Subscription+" "+d.ID], d.Attempt)
		}
	}
	dead := map[string]string{}
	for _, d := range run.DeadLetters {
		dead[d.Subscription+" "+d.ID] = d.Reason
	}
	kept := 0
	for id, p := range ok {
		for _, s := range w.Declared.Subscriptions() {
			if rig.TopicOf(s) != p.Topic {
				continue
			}
			if reason := dead[w.Namespace+"/"+s+" "+id]; reason != "expired" {
				w.Errorf("%s of %s should be a dead letter because it expired; its reason is %q", id, s, reason)
			} else {
				kept++
			}
		}
	}
	w.Logf("%d brief events left as dead letters that say expired", kept)
}

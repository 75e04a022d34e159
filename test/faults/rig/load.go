package rig

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/test/faults/history"
	"github.com/warrenmesh/warren/test/faults/load"
)

// Mix is a load: publishers of each kind, and subscribers.
type Mix struct {
	Unary    int // publishers that make one call at a time
	Rate     int // events a second of a unary publisher; the other publishers have four times as many
	Streams  int
	Window   int // of a stream
	Batches  int
	Batch    int // events in a call
	Keys     int // of each publisher
	Deadline time.Duration
	GiveUp   time.Duration
	Size     int

	Subscribers int // of each subscription
	// Behave returns the function that sets up subscriber n of a subscription; nil means
	// that all acknowledge.
	Behave func(subscription string, n int) func(*load.Subscriber)
	// Beside is the subscribers' Beside.
	Beside func(*eventsv1.Delivery) (load.Decision, bool)
}

// Standard is about 1,000 events a second. Two cores with the broker on them can do ten
// times as much, so the fault is the only disturbance.
func Standard() Mix {
	return Mix{
		Unary: 4, Streams: 1, Batches: 1, Rate: 80, Keys: 4, Window: 64, Batch: 16,
		Deadline: 5 * time.Second, GiveUp: 40 * time.Second, Size: 64, Subscribers: 2,
	}
}

// Publisher makes a publisher with the mix's settings.
func (w *World) Publisher(m Mix, name string, share int) load.Publisher {
	return load.Publisher{
		Recorder: w.Recorder, Client: w.Checkout, Topic: Orders, Name: name,
		Keys: m.Keys, Rate: max(1, int(float64(m.Rate*share)*w.scale)), Deadline: m.Deadline, GiveUp: m.GiveUp, Size: m.Size,
	}
}

// Publish starts a mix's publishers. A load that is scaled up gets a larger window too:
// with the same window, the round trip to the broker would limit its rate.
func (w *World) Publish(m Mix) {
	more := func(n int) int { return int(float64(n) * max(1, w.scale)) }
	for i := range m.Unary {
		w.Load.Publish(w.Publisher(m, fmt.Sprintf("u%d", i), 1).Unary)
	}
	if w.Declared.Classic {
		p := w.Publisher(m, Inbox, 1)
		p.Topic = Inbox
		w.Load.Publish(p.Unary)
	}
	for i := range m.Streams {
		p := w.Publisher(m, fmt.Sprintf("s%d", i), 4)
		w.Load.Publish(func(ctx context.Context, stop <-chan struct{}) { p.Stream(ctx, stop, more(m.Window)) })
	}
	for i := range m.Batches {
		p := w.Publisher(m, fmt.Sprintf("b%d", i), 4)
		w.Load.Publish(func(ctx context.Context, stop <-chan struct{}) { p.Batch(ctx, stop, more(m.Batch)) })
	}
}

// Subscribe runs a mix's subscribers, and returns when all are ready.
func (w *World) Subscribe(m Mix) {
	for _, s := range w.Declared.Subscriptions() {
		for i := range m.Subscribers {
			sub := &load.Subscriber{
				Recorder: w.Recorder, Client: w.Billing, Subscription: w.Namespace + "/" + s, Consumer: fmt.Sprintf("%s%d", s, i), Beside: m.Beside,
			}
			if m.Behave != nil {
				m.Behave(s, i)(sub)
			}
			w.addSubscriber(sub)
		}
	}
}

// addSubscriber runs a subscriber and waits until it is ready.
func (w *World) addSubscriber(s *load.Subscriber) {
	w.Helper()
	w.mu.Lock()
	w.Subscribers = append(w.Subscribers, s)
	w.mu.Unlock()
	w.Load.Subscribe(s)
	w.Await(s.Consumer+" is subscribed", time.Minute, func() bool { return s.Streams.Load() > 0 })
}

// Tempo is the speed of the services: slow, until they hurry.
type Tempo struct{ hurries atomic.Bool }

// Hurry makes the services work without delay, so that a backlog ends.
func (t *Tempo) Hurry() { t.hurries.Store(true) }

// Behave makes a subscriber acknowledge after some working time.
func (t *Tempo) Behave(s *load.Subscriber, work time.Duration) {
	s.Decide = func(*eventsv1.Delivery) load.Decision {
		if t.hurries.Load() {
			return load.Decision{Outcome: history.Ack}
		}
		return load.Decision{Outcome: history.Ack, After: work}
	}
}

// Hesitant makes services refuse every twentieth event once, so that a fault finds
// events that wait for their retry; the broker's own delay is used where it exists.
// With order it is every five-hundredth event, because each holds up its key, and the
// services must keep up with the load.
func Hesitant() Setup {
	return Setup{
		Declared: Declared{BrokerDelay: true, Retry: "attempts: 20, backoff: {baseInterval: 500ms, maxInterval: 1s}"},
		Load: func(m *Mix) {
			m.Behave = func(subscription string, _ int) func(*load.Subscriber) {
				every := int64(20)
				if subscription == Ledger {
					every = 500
				}
				return func(s *load.Subscriber) {
					var seen atomic.Int64
					s.Decide = func(d *eventsv1.Delivery) load.Decision {
						if d.GetAttempt() == 1 && seen.Add(1)%every == 0 {
							return load.Decision{Outcome: history.Retry, Reason: "not now"}
						}
						return load.Decision{Outcome: history.Ack}
					}
				}
			}
		},
	}
}

// Retries says where retries of the unordered subscription wait, according to its
// queue's arguments.
func (w *World) Retries() string {
	w.Helper()
	delays := w.Call(`{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"%s">>, queue, <<"%s">>)),
lists:keymember(<<"x-delayed-retry-type">>, 1, amqqueue:get_arguments(Q)).`, w.VHost, w.QueueName(Billing)) == "true"
	if delays != w.Declared.BrokerDelay {
		w.Fatalf("%s was declared with delayed retries: %t; its queue has them: %t", Billing, w.Declared.BrokerDelay, delays)
	}
	if delays {
		return "retries of " + Billing + " wait in its own queue"
	}
	return "retries of " + Billing + " wait in delay queues"
}

// Try publishes one event in addition to the load and records it.
func (w *World) Try(topic string, e *eventsv1.CloudEvent) (history.Answer, error) {
	w.Helper()
	const deadline = 10 * time.Second
	ctx, cancel := context.WithTimeout(w.Context(), deadline)
	defer cancel()
	call := w.Recorder.Begin(history.Publish{ID: e.GetId(), Topic: topic, Deadline: deadline})
	_, err := w.Checkout.Publish(ctx, &eventsv1.PublishRequest{Topic: topic, Event: e})
	answer := load.Classify(err)
	w.Recorder.Answer(call, answer)
	return answer, err
}

// OddEvent returns a small valid event that is not of the load.
func OddEvent(id string) *eventsv1.CloudEvent {
	return &eventsv1.CloudEvent{Id: id, Source: "/faults", SpecVersion: "1.0", Type: "faults.odd"}
}

// EventWithData returns an OddEvent with n bytes of data.
func EventWithData(id string, n int) *eventsv1.CloudEvent {
	e := OddEvent(id)
	e.Data = &eventsv1.CloudEvent_BinaryData{BinaryData: make([]byte, n)}
	return e
}

// EventWithAttribute returns an OddEvent with one attribute more.
func EventWithAttribute(id, name, value string) *eventsv1.CloudEvent {
	e := OddEvent(id)
	e.Attributes = map[string]*eventsv1.CloudEvent_CloudEventAttributeValue{
		name: {Attr: &eventsv1.CloudEvent_CloudEventAttributeValue_CeString{CeString: value}},
	}
	return e
}

// BehaveOrRetry makes a subscriber slow. At first it asks to retry some events.
func (t *Tempo) BehaveOrRetry(s *load.Subscriber, work time.Duration) {
	t.Behave(s, work)
	acknowledge := s.Decide
	s.Decide = func(d *eventsv1.Delivery) load.Decision {
		if n := len(d.GetEvent().GetId()); d.GetAttempt() == 1 && d.GetEvent().GetId()[n-1] == '7' {
			return load.Decision{Outcome: history.Retry, After: work}
		}
		return acknowledge(d)
	}
}

// PoisonType is the type of the events that the services of a scenario cannot handle.
const PoisonType = "faults.poison"

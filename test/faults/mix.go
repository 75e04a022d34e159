package faults

import (
	"context"
	"fmt"
	"time"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/test/faults/load"
)

// mix is a load: publishers of each kind, and subscribers.
type mix struct {
	unary    int // publishers that make one call at a time
	rate     int // events a second of a unary publisher; the other publishers have four times as many
	streams  int
	window   int // of a stream
	batches  int
	batch    int // events in a call
	keys     int // of each publisher
	deadline time.Duration
	giveUp   time.Duration
	size     int

	subscribers int // of each subscription
	// behave returns the function that sets up subscriber n of a subscription; nil means
	// that all acknowledge.
	behave func(subscription string, n int) func(*load.Subscriber)
	// beside is the subscribers' Beside.
	beside func(*eventsv1.Delivery) (load.Decision, bool)
}

// standard is about 1,000 events a second. Two cores with the broker on them can do ten
// times as much, so the fault is the only disturbance.
func standard() mix {
	return mix{
		unary: 4, streams: 1, batches: 1, rate: 80, keys: 4, window: 64, batch: 16,
		deadline: 5 * time.Second, giveUp: 40 * time.Second, size: 64, subscribers: 2,
	}
}

// publisher makes a publisher with the mix's settings.
func (w *World) publisher(m mix, name string, share int) load.Publisher {
	return load.Publisher{
		Recorder: w.Recorder, Client: w.checkout, Topic: topicName, Name: name,
		Keys: m.keys, Rate: max(1, int(float64(m.rate*share)*w.scale)), Deadline: m.deadline, GiveUp: m.giveUp, Size: m.size,
	}
}

// publish starts a mix's publishers. A load that is scaled up gets a larger window too:
// with the same window, the round trip to the broker would limit its rate.
func (w *World) publish(m mix) {
	more := func(n int) int { return int(float64(n) * max(1, w.scale)) }
	for i := range m.unary {
		w.Load.Publish(w.publisher(m, fmt.Sprintf("u%d", i), 1).Unary)
	}
	if w.declared.classic {
		p := w.publisher(m, inbox, 1)
		p.Topic = inbox
		w.Load.Publish(p.Unary)
	}
	for i := range m.streams {
		p := w.publisher(m, fmt.Sprintf("s%d", i), 4)
		w.Load.Publish(func(ctx context.Context, stop <-chan struct{}) { p.Stream(ctx, stop, more(m.window)) })
	}
	for i := range m.batches {
		p := w.publisher(m, fmt.Sprintf("b%d", i), 4)
		w.Load.Publish(func(ctx context.Context, stop <-chan struct{}) { p.Batch(ctx, stop, more(m.batch)) })
	}
}

func (w *World) subscribe(m mix) {
	for _, s := range w.declared.subscriptions() {
		for i := range m.subscribers {
			sub := &load.Subscriber{
				Recorder: w.Recorder, Client: w.billing, Subscription: w.namespace + "/" + s, Consumer: fmt.Sprintf("%s%d", s, i), Beside: m.beside,
			}
			if m.behave != nil {
				m.behave(s, i)(sub)
			}
			w.addSubscriber(sub)
		}
	}
}

// addSubscriber runs a subscriber and waits until it is ready.
func (w *World) addSubscriber(s *load.Subscriber) {
	w.Helper()
	w.mu.Lock()
	w.subscribers = append(w.subscribers, s)
	w.mu.Unlock()
	w.Load.Subscribe(s)
	w.await(s.Consumer+" is subscribed", time.Minute, func() bool { return s.Streams.Load() > 0 })
}

package faults

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/test/faults/check"
	"github.com/warrenmesh/warren/test/faults/history"
	"github.com/warrenmesh/warren/test/faults/load"
)

var eventRows = []Scenario{
	{Row: 24, Name: "too-large", Fault: "events of 64 MiB, and of one byte too many", Nodes: 1, Short: true, run: tooLarge},
	{Row: 25, Name: "invalid-events", Fault: "events without id, with control characters, reserved names, 200 KB of attributes", Nodes: 1, Short: true, run: invalidEvents},
	{Row: 26, Name: "deadline-in-confirm", Fault: "deadlines shorter than the way to the broker and back", Nodes: 1, Short: true, run: deadlineInConfirm},
	{Row: 36, Name: "unroutable", Fault: "events for a topic that no queue listens to", Nodes: 1, Short: true, run: unroutable},
	{Row: 37, Name: "one-queue-full", Fault: "a further queue of the topic that is full and rejects", Nodes: 1, Short: true, run: oneQueueFull},
	{Row: 38, Name: "stale-acks", Fault: "the connection is cut while services hold deliveries, which they acknowledge afterwards", Nodes: 1, Short: true, Quick: true, run: staleAcks},
}

// try publishes one event in addition to the load and records it.
func (w *World) try(topic string, e *eventsv1.CloudEvent) (history.Answer, error) {
	w.Helper()
	const deadline = 10 * time.Second
	ctx, cancel := context.WithTimeout(w.Context(), deadline)
	defer cancel()
	call := w.Recorder.Begin(history.Publish{ID: e.GetId(), Topic: topic, Deadline: deadline})
	_, err := w.checkout.Publish(ctx, &eventsv1.PublishRequest{Topic: topic, Event: e})
	answer := load.Classify(err)
	w.Recorder.Answer(call, answer)
	return answer, err
}

// refused publishes an event that must be refused with a reason.
func (w *World) refused(what, topic string, e *eventsv1.CloudEvent, reasons ...string) {
	w.Helper()
	answer, err := w.try(topic, e)
	if answer.Result != history.Failed || !slices.Contains(reasons, answer.Reason) {
		w.Errorf("%s: answered %v (%v), want a certain failure with reason %v", what, answer, err, reasons)
	}
}

func plain(id string) *eventsv1.CloudEvent {
	return &eventsv1.CloudEvent{Id: id, Source: "/faults", SpecVersion: "1.0", Type: "faults.odd"}
}

func withData(id string, n int) *eventsv1.CloudEvent {
	e := plain(id)
	e.Data = &eventsv1.CloudEvent_BinaryData{BinaryData: make([]byte, n)}
	return e
}

func withAttribute(id, name, value string) *eventsv1.CloudEvent {
	e := plain(id)
	e.Attributes = map[string]*eventsv1.CloudEvent_CloudEventAttributeValue{
		name: {Attr: &eventsv1.CloudEvent_CloudEventAttributeValue_CeString{CeString: value}},
	}
	return e
}

func tooLarge(w *World) check.Expect {
	const limit = 1 << 20
	w.start(setup{})
	connections := w.connections()
	d := w.disturb("large events", func() string {
		w.refused("one byte too many", topicName, withData("large-1", limit+1), "EVENT_TOO_LARGE")
		// gRPC refuses this one before Warren's code runs.
		w.refused("64 MiB", topicName, withData("large-2", 64<<20), "GRPC_MESSAGE_TOO_LARGE", "EVENT_TOO_LARGE")
		if answer, err := w.try(topicName, withData(fits, limit)); answer.Result != history.OK {
			w.Errorf("exactly the limit: answered %v (%v), want OK", answer, err)
		}
		return fmt.Sprintf("refused: %d bytes and %d bytes", limit+1, 64<<20)
	})
	d.heal(nil)
	w.keep(2 * time.Second)
	w.sameConnections(connections)
	w.finish()
	return w.expect()
}

func invalidEvents(w *World) check.Expect {
	w.start(setup{})
	connections := w.connections()
	d := w.disturb("invalid events", func() string {
		noSource := plain("odd-1")
		noSource.Source = ""
		version := plain("odd-2")
		version.SpecVersion = "0.3"
		odd := []struct {
			what  string
			event *eventsv1.CloudEvent
		}{
			{"no source", noSource},
			{"another version", version},
			{"CR and LF in an attribute", withAttribute("odd-3", "subject", "a\r\nx-injected: b")},
			{"an attribute that is no name", withAttribute("odd-4", "Not A Name", "x")},
			{"a reserved attribute", withAttribute("odd-5", "data", "x")},
			{"200 KB of attributes", withAttribute("odd-6", "subject", strings.Repeat("x", 200<<10))},
		}
		for _, o := range odd {
			w.refused(o.what, topicName, o.event, "INVALID_EVENT", "EVENT_TOO_LARGE")
		}
		return fmt.Sprintf("%d events refused", len(odd))
	})
	d.heal(nil)
	w.keep(2 * time.Second)
	w.sameConnections(connections)
	w.finish()
	return w.expect()
}

// deadlineInConfirm: a caller whose deadline ends before the confirm gets an unknown
// outcome. Usually the event has arrived.
func deadlineInConfirm(w *World) check.Expect {
	w.start(setup{links: 1, load: func(m *mix) { m.deadline, m.rate = 300*time.Millisecond, 20 }})
	d := w.disturb("latency beyond the deadlines", func() string {
		w.Links[0].Latency(200*time.Millisecond, 0)
		return "400 ms there and back, deadlines of 300 ms"
	})
	from := w.Recorder.Now()
	w.keep(2 * time.Second)
	until := w.Recorder.Now()
	d.heal(w.Links[0].Heal)
	w.awaitOK(100)
	w.finish()
	var unknown, other int
	for _, p := range w.Recorder.Run().Publishes {
		// An event of a batch may still wait for the turn of its key, and was not sent
		// then.
		if !strings.HasPrefix(p.ID, "u") || p.Start < from || p.End > until {
			continue
		}
		if p.Result == history.Unknown {
			unknown++
		} else {
			other++
		}
	}
	if unknown == 0 || other > unknown/10 {
		w.Errorf("%d publishes were of unknown outcome and %d were not, want nearly all", unknown, other)
	}
	return w.expect()
}

// unroutable: a mandatory event that no queue takes always fails.
func unroutable(w *World) check.Expect {
	const n = 300
	w.start(setup{declared: declared{more: strings.NewReplacer("NS", w.namespace).Replace(`apiVersion: warrenmesh.io/v1alpha1
kind: EventTopic
metadata: {name: void, namespace: NS}
spec:
  brokerRef: {name: main}
  exchange: {name: void}
---
`)}})
	d := w.disturb("unroutable events", func() string {
		for i := range n {
			w.refused("unroutable", "void", plain(fmt.Sprintf("void-%d", i)), "UNROUTABLE")
		}
		return fmt.Sprintf("%d events published that no queue takes", n)
	})
	d.heal(nil)
	w.keep(time.Second)
	w.finish()
	return w.expect()
}

// oneQueueFull: a nack only says that not every queue took the event.
func oneQueueFull(w *World) check.Expect {
	w.start(setup{load: func(m *mix) { m.rate, m.giveUp = 20, time.Minute }})
	ch := w.plainChannel()
	d := w.disturb("full queue", func() string {
		_, err := ch.QueueDeclare("full", true, false, false, false, amqp.Table{"x-queue-type": "quorum", "x-max-length": 1, "x-overflow": "reject-publish"})
		if err == nil {
			err = ch.QueueBind("full", "#", topicName, false, nil)
		}
		if err != nil {
			w.Fatal(err)
		}
		w.await("a publish is nacked", 20*time.Second, func() bool { return w.saw("PUBLISH_NACKED") })
		return "publishes are nacked"
	})
	w.keep(2 * time.Second)
	d.heal(func() {
		if _, err := ch.QueueDelete("full", false, false, false); err != nil {
			w.Fatal(err)
		}
	})
	w.awaitOK(100)
	w.finish()
	for _, p := range w.Recorder.Run().Publishes {
		if p.Reason == "PUBLISH_NACKED" && p.Result != history.Unknown {
			w.Errorf("nacked publish %s is %v, want unknown", p.ID, p.Result)
			break
		}
	}
	e := w.expect()
	e.MoreDuplicates = -1 // each try of a call leaves a copy in the queue that takes it
	return e
}

// staleAcks: an acknowledgement of a lost connection must not settle another event.
func staleAcks(w *World) check.Expect {
	var services tempo
	w.start(setup{links: 1, declared: declared{subscription: []string{"queue: {prefetch: 10}"}}, load: func(m *mix) {
		m.subscribers = 1
		m.behave = func(string, int) func(*load.Subscriber) {
			return func(s *load.Subscriber) { services.behave(s, 200*time.Millisecond) }
		}
	}})
	held := func() (n int64) {
		for _, s := range w.subscribers {
			n += s.Unsettled.Load()
		}
		return n
	}
	refused := func() (n int64) {
		for _, s := range w.subscribers {
			n += s.Refused.Load()
		}
		return n
	}
	for i := range 3 {
		d := w.disturb(fmt.Sprintf("cut %d", i+1), func() string {
			w.await("services hold 10 deliveries", 20*time.Second, func() bool { return held() >= 10 })
			n, before := held(), refused()
			w.cut(w.Links[0])
			w.await("stale acknowledgements are refused", 20*time.Second, func() bool { return refused() > before })
			return fmt.Sprintf("%d deliveries held in the cut, their acks refused", n)
		})
		d.heal(nil)
		w.keep(time.Second)
	}
	services.hurry()
	w.finish()
	return w.expect()
}

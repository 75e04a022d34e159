package event

import (
	"fmt"
	"slices"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/test/faults/check"
	"github.com/warrenmesh/warren/test/faults/history"
	"github.com/warrenmesh/warren/test/faults/load"
	"github.com/warrenmesh/warren/test/faults/rig"
)

var eventRows = []rig.Scenario{
	{Row: 24, Name: "too-large", Fault: "A publisher sends events of 64 MiB, and of one byte too many", Nodes: 1, Short: true, Run: tooLarge},
	{Row: 25, Name: "invalid-events", Fault: "A publisher sends events without a source, with control characters, with reserved names, and with 200 KB of attributes", Nodes: 1, Short: true, Run: invalidEvents},
	{Row: 26, Name: "deadline-in-confirm", Fault: "Publishers set deadlines that are shorter than the way to the broker and back", Nodes: 1, Short: true, Run: deadlineInConfirm},
	{Row: 36, Name: "unroutable", Fault: "A publisher sends events to a topic that no queue is bound to", Nodes: 1, Short: true, Run: unroutable},
	{Row: 37, Name: "one-queue-full", Fault: "Another queue of the topic is full and rejects events", Nodes: 1, Short: true, Run: oneQueueFull},
	{Row: 38, Name: "stale-acks", Fault: "The network cuts the connection while services hold deliveries, which they acknowledge afterwards", Nodes: 1, Short: true, Quick: true, Run: staleAcks},
}

// refused publishes an event that must be refused with a reason.
func refused(w *rig.World, what, topic string, e *eventsv1.CloudEvent, reasons ...string) {
	w.Helper()
	answer, err := w.Try(topic, e)
	if answer.Result != history.Failed || !slices.Contains(reasons, answer.Reason) {
		w.Errorf("%s: answered %v (%v), want a certain failure with reason %v", what, answer, err, reasons)
	}
}

func tooLarge(w *rig.World) check.Expect {
	const limit = 1 << 20
	w.Start(rig.Setup{})
	connections := w.Connections()
	d := w.Disturb("large events", func() string {
		refused(w, "one byte too many", rig.Orders, rig.EventWithData("large-1", limit+1), "EVENT_TOO_LARGE")
		// gRPC refuses this one before Warren's code runs.
		refused(w, "64 MiB", rig.Orders, rig.EventWithData("large-2", 64<<20), "GRPC_MESSAGE_TOO_LARGE", "EVENT_TOO_LARGE")
		if answer, err := w.Try(rig.Orders, rig.EventWithData(rig.Fits, limit)); answer.Result != history.OK {
			w.Errorf("exactly the limit: answered %v (%v), want OK", answer, err)
		}
		return fmt.Sprintf("refused: %d bytes and %d bytes", limit+1, 64<<20)
	})
	d.Heal(nil)
	w.Keep(2 * time.Second)
	w.SameConnections(connections)
	w.Finish()
	return w.Expect()
}

func invalidEvents(w *rig.World) check.Expect {
	w.Start(rig.Setup{})
	connections := w.Connections()
	d := w.Disturb("invalid events", func() string {
		noSource := rig.OddEvent("odd-1")
		noSource.Source = ""
		version := rig.OddEvent("odd-2")
		version.SpecVersion = "0.3"
		odd := []struct {
			what  string
			event *eventsv1.CloudEvent
		}{
			{"no source", noSource},
			{"another version", version},
			{"CR and LF in an attribute", rig.EventWithAttribute("odd-3", "subject", "a\r\nx-injected: b")},
			{"an attribute that is no name", rig.EventWithAttribute("odd-4", "Not A Name", "x")},
			{"a reserved attribute", rig.EventWithAttribute("odd-5", "data", "x")},
			{"200 KB of attributes", rig.EventWithAttribute("odd-6", "subject", strings.Repeat("x", 200<<10))},
		}
		for _, o := range odd {
			refused(w, o.what, rig.Orders, o.event, "INVALID_EVENT", "EVENT_TOO_LARGE")
		}
		return fmt.Sprintf("%d events refused", len(odd))
	})
	d.Heal(nil)
	w.Keep(2 * time.Second)
	w.SameConnections(connections)
	w.Finish()
	return w.Expect()
}

// deadlineInConfirm: a caller whose deadline ends before the confirm gets an unknown
// outcome. Usually the event has arrived.
func deadlineInConfirm(w *rig.World) check.Expect {
	w.Start(rig.Setup{Links: 1, Load: func(m *rig.Mix) { m.Deadline, m.Rate = 300*time.Millisecond, 20 }})
	d := w.Disturb("latency beyond the deadlines", func() string {
		w.Links[0].Latency(200*time.Millisecond, 0)
		return "400 ms there and back, deadlines of 300 ms"
	})
	from := w.Recorder.Now()
	w.Keep(2 * time.Second)
	until := w.Recorder.Now()
	d.Heal(w.Links[0].Heal)
	w.AwaitOK(100)
	w.Finish()
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
	return w.Expect()
}

// unroutable: a mandatory event that no queue takes always fails.
func unroutable(w *rig.World) check.Expect {
	const n = 300
	w.Start(rig.Setup{Declared: rig.Declared{More: strings.NewReplacer("NS", w.Namespace).Replace(`apiVersion: warrenmesh.io/v1alpha1
kind: EventTopic
metadata: {name: void, namespace: NS}
spec:
  brokerRef: {name: main}
  exchange: {name: void}
---
`)}})
	d := w.Disturb("unroutable events", func() string {
		for i := range n {
			refused(w, "unroutable", "void", rig.OddEvent(fmt.Sprintf("void-%d", i)), "UNROUTABLE")
		}
		return fmt.Sprintf("%d events published that no queue takes", n)
	})
	d.Heal(nil)
	w.Keep(time.Second)
	w.Finish()
	return w.Expect()
}

// oneQueueFull: a nack only says that not every queue took the event.
func oneQueueFull(w *rig.World) check.Expect {
	w.Start(rig.Setup{Load: func(m *rig.Mix) { m.Rate, m.GiveUp = 20, time.Minute }})
	ch := w.PlainChannel()
	d := w.Disturb("full queue", func() string {
		_, err := ch.QueueDeclare("full", true, false, false, false, amqp.Table{"x-queue-type": "quorum", "x-max-length": 1, "x-overflow": "reject-publish"})
		if err == nil {
			err = ch.QueueBind("full", "#", rig.Orders, false, nil)
		}
		if err != nil {
			w.Fatal(err)
		}
		w.Await("a publish is nacked", 20*time.Second, func() bool { return w.Saw("PUBLISH_NACKED") })
		return "publishes are nacked"
	})
	w.Keep(2 * time.Second)
	d.Heal(func() {
		if _, err := ch.QueueDelete("full", false, false, false); err != nil {
			w.Fatal(err)
		}
	})
	w.AwaitOK(100)
	w.Finish()
	for _, p := range w.Recorder.Run().Publishes {
		if p.Reason == "PUBLISH_NACKED" && p.Result != history.Unknown {
			w.Errorf("nacked publish %s is %v, want unknown", p.ID, p.Result)
			break
		}
	}
	e := w.Expect()
	e.MoreDuplicates = -1 // each try of a call leaves a copy in the queue that takes it
	return e
}

// staleAcks: an acknowledgement of a lost connection must not settle another event.
func staleAcks(w *rig.World) check.Expect {
	var services rig.Tempo
	w.Start(rig.Setup{Links: 1, Declared: rig.Declared{Subscription: []string{"queue: {prefetch: 10}"}}, Load: func(m *rig.Mix) {
		m.Subscribers = 1
		m.Behave = func(string, int) func(*load.Subscriber) {
			return func(s *load.Subscriber) { services.Behave(s, 200*time.Millisecond) }
		}
	}})
	held := func() (n int64) {
		for _, s := range w.Subscribers {
			n += s.Unsettled.Load()
		}
		return n
	}
	refused := func() (n int64) {
		for _, s := range w.Subscribers {
			n += s.Refused.Load()
		}
		return n
	}
	for i := range 3 {
		d := w.Disturb(fmt.Sprintf("cut %d", i+1), func() string {
			w.Await("services hold 10 deliveries", 20*time.Second, func() bool { return held() >= 10 })
			n, before := held(), refused()
			w.Cut(w.Links[0])
			w.Await("stale acknowledgements are refused", 20*time.Second, func() bool { return refused() > before })
			return fmt.Sprintf("%d deliveries held in the cut, their acks refused", n)
		})
		d.Heal(nil)
		w.Keep(time.Second)
	}
	services.Hurry()
	w.Finish()
	return w.Expect()
}

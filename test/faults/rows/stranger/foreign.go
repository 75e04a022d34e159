package stranger

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/test/faults/check"
	"github.com/warrenmesh/warren/test/faults/foreign"
	"github.com/warrenmesh/warren/test/faults/history"
	"github.com/warrenmesh/warren/test/faults/load"
	"github.com/warrenmesh/warren/test/faults/rig"
	"github.com/warrenmesh/warren/test/internal/rawamqp"
)

var foreignRows = []rig.Scenario{
	{
		Row: 40, Name: "foreign-header", Fault: "Other programs send messages that no library can read, among the load, to quorum and classic queues, ordered and unordered",
		Holds: "every message that RabbitMQ accepts is one dead letter of each subscription, with every header, property and byte that was sent; no connection is closed; no subscription stops for more than 3 s; warren deadletter list shows each message, and a redrive to the topic restores the original",
		Nodes: 1, Short: true, Patience: 4 * time.Minute, Run: foreignHeader,
	},
	{
		Row: 44, Name: "oversize-copy", Fault: "RabbitMQ accepts events and messages that are too large or too odd to be copied unchanged",
		Holds: "each is one dead letter of each subscription, complete, after its attempts at most; no connection is closed, and no message is redelivered in a loop",
		Nodes: 1, Short: true, Patience: 4 * time.Minute, Run: oversizeCopy,
	},
}

const copyAttempts = 3

// quickRetries is for rows in which retries must be short.
const quickRetries = "attempts: 3, backoff: {baseInterval: 100ms, maxInterval: 500ms}"

// foreignHeader: each message affects only itself. It is set aside complete while its
// neighbours are delivered, and a redrive puts back the original message.
func foreignHeader(w *rig.World) check.Expect {
	var others Counter
	w.Start(rig.Setup{Declared: rig.Declared{Classic: true, Retry: quickRetries}, Load: func(m *rig.Mix) {
		m.Rate, m.Beside = 40, others.Beside
	}})
	connections, from := w.Connections(), w.Recorder.Now()
	var sent, posted []foreign.Message
	d := w.Disturb("messages of others", func() string {
		all := some(w, 60)
		sent = mirrored(w, rig.Orders, func() []foreign.Message { return Send(w, w.URL(), rig.Orders, all) })
		posted = mirrored(w, rig.Inbox, func() []foreign.Message { return Send(w, w.URL(), rig.Inbox, all) })
		if len(sent) < len(all)*8/10 || len(posted) < len(all)*8/10 {
			return ""
		}
		return fmt.Sprintf("RabbitMQ took %d of %d twice: %s", len(sent), len(all), Kinds(sent))
	})
	setAside(w, rig.Billing, sent)
	setAside(w, rig.Ledger, sent)
	setAside(w, rig.Inbox, posted)
	w.Keep(time.Second)
	d.Heal(nil)
	w.Flowed(from, w.Recorder.Now(), 3*time.Second)
	w.SameConnections(connections)
	w.AwaitOK(100)
	w.Load.StopPublishing()
	listed(w, rig.Billing, len(sent))
	revived(w, sent)
	w.Finish()
	w.Drained()
	if tag, n := others.most(); n > 2*copyAttempts*3 { // sent twice, to three subscriptions
		w.Errorf("%s was delivered %d times", tag, n)
	}
	e := w.Expect()
	e.Reasons = []string{} // no event of the load is a dead letter
	return e
}

// listed checks that the command shows n dead letters, whatever they contain.
func listed(w *rig.World, subscription string, n int) {
	w.Helper()
	out, errs, code := w.Mesh.Warren(w.Context(), "deadletter", "list", subscription, "--admin", w.Billing.Admin, "-o", "json")
	if lines := strings.Count(out, "\n"); code != 0 || lines != n {
		w.Errorf("warren deadletter list shows %d of %d dead letters, exit code %d: %s", lines, n, code, rig.FirstLine(errs))
	}
}

// revived redrives the dead letters to the topic. It receives them in a queue without
// another consumer and compares them with what was sent.
func revived(w *rig.World, sent []foreign.Message) {
	w.Helper()
	const witness = "witness"
	ch := w.PlainChannel()
	_, err := ch.QueueDeclare(witness, true, false, false, false, amqp.Table{"x-queue-type": "classic"})
	if err == nil {
		err = ch.QueueBind(witness, "#", rig.Orders, false, nil)
	}
	if err != nil {
		w.Fatal(err)
	}
	_, errs, code := w.Mesh.Warren(w.Context(), "deadletter", "redrive", rig.Billing, "--admin", w.Billing.Admin, "--to", "topic")
	if code != 0 {
		w.Errorf("warren deadletter redrive ends with %d: %s", code, rig.FirstLine(errs))
	}
	whole(w, witness, sent, read(w, witness, rawamqp.Remove))
	if _, err := ch.QueueDelete(witness, false, false, false); err != nil {
		w.Fatal(err)
	}
	setAside(w, rig.Billing, sent) // they must be set aside again, complete
}

// oversizeCopy: every event is acknowledged or dead-lettered within its attempts. None
// is retried endlessly.
func oversizeCopy(w *rig.World) check.Expect {
	others := Counter{outcome: load.Decision{Outcome: history.Retry, Reason: "try again"}}
	w.Start(rig.Setup{Declared: rig.Declared{Classic: true, Retry: quickRetries}, Load: func(m *rig.Mix) {
		m.Rate, m.Beside = 40, others.Beside
	}})
	addUser(w, foreign.User)
	connections, from := w.Connections(), w.Recorder.Now()
	var large, sent, posted []foreign.Message
	d := w.Disturb("what is too large as a copy", func() string {
		large = publishLarge(w)
		messages := foreign.Oversize()
		sent = mirrored(w, rig.Orders, func() []foreign.Message { return Send(w, urlOf(w, foreign.User), rig.Orders, messages) })
		posted = mirrored(w, rig.Inbox, func() []foreign.Message { return Send(w, urlOf(w, foreign.User), rig.Inbox, messages) })
		if len(large) == 0 || len(sent) == 0 || len(posted) != len(sent) {
			return ""
		}
		return fmt.Sprintf("%d events accepted with up to %d bytes of attributes; RabbitMQ took %d of %d messages twice: %s",
			len(large), largest, len(sent), len(messages), Kinds(sent))
	})
	setAside(w, rig.Billing, slices.Concat(sent, large))
	setAside(w, rig.Ledger, slices.Concat(sent, large))
	setAside(w, rig.Inbox, posted)
	w.Keep(time.Second)
	d.Heal(nil)
	w.Flowed(from, w.Recorder.Now(), 5*time.Second)
	w.SameConnections(connections)
	w.AwaitOK(100)
	w.Finish()
	w.Drained()
	if tag, n := others.most(); n > 3*copyAttempts { // by three subscriptions
		w.Errorf("%s was delivered %d times to three subscriptions, each %d times at most", tag, n, copyAttempts)
	}
	e := w.Expect()
	e.Reasons = []string{}
	e.Growth.Memory = 96 << 20 // bodies of 17 MiB passed
	return e
}

// published is the kind of a message that a sidecar wrote. Of its headers, only those
// of the event are compared.
const published = "published"

// largest is the length of the longest attribute that is tried.
const largest = 65_400

// publishLarge publishes events with attributes of the largest accepted length, and of
// one byte more or less. It returns the accepted ones. They count as messages of other
// programs, because the load does not know them.
func publishLarge(w *rig.World) (accepted []foreign.Message) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
	defer cancel()
	sizes := []int{32_000, 60_000, 63_000, 64_000, 64_500, 65_000, 65_200, 65_300, 65_340, 65_350, largest}
	for i, n := range sizes {
		m := foreign.Message{Tag: foreign.Tag(900 + i), Kind: published, Name: fmt.Sprintf("an attribute of %d bytes", n)}
		m.Headers = []rawamqp.Field{{Name: "ce-blob", Value: rawamqp.Text(strings.Repeat("a", n))}}
		e := rig.EventWithAttribute(m.Tag, "blob", strings.Repeat("a", n))
		e.Source = "/" + m.Tag
		_, err := w.Checkout.Publish(ctx, &eventsv1.PublishRequest{Topic: rig.Orders, Event: e})
		switch answer := load.Classify(err); answer.Result {
		case history.OK:
			accepted = append(accepted, m)
		case history.Failed:
			w.Logf("%s: %s", m.Name, answer.Reason)
		default:
			w.Errorf("%s: answered %v (%v), want OK or a certain failure", m.Name, answer, err)
		}
	}
	return accepted
}

package e2e

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/test/internal/product"
	"github.com/warrenmesh/warren/test/internal/rawamqp"
)

// header is a plain message with one unusual header.
func header(id string, v rawamqp.Value) rawamqp.Message {
	return rawamqp.Message{Properties: rawamqp.Properties{MessageID: id, DeliveryMode: 2, Headers: []rawamqp.Field{{Name: "odd", Value: v}}}, Body: []byte("{}")}
}

func (r *rig) headerCostsItself(queue string) {
	messages := []rawamqp.Message{
		header("33 arrays", rawamqp.DeepArray(33)),
		header("40 tables", rawamqp.DeepTable(40)),
		header("9,000 booleans", rawamqp.Long('A', strings.Repeat(string(rawamqp.Bool(true)), 9000))),
		header("type L", rawamqp.Number('L', 1<<40)),
		header("a time beyond everything", rawamqp.Number('T', 1<<63)),
		header("100 KB", rawamqp.Text(strings.Repeat("h", 100_000))),
	}
	r.start(r.topic("in"), r.topic("other"),
		r.subscription(subscription{name: "billing", topic: "in", app: "app", attempts: 3, backoff: retryDelay, more: []string{"queue: {type: " + queue + "}"}}),
		r.subscription(subscription{name: "neighbour", topic: "other", app: "app"}))
	app := r.service("app")
	neighbour, in := app.watch("neighbour", always(ack)), app.watch("billing", always(dead))
	app.mustPublish("other", "before")
	for i, m := range messages {
		r.raw("in", m)
		app.mustPublish("other", fmt.Sprintf("after-%d", i))
	}
	app.mustPublish("in", "good")
	in.await("good")
	neighbour.await("before", "after-0", "after-5")
	if got, want := neighbour.ids(), []string{"before", "after-0", "after-1", "after-2", "after-3", "after-4", "after-5"}; !slices.Equal(got, want) {
		r.Errorf("the neighbour got %q, want %q", got, want)
	}
	letters := r.awaitDead("billing", len(messages)+1)
	for _, m := range messages {
		r.wantWhole(letters, m)
	}
}

// wantWhole checks that the dead letters contain a message as it was sent.
func (r *rig) wantWhole(letters []rawamqp.Got, m rawamqp.Message) {
	r.Helper()
	for i := range letters {
		if letters[i].MessageID == m.MessageID {
			if lost := m.Lost(&letters[i].Message); len(lost) > 0 {
				r.Errorf("the dead letter of %q is not whole: %s", m.MessageID, strings.Join(lost, "; "))
			}
			return
		}
	}
	r.Errorf("%q is no dead letter", m.MessageID)
}

func (r *rig) acceptedIsDeadLettered() {
	r.start(r.topic("in"), r.subscription(subscription{name: "billing", topic: "in", app: "app", attempts: 3, backoff: retryDelay}))
	app := r.service("app")
	in := app.watch("billing", func(d *eventsv1.Delivery) eventsv1.Outcome {
		if strings.HasPrefix(d.GetEvent().GetId(), "retried") {
			return retry
		}
		return dead
	})
	var accepted []string
	for _, n := range []int{50_000, 60_000, 64_000, 65_000, 65_200, 65_340, 65_400} {
		for _, series := range []string{"refused", "retried"} {
			e := order(id(series, n))
			e.Attributes["blob"] = text(strings.Repeat("a", n))
			if _, err := app.publish("in", e); err == nil {
				accepted = append(accepted, e.GetId())
			} else if got := refusalOf(r.T, err); got.outcome == "unknown" {
				r.Errorf("%s: %v, want OK or a certain refusal", e.GetId(), err)
			}
		}
	}
	if len(accepted) < 2 {
		r.Fatalf("accepted %q: attributes of 50,000 bytes are within every limit", accepted)
	}
	letters := r.awaitDead("billing", len(accepted))
	for _, l := range letters {
		var n int
		if _, err := fmt.Sscanf(l.MessageID[strings.IndexByte(l.MessageID, '-')+1:], "%d", &n); err != nil {
			r.Fatal(err)
		}
		if blob, _ := l.Header("ce-blob"); len(blob.Text()) != n {
			r.Errorf("the dead letter of %s has an attribute of %d bytes", l.MessageID, len(blob.Text()))
		}
	}
	r.boundedDeliveries(in, 3)
}

// boundedDeliveries checks that no event is delivered more often than its attempts
// allow.
func (r *rig) boundedDeliveries(w *watcher, attempts int) {
	r.Helper()
	times := map[string]int{}
	for _, d := range w.deliveries() {
		if times[d.GetEvent().GetId()]++; times[d.GetEvent().GetId()] > attempts || int(d.GetAttempt()) > attempts {
			r.Errorf("%s came %d times, as attempt %d", d.GetEvent().GetId(), times[d.GetEvent().GetId()], d.GetAttempt())
		}
	}
}

func (r *rig) largeIsDeadLettered() {
	r.start(r.topic("in"), r.subscription(subscription{name: "billing", topic: "in", app: "app", attempts: 3, backoff: retryDelay}))
	event := func(id string, body []byte, more ...rawamqp.Field) rawamqp.Message {
		text := rawamqp.Text
		return rawamqp.Message{Body: body, Properties: rawamqp.Properties{MessageID: id, DeliveryMode: 2, Headers: append([]rawamqp.Field{
			{Name: "ce-specversion", Value: text("1.0")}, {Name: "ce-id", Value: text(id)}, {Name: "ce-source", Value: text("/s")}, {Name: "ce-type", Value: text("t")},
		}, more...)}}
	}
	messages := []rawamqp.Message{
		event("100 KB of an attribute", []byte("{}"), rawamqp.Field{Name: "ce-note", Value: rawamqp.Text(strings.Repeat("n", 100_000))}),
		event("120 KB beside the event", []byte("{}"), rawamqp.Field{Name: "note", Value: rawamqp.Text(strings.Repeat("n", 120_000))}),
		event("one byte over the topic's size", make([]byte, 1<<20+1)),
	}
	if version, _ := r.conn.Properties["version"].(string); version < "4" { // from 4.0 on, RabbitMQ itself accepts 16 MiB at most
		messages = append(messages, event("an event of 17 MiB", make([]byte, 17<<20)),
			rawamqp.Message{Properties: rawamqp.Properties{MessageID: "17 MiB", DeliveryMode: 2}, Body: bytes.Repeat([]byte("x"), 17<<20)})
	}
	app := r.service("app")
	in := app.watch("billing", always(retry))
	for _, m := range messages {
		r.raw("in", m)
	}
	letters := r.awaitDead("billing", len(messages))
	for _, m := range messages {
		r.wantWhole(letters, m)
	}
	r.boundedDeliveries(in, 3)
	r.wantEmpty("billing")
}

func (r *rig) contentTypeDecides() {
	r.start(r.topic("in"), r.subscription(subscription{name: "billing", topic: "in", app: "app", more: []string{"queue: {type: classic}"}}))
	app := r.service("app")
	in := app.watch("billing", always(ack))
	text := rawamqp.Text
	binary := func(prefix string) []rawamqp.Field {
		return []rawamqp.Field{{Name: prefix + "specversion", Value: text("1.0")}, {Name: prefix + "id", Value: text("header")}, {Name: prefix + "source", Value: text("/h")}, {Name: prefix + "type", Value: text("h")}}
	}
	for id, m := range map[string]rawamqp.Properties{
		"all":         {ContentType: "application/cloudevents+json; charset=utf-8", Headers: binary("ce-")},
		"one":         {ContentType: "application/cloudevents+json", Headers: []rawamqp.Field{{Name: "ce-id", Value: text("header")}}},
		"underscores": {ContentType: "APPLICATION/CloudEvents+JSON", Headers: binary("cloudEvents_")},
		"colons":      {ContentType: "application/cloudevents+json;charset=UTF-8", Headers: binary("cloudEvents:")},
		"bare":        {ContentType: "application/cloudevents+json", Headers: binary("")},
		"none":        {ContentType: "application/cloudevents+json"},
	} {
		r.raw("in", rawamqp.Message{Properties: m, Body: []byte(`{"specversion":"1.0","id":"` + id + `","source":"/s","type":"t","datacontenttype":"application/json","data":{"total": 7}}`)})
	}
	in.await("all", "one", "underscores", "colons", "bare", "none")
	for _, d := range in.deliveries() {
		e := d.GetEvent()
		if e.GetSource() != "/s" || e.GetAttributes()["datacontenttype"].GetCeString() != "application/json" || string(e.GetBinaryData())+e.GetTextData() != `{"total": 7}` {
			r.Errorf("%s arrived as %v", e.GetId(), e)
		}
	}
}

func (r *rig) idsAreOfOneMessage() {
	r.start(r.topic("in"), r.subscription(subscription{name: "billing", topic: "in", app: "app"}))
	for life, body := range []string{"first", "second", "third"} {
		app := r.service("app")
		app.watch("billing", always(ack))
		r.raw("in", rawamqp.Message{Properties: rawamqp.Properties{ContentType: "application/cloudevents+json", DeliveryMode: 2}, Body: []byte(body)})
		r.awaitDead("billing", life+1)
		app.Kill()
	}
	app := r.service("app")
	seen := map[string]bool{}
	listed := app.listed()
	for _, l := range listed {
		if seen[l.GetEventId()] || l.GetEventId() == "" {
			r.Errorf("the id %q is of two dead letters", l.GetEventId())
		}
		seen[l.GetEventId()] = true
	}
	if len(listed) != 3 {
		r.Fatalf("%d dead letters are listed, want 3", len(listed))
	}
	again := app.listed()
	for i := range listed {
		if listed[i].GetEventId() != again[i].GetEventId() {
			r.Errorf("a dead letter is %q, and then %q", listed[i].GetEventId(), again[i].GetEventId())
		}
	}
	app.warren("deadletter", "purge", "billing", "--id", listed[0].GetEventId(), "--yes")
	product.Eventually(r, "one dead letter is purged", func() error {
		if got := r.letters("billing"); len(got) != 2 {
			return fmt.Errorf("%d are left", len(got))
		}
		return nil
	})
}

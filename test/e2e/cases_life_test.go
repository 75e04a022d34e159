package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/test/internal/product"
	"github.com/warrenmesh/warren/test/internal/rawamqp"
)

// life is the lifetime of the events in these cases, and pause is the delay of a retry.
// The lifetime ends between the second attempt and the third.
const (
	life  = 3 * time.Second
	pause = 2 * time.Second
)

// keyed is an event of key "a".
func keyed(id string) *event {
	e := order(id)
	e.Attributes["partitionkey"] = text("a")
	return e
}

func (r *rig) expiresInRetry(perKey, ttl bool) {
	topic, more := []string{}, []string{"queue: {type: classic}"}
	if perKey {
		topic, more = append(topic, "partitions: {count: 1}"), []string{"ordering: PerKey"}
		r.queues = append(r.queues, r.name("billing")+".p0", r.name("billing")+".members")
	}
	if ttl {
		topic = append(topic, fmt.Sprintf("publish: {ttl: %s}", life))
	}
	r.start(r.topic("in", topic...), r.subscription(subscription{name: "billing", topic: "in", app: "app", attempts: 3, backoff: pause, more: more}))
	app := r.service("app")
	var late []string
	end := time.Now().Add(life)
	in := app.watch("billing", func(d *eventsv1.Delivery) eventsv1.Outcome {
		if d.GetEvent().GetId() != "brief" {
			return ack
		}
		if time.Since(end) > 5*time.Second { // a generous bound, because the machine may be busy
			late = append(late, fmt.Sprintf("attempt %d", d.GetAttempt()))
		}
		return retry
	})
	brief := keyed("brief")
	if !ttl {
		brief.Attributes["expirytime"] = &attribute{Attr: &eventsv1.CloudEvent_CloudEventAttributeValue_CeTimestamp{CeTimestamp: timestamppb.New(end)}}
	}
	if _, err := app.publish("in", brief); err != nil {
		r.Fatal(err)
	}
	letters := r.awaitDead("billing", 1)
	if reason := why(&letters[0]); letters[0].MessageID != "brief" || reason != "expired" {
		r.Errorf("%q is a dead letter for reason %q, want brief and expired", letters[0].MessageID, reason)
	}
	app.getsThrough("in", in)
	r.boundedDeliveries(in, 2)
	if len(late) > 0 {
		r.Errorf("delivered long after it expired: %q", late)
	}
}

func (r *rig) expiresInQueue() {
	r.start(r.topic("in", fmt.Sprintf("publish: {ttl: %s}", life)),
		r.subscription(subscription{name: "billing", topic: "in", app: "app", attempts: 3, backoff: pause, more: []string{"queue: {type: classic}"}}))
	app := r.service("app")
	first := app.subscribe("billing")
	app.mustPublish("in", "retried")
	first.settle(first.next(), retry, "not now")
	r.wantEmpty("billing") // it waits in the delay queue
	first.close()
	app.mustPublish("in", "unseen")
	product.Eventually(r, "the broker dead-letters the expired event", func() error {
		if len(r.letters("billing")) == 0 {
			return errors.New("nothing is a dead letter")
		}
		return nil
	})
	// RabbitMQ 3 ignores the TTL of a message that leaves a delay queue. The sidecar
	// checks it when it delivers the message.
	in := app.watch("billing", always(ack))
	for _, l := range r.awaitDead("billing", 2) {
		if reason := why(&l); reason != "expired" {
			r.Errorf("%s is a dead letter for reason %q, want expired", l.MessageID, reason)
		}
	}
	app.getsThrough("in", in)
	for _, id := range in.ids() {
		if !strings.HasPrefix(id, "next-") {
			r.Errorf("%s came, though its life had ended", id)
		}
	}
}

// getsThrough publishes events of one key until one arrives. On a busy machine an event
// may expire on its way.
func (s *service) getsThrough(topic string, in *watcher) {
	s.rig.Helper()
	n := 0
	product.Eventually(s.rig, "the next event comes", func() error {
		n++
		if _, err := s.publish(topic, keyed(fmt.Sprintf("next-%d", n))); err != nil {
			return err
		}
		for _, id := range in.ids() {
			if strings.HasPrefix(id, "next-") {
				return nil
			}
		}
		return fmt.Errorf("%q came", in.ids())
	})
}

func (r *rig) attemptsAreOfOneMessage() {
	const copies = 6
	r.start(r.topic("in"), r.subscription(subscription{name: "billing", topic: "in", app: "app", attempts: 3, backoff: retryDelay, more: []string{"queue: {type: quorum}"}}))
	app := r.service("app")
	r.crashedOnce(app, copies, func() {
		for range copies {
			r.raw("in", rawamqp.Message{Properties: rawamqp.Properties{Type: "tick", DeliveryMode: 2}, Body: []byte("{}")})
		}
	})
	r.crashedOnce(app, copies, func() {
		for range copies {
			app.mustPublish("in", "again and again")
		}
	})
	if letters := r.letters("billing"); len(letters) > 0 {
		r.Errorf("%d messages are dead letters, though each was lost once", len(letters))
	}
}

// crashedOnce lets a service disconnect while it holds n messages. Each comes back as
// its second attempt.
func (r *rig) crashedOnce(app *service, n int, publish func()) {
	r.Helper()
	held := app.subscribe("billing")
	publish()
	for range n {
		if d := held.next(); d.GetAttempt() != 1 {
			r.Errorf("the first delivery is attempt %d", d.GetAttempt())
		}
	}
	held.close()
	in, err := app.open(&eventsv1.SubscribeInit{Subscription: "billing", InitialCredit: 1 << 20, SettleResults: true})
	if err != nil {
		r.Fatal(err)
	}
	var again []*eventsv1.Delivery
	for range n {
		d := in.next()
		if d.GetAttempt() != 2 || !d.GetRedelivered() {
			r.Errorf("%s comes back as attempt %d, redelivered %v", d.GetEvent().GetId(), d.GetAttempt(), d.GetRedelivered())
		}
		again = append(again, d)
	}
	for _, d := range again { // only now, because next discards results
		in.ack(d)
	}
	for settled := 0; settled < n; { // wait for all results: the end of the stream would return the messages
		res, err := in.Recv()
		if err != nil {
			r.Fatal(err)
		}
		settled += len(res.GetSettled().GetResults())
	}
	r.wantEmpty("billing")
	in.close()
}

func (r *rig) movedTopic() {
	declare := func(topic string) {
		r.mesh.Write("shop.yaml", r.mesh.Broker.YAML(r.namespace)+r.topic("in")+r.topic("new")+
			r.subscription(subscription{name: "billing", topic: topic, app: "app", more: []string{"queue: {type: classic}"}}))
	}
	declare("in")
	r.mesh.StartControlPlane()
	app := r.service("app")
	in := app.watch("billing", always(ack))
	app.mustPublish("in", "before")
	in.await("before")
	declare("new")
	moved := 0
	product.Eventually(r, "the new topic leads to the queue", func() error {
		moved++
		_, err := app.publish("new", order(fmt.Sprintf("new-%d", moved)))
		return err
	})
	_, err := app.publish("in", order("old"))
	_, errNew := app.publish("new", order("last"))
	if errNew != nil {
		r.Fatal(errNew)
	}
	if err == nil {
		in.await("old") // it was routed to the queue before the change, so it must be delivered
	} else if got := refusalOf(r.T, err); got.reason != "UNROUTABLE" {
		r.Errorf("to the old topic: %v", err)
	}
	in.await("last")
	for _, d := range in.deliveries() {
		want := r.namespace + "/new"
		if id := d.GetEvent().GetId(); id == "before" || id == "old" {
			want = r.namespace + "/in"
		}
		if d.GetTopic() != want {
			r.Errorf("%s came as one of topic %s, want %s", d.GetEvent().GetId(), d.GetTopic(), want)
		}
	}
}

// longQueueName: the names ".dead" and ".retry.1000ms" are appended to a queue's name.
func (r *rig) longQueueName() {
	const longest = 255 - len(".retry.1000ms")
	validate := func(length int, more string) (said string, code int) {
		dir := r.TempDir()
		text := r.mesh.Broker.YAML(r.namespace) + r.topic("in") + strings.Replace(
			r.subscription(subscription{name: "billing", topic: "in", app: "app", attempts: 3, backoff: time.Second}),
			"  topicRef:", fmt.Sprintf("  queue: {name: %s%s}\n  topicRef:", strings.Repeat("q", length), more), 1)
		if err := os.WriteFile(filepath.Join(dir, "shop.yaml"), []byte(text), 0o600); err != nil {
			r.Fatal(err)
		}
		out, errs, code := r.mesh.Warren(r.Context(), "config", "validate", dir)
		return out + errs, code
	}
	for _, kind := range []string{"", ", type: classic"} {
		for _, n := range []int{longest + 1, 245, 250, 255} {
			if said, code := validate(n, kind); code == 0 || !strings.Contains(said, fmt.Sprint(longest)) {
				r.Errorf("a queue name of %d bytes%s: exit code %d, want a refusal that names %d:\n%s", n, kind, code, longest, said)
			}
		}
		if said, code := validate(longest, kind); code != 0 {
			r.Errorf("a queue name of %d bytes%s: exit code %d:\n%s", longest, kind, code, said)
		}
	}
	r.exchanges, r.queues = nil, nil // nothing was declared on the broker
}

// refusedIsNotSent: an event that the broker certainly refused does not have an unknown
// outcome.
func (r *rig) refusedIsNotSent() {
	exchange := func(name string, internal bool) {
		if err := r.plain.ExchangeDeclare(r.name(name), "topic", true, false, internal, false, nil); err != nil {
			r.Fatal(err)
		}
	}
	exchange("in", true)
	exchange("used", false)
	if _, err := r.plain.QueueDeclare(r.name("sink"), true, false, false, false, amqp.Table{}); err != nil {
		r.Fatal(err)
	}
	if err := r.plain.QueueBind(r.name("sink"), "#", r.name("used"), false, nil); err != nil {
		r.Fatal(err)
	}
	r.queues = append(r.queues, r.name("sink"))
	objects := r.topic("in") + r.topic("used") + r.topic("missing")
	r.mesh.Write("shop.yaml", strings.Replace(r.mesh.Broker.YAML(r.namespace), "  credentials:", "  topology: Verify\n  credentials:", 1)+objects)
	r.mesh.StartControlPlane()
	app := r.service("app")
	app.mustPublish("used", "routed")
	if err := r.plain.ExchangeDelete(r.name("used"), false, false); err != nil {
		r.Fatal(err)
	}
	for topic, want := range map[string]refusal{
		"in":      {codes.PermissionDenied, "BROKER_ACCESS_REFUSED", "not_sent"},
		"missing": {codes.NotFound, "EXCHANGE_NOT_FOUND", "not_sent"},
		"used":    {codes.NotFound, "EXCHANGE_NOT_FOUND", "not_sent"},
	} {
		for i := range 3 {
			_, err := app.publish(topic, order(id(topic, i)))
			if err == nil {
				r.Errorf("event %d to %s is answered OK", i, topic)
				continue
			}
			if got := refusalOf(r.T, err); got.reason != want.reason || got.outcome != want.outcome {
				r.Errorf("event %d to %s is answered %+v, want %+v", i, topic, got, want)
			}
		}
	}
}

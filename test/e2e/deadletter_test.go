package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/test/internal/product"
)

// buried is a mesh whose service has refused three orders. Behind them are n dead
// letters of billing that a sidecar wrote at another time.
func buried(t *testing.T, n int) (r *rig, billing *service) {
	t.Helper()
	r = newRig(t)
	r.start(r.topic("orders"), r.subscription(subscription{name: "billing", topic: "orders", app: "billing"}),
		r.subscription(subscription{name: "audit", topic: "orders", app: "audit"}))
	checkout := r.service("checkout")
	billing = r.service("billing")
	in := billing.subscribe("billing")
	for i := range 3 {
		checkout.mustPublish("orders", id("refused", i))
		in.settle(in.next(), eventsv1.Outcome_OUTCOME_DEAD_LETTER, "no such customer")
		r.awaitLetters(i + 1) // outcomes are carried out concurrently
	}
	in.close() // only now, so that every outcome was carried out
	for i := range n {
		r.putLetter(id("old", i), "")
	}
	r.awaitLetters(3 + n)
	return r, billing
}

// putLetter puts a dead letter into billing's queue in the form that docs/rabbitmq.md
// describes. Its payload ends in padding.
func (r *rig) putLetter(id, padding string) {
	r.Helper()
	err := r.plain.PublishWithContext(r.Context(), "", r.name("billing.dead"), true, false, amqp.Publishing{
		MessageId: id, DeliveryMode: amqp.Persistent, ContentType: "application/json", AppId: "checkout", Body: []byte(`{"id":"` + id + `"}` + padding),
		Headers: amqp.Table{
			"ce-specversion": "1.0", "ce-id": id, "ce-source": "/checkout", "ce-type": "com.shop.order.cancelled", "ce-retries": int32(7),
			"traceparent":    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
			"warren-attempt": int64(5), "warren-origin-exchange": r.name("orders"), "warren-origin-key": "com.shop.order.cancelled",
			"warren-dead-letter-reason": "attempts-exhausted", "warren-dead-letter-subscription": r.namespace + "/billing",
			"warren-dead-letter-exchange": r.name("orders"), "warren-dead-letter-routing-key": "com.shop.order.cancelled",
			"warren-dead-letter-attempts": int64(5), "warren-dead-letter-time": "2026-11-23T06:03:33.628580068Z",
		},
	})
	if err != nil {
		r.Fatalf("publish dead letter %s: %v", id, err)
	}
}

// awaitLetters waits until n dead letters are ready in billing's queue.
func (r *rig) awaitLetters(n int) {
	r.Helper()
	product.Eventually(r.T, fmt.Sprintf("%d dead letters are ready", n), func() error {
		q, err := r.plain.QueueDeclarePassive(r.name("billing.dead"), true, false, false, false, nil)
		if err != nil {
			r.Fatal(err)
		}
		if q.Messages != n {
			return fmt.Errorf("there are %d", q.Messages)
		}
		return nil
	})
}

// takeLetters removes all dead letters and returns them without the broker's headers
// about this delivery.
func (r *rig) takeLetters() []amqp.Delivery {
	r.Helper()
	var out []amqp.Delivery
	for {
		d, ok, err := r.plain.Get(r.name("billing.dead"), true)
		if err != nil {
			r.Fatal(err)
		}
		if !ok {
			return out
		}
		delete(d.Headers, "x-delivery-count") // the broker's own header
		delete(d.Headers, "x-acquired-count") // from RabbitMQ 4.0 on
		d.Acknowledger, d.DeliveryTag, d.MessageCount, d.Redelivered = nil, 0, 0, false
		out = append(out, d)
	}
}

// listed runs warren deadletter list and returns the dead letters of its lines.
func (s *service) listed(args ...string) []*adminv1.DeadLetter {
	s.rig.Helper()
	var out []*adminv1.DeadLetter
	for line := range strings.Lines(s.warren(slices.Concat([]string{"deadletter", "list", "billing", "-o", "json"}, args)...)) {
		letter := new(adminv1.DeadLetter)
		if err := protojson.Unmarshal([]byte(line), letter); err != nil {
			s.rig.Fatalf("%v in %s", err, line)
		}
		out = append(out, letter)
	}
	return out
}

// asked makes the same call as the command, without starting a process.
func (s *service) asked(admin adminv1.AdminServiceClient, payload uint32) []*adminv1.DeadLetter {
	s.rig.Helper()
	ctx, cancel := context.WithTimeout(s.rig.Context(), callTime)
	defer cancel()
	stream, err := admin.ListDeadLetters(ctx, &adminv1.ListDeadLettersRequest{Subscription: "billing", MaxPayloadBytes: payload})
	if err != nil {
		s.rig.Fatal(err)
	}
	var out []*adminv1.DeadLetter
	for {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			s.rig.Fatalf("list dead letters: %v", err)
		}
		if letter := response.GetLetter(); letter != nil {
			out = append(out, letter)
		}
	}
}

func sameLetters(a, b []*adminv1.DeadLetter) bool {
	return slices.EqualFunc(a, b, func(a, b *adminv1.DeadLetter) bool { return proto.Equal(a, b) })
}

func eventIDs(letters []*adminv1.DeadLetter) []string {
	var out []string
	for _, l := range letters {
		out = append(out, l.GetEventId())
	}
	return out
}

// series lists ids of two series, in order.
func series(refused, old int) []string {
	var out []string
	for i := range refused {
		out = append(out, id("refused", i))
	}
	for i := range old {
		out = append(out, id("old", i))
	}
	return out
}

func TestDeadLetterCommandsListFiftyTimesLosesNoneAndChangesNothing(t *testing.T) {
	t.Parallel()
	const old = 90
	want := slices.Concat([]string{"large"}, series(3, old))
	r, billing := buried(t, old)
	// A large dead letter makes a reader's window small. The order must hold over six
	// channels.
	r.putLetter("large", strings.Repeat(" ", 2<<20))
	r.awaitLetters(len(want))
	for range 3 + old { // to the head of the queue
		d, _, err := r.plain.Get(r.name("billing.dead"), true)
		if err != nil {
			t.Fatal(err)
		}
		err = r.plain.PublishWithContext(t.Context(), "", r.name("billing.dead"), true, false, amqp.Publishing{
			MessageId: d.MessageId, DeliveryMode: d.DeliveryMode, ContentType: d.ContentType, AppId: d.AppId, Headers: d.Headers, Body: d.Body,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	r.awaitLetters(len(want))
	first := billing.listed("--payload=1024")
	if got := eventIDs(first); !slices.Equal(got, want) {
		t.Fatalf("listed %d dead letters: %q", len(got), got)
	}
	// The command only makes this call: 48 more processes would prove nothing more.
	admin := adminv1.NewAdminServiceClient(billing.Dial(billing.Admin))
	for i := range 48 {
		if again := billing.asked(admin, 1024); !sameLetters(again, first) {
			t.Fatalf("listing %d differs: %d dead letters\n%v", i+2, len(again), again)
		}
	}
	if again := billing.listed("--payload=1024"); !sameLetters(again, first) {
		t.Fatalf("the last listing differs: %d dead letters\n%v", len(again), again)
	}
	r.awaitLetters(len(want))
	letters := r.takeLetters()
	var got []string
	for _, d := range letters {
		got = append(got, d.MessageId)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%d dead letters are left, in this order: %q", len(got), got)
	}
	r.putLetter(id("old", 0), "")
	r.awaitLetters(1)
	fresh := r.takeLetters()[0]
	if was := letters[4]; !maps.Equal(was.Headers, fresh.Headers) || !bytes.Equal(was.Body, fresh.Body) || was.AppId != fresh.AppId || was.ContentType != fresh.ContentType {
		t.Errorf("after 50 listings a dead letter is\n%+v\na fresh one is\n%+v", was, fresh)
	}
}

func TestDeadLetterCommandsRedriveWhatIsChosen(t *testing.T) {
	t.Parallel()
	r, billing := buried(t, 5)
	if out := billing.warren("deadletter", "show", "billing", id("refused", 1)); !strings.Contains(out, "no such customer") || !strings.Contains(out, `{"id":"refused-00001"}`) {
		t.Errorf("show:\n%s", out)
	}
	if out := billing.warren("deadletter", "redrive", "billing", "--type", "com.shop.order.c*", "--dry-run", "-o", "json"); !strings.Contains(out, `"done": "5"`) {
		t.Errorf("dry run:\n%s", out)
	}
	r.awaitLetters(8)
	if out := billing.warren("deadletter", "redrive", "billing", "--type", "com.shop.order.c*", "--rate", "20", "-o", "json"); !strings.Contains(out, `"done": "5"`) {
		t.Errorf("redrive:\n%s", out)
	}
	if got := eventIDs(billing.listed()); !slices.Equal(got, series(3, 0)) {
		t.Errorf("left: %q", got)
	}
	in := billing.subscribe("billing")
	for i := range 5 {
		d := in.next()
		e := d.GetEvent()
		if e.GetId() != id("old", i) || d.GetAttempt() != 1 || !d.GetRedelivered() || string(e.GetBinaryData()) != `{"id":"`+e.GetId()+`"}` ||
			e.GetType() != "com.shop.order.cancelled" || e.GetAttributes()["retries"].GetCeInteger() != 7 {
			t.Errorf("redriven %d: %v", i, d)
		}
		if parent := d.GetTraceContext()["traceparent"]; !strings.Contains(parent, "0af7651916cd43dd8448eb211c80319c") {
			t.Errorf("its trace is %q", parent)
		}
		in.settle(d, eventsv1.Outcome_OUTCOME_DEAD_LETTER, "still not")
	}
	r.awaitLetters(8)
	letters := r.takeLetters()
	if last := letters[7].Headers; last["warren-dead-letter-attempts"] != int64(1) || last["warren-dead-letter-detail"] != "still not" ||
		last["warren-origin-exchange"] != r.name("orders") || last["warren-origin-key"] != "com.shop.order.cancelled" {
		t.Errorf("dead-lettered again: %v", last)
	}
}

func TestDeadLetterCommandsRedriveToTheTopicReachesEverySubscription(t *testing.T) {
	t.Parallel()
	r, billing := buried(t, 2)
	audit := r.service("audit")
	in := audit.subscribe("audit")
	billing.warren("deadletter", "redrive", "billing", "--to", "topic", "--reason", "attempts-exhausted")
	for i := range 2 {
		d := in.next()
		if d.GetEvent().GetId() != id("old", i) || !d.GetRedelivered() {
			t.Errorf("audit received %v", d)
		}
		in.ack(d)
	}
	mine := billing.subscribe("billing")
	for range 2 {
		mine.ack(mine.next())
	}
	r.wantEmpty("billing")
}

func TestDeadLetterCommandsPurgeOnlyWhatIsOld(t *testing.T) {
	t.Parallel()
	r, billing := buried(t, 20)
	_, errs, code := r.mesh.Warren(t.Context(), "deadletter", "purge", "billing", "--admin", billing.Admin)
	if code != 2 || !strings.Contains(errs, "--yes") {
		t.Errorf("without --yes: exit %d\n%s", code, errs)
	}
	r.awaitLetters(23)
	if out := billing.warren("deadletter", "purge", "billing", "--until", "1h", "--limit", "15", "--yes", "-o", "json"); !strings.Contains(out, `"done": "15"`) {
		t.Errorf("purge:\n%s", out)
	}
	got := eventIDs(billing.listed())
	if want := slices.Concat(series(3, 0), series(0, 20)[15:]); !slices.Equal(got, want) {
		t.Errorf("left: %q, want %q", got, want)
	}
	if since := eventIDs(billing.listed("--since", time.Now().Add(-time.Hour).Format(time.RFC3339))); !slices.Equal(since, series(3, 0)) {
		t.Errorf("dead-lettered within the hour: %q", since)
	}
}

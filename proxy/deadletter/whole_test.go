package deadletter_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/deadletter"
	"github.com/warrenmesh/warren/proxy/event"
)

// blind is a driver that takes no message for an event.
type blind struct{ queueing.Driver }

func (b blind) Consume(ctx context.Context, opts queueing.ConsumeOptions, sink func([]*queueing.Delivery)) (func(), error) {
	return b.Driver.Consume(ctx, opts, func(batch []*queueing.Delivery) {
		for _, d := range batch {
			d.ID, d.Event, d.Malformed = "malformed-"+d.Event.ID, nil, errors.New("it has no type")
		}
		sink(batch)
	})
}

func TestAMessageThatIsNoEventIsListedAndGoesBackAsItWas(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b := letter("a", 0), letter("b", 0)
	a.Headers, a.ReplyTo, a.ContentEncoding = []broker.Header{{Name: "tenant", Value: "acme"}}, "rpc.q", "gzip"
	r.put(a, b)
	r.driver = blind{r.driver}
	var listed []string
	if _, err := r.List(t.Context(), deadletter.Query{Subscription: billing}, func(d *broker.Delivery) error {
		listed = append(listed, d.MessageID())
		return nil
	}); err != nil || strings.Join(listed, " ") != "malformed-a malformed-b" {
		t.Errorf("listed %q (%v)", listed, err)
	}
	chosen := deadletter.Query{Subscription: billing, Filter: deadletter.Filter{IDs: []string{"malformed-a"}}}
	if report := r.redrive(chosen, deadletter.Redrive{}); report.Done != 1 {
		t.Fatalf("%+v", report)
	}
	r.wantIDs("shop.billing", "a")
	r.wantIDs(dead, "b")
	m := r.broker.Peek("shop.billing", 1)[0]
	if len(m.Headers) != 1 || m.Headers[0] != a.Headers[0] || m.ReplyTo != a.ReplyTo || m.ContentEncoding != a.ContentEncoding || string(m.Event.Data) != "data of a" {
		t.Errorf("it came back as %+v", m)
	}
}

func TestARedriveToTheTopicGoesByTheConfiguration(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	err := r.driver.EnsureTopology(t.Context(), queueing.Topology{
		Policy:    mesh.Manage,
		Exchanges: []mesh.Exchange{{Name: "payroll", Type: "topic"}},
		Queues:    []queueing.Queue{{Name: "payroll.orders"}},
		Bindings:  []queueing.Binding{{Exchange: "payroll", Queue: "payroll.orders", Key: "#"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	forged, straight := letter("forged", 0), letter("straight", 0)
	forged.OriginExchange, forged.DeadLetter.Origin.Name = "payroll", "payroll"
	straight.OriginExchange, straight.DeadLetter.Origin.Name, straight.OriginKey = "", "", "payroll.orders"
	r.put(forged, straight, letter("0", 0))
	report := r.redrive(deadletter.Query{Subscription: billing}, deadletter.Redrive{To: deadletter.Topic})
	if report.Done != 1 || report.Failed != 2 || !strings.Contains(report.Failure, `exchange ""`) || !strings.Contains(report.Failure, `"orders"`) {
		t.Errorf("%+v", report)
	}
	r.wantIDs("payroll.orders")
	r.wantIDs("shop.billing", "0")
	r.wantIDs(dead, "forged", "straight")
	if report := r.redrive(deadletter.Query{Subscription: billing}, deadletter.Redrive{}); report.Done != 2 {
		t.Errorf("to the subscription: %+v", report)
	}
	r.wantIDs("shop.billing", "0", "forged", "straight")
}

func TestALetterThatCannotComeBackAliveOrWholeStays(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	over, cut, described := letter("over", 0), letter("cut", 0), letter("described", 0)
	over.Event.Set(event.AttrExpiryTime, event.Timestamp(time.Now().Add(-time.Second)))
	cut.DeadLetter.Cut = "header blob of 65340 bytes"
	described.Event.Type, described.DeadLetter.Reason = "io.warrenmesh.malformed", "invalid-event"
	r.put(over, cut, described, letter("0", 0))
	if report := r.redrive(deadletter.Query{Subscription: billing}, deadletter.Redrive{}); report.Done != 1 || report.Failed != 3 {
		t.Errorf("%+v", report)
	}
	r.wantIDs("shop.billing", "0")
	r.wantIDs(dead, "over", "cut", "described")
}

func TestLettersOfTheBrokerAreThoseOfTheQueueThatGaveThemUp(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var queues []queueing.Queue
	for _, sub := range []string{"billing", "shipping"} {
		queues = append(queues, queueing.Queue{Name: "backed." + sub, DeadLetter: dead})
		r.subscriptions[mesh.Name{Namespace: "shop", Name: sub}].Queue.Name = "backed." + sub
	}
	if err := r.driver.EnsureTopology(t.Context(), queueing.Topology{Policy: mesh.Manage, Queues: queues}); err != nil {
		t.Fatal(err)
	}
	for _, sub := range []string{"billing", "shipping"} {
		r.put(&queueing.Message{RoutingKey: "backed." + sub, Event: &event.Event{ID: sub, Source: "/s", Type: "t"}, TTL: time.Millisecond, OriginExchange: "orders", OriginKey: "k"})
	}
	for len(r.ids(dead)) < 2 {
		select {
		case <-t.Context().Done():
			t.Fatal("nothing expired")
		case <-time.After(time.Millisecond):
		}
	}
	ids, report := r.list(deadletter.Query{Subscription: billing, Filter: deadletter.Filter{Reasons: []string{broker.ReasonExpired}}})
	if strings.Join(ids, " ") != "billing" || report.Foreign != 1 {
		t.Errorf("listed %q, %+v", ids, report)
	}
	if report := r.redrive(deadletter.Query{Subscription: shipping}, deadletter.Redrive{To: deadletter.Topic}); report.Done != 1 {
		t.Errorf("%+v", report)
	}
	r.wantIDs("shop.shipping", "shipping") // which is bound to the topic
	r.wantIDs(dead, "billing")
}

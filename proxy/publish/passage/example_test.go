package passage_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/limit"
	"github.com/warrenmesh/warren/proxy/pool"
	"github.com/warrenmesh/warren/proxy/publish/passage"
	"github.com/warrenmesh/warren/proxy/route"
	"github.com/warrenmesh/warren/tracing"
)

// flaky is a broker with one node, which nacks the first event and confirms all others.
type flaky struct{ nacked bool }

func (f *flaky) Claim(context.Context, mesh.Name, string, []pool.Node) (pool.Node, error) {
	return f, nil
}

func (f *flaky) Publish(_ context.Context, batch []*broker.Message, told broker.Told) {
	if !f.nacked {
		f.nacked = true
		told(0, len(batch), &broker.Error{Kind: broker.Nacked, Outcome: broker.Unknown, Op: "publish"})
		return
	}
	told(0, len(batch), nil)
}

func (f *flaky) Address() string { return "127.0.0.1:5672" }
func (f *flaky) Answered(error)  {}

func ExampleSender() {
	orders := mesh.Name{Namespace: "shop", Name: "orders"}
	topic, _ := route.Compile(&mesh.Config{Topics: map[mesh.Name]*mesh.Topic{orders: {Name: orders, Rules: []mesh.Rule{{
		Retry:    mesh.Retry{Attempts: 3, On: []mesh.RetryOn{mesh.OnNack}},
		Backends: []mesh.Backend{{Weight: 1, Destination: mesh.Destination{Topic: orders, ConfirmTimeout: time.Second}}},
	}}}}}).Topic(orders)
	e := &event.Event{ID: "17", Source: "/checkout", Type: "com.shop.order.placed"}
	rule := topic.Match(e)
	backend := rule.Pick(0)

	inFlight := limit.NewBudget(100, 0)
	sender := passage.New(passage.Options{
		Brokers: &flaky{}, Tracing: tracing.Disabled().Messaging(), InFlight: inFlight, Now: time.Now, Random: rand.Float64,
	})
	inFlight.TryTake(1)
	t := sender.Depart(context.Background(), time.Now().Add(10*time.Second), passage.Accepted{
		Rule: rule, Backend: backend, Message: &broker.Message{To: backend.Destination, Event: e}, Weight: 1, Asked: "orders",
	}, nil)
	err := sender.Arrive(t, sender.Wait(t))
	count, _ := inFlight.InUse()
	fmt.Println("attempts:", t.Attempts(), "error:", err, "in flight:", count)
	// Output: attempts: 2 error: <nil> in flight: 0
}

package brokertest

import (
	"context"
	"slices"

	"github.com/warrenmesh/warren/internal/brokertest/one"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
)

// batches are what many events in one call come to.
var batches = []behaviour{
	{name: "each message of a batch has an outcome of its own, and those that arrive keep their order", run: func(r *rig) {
		const n = 150
		orders, nowhere := r.topic("orders"), r.topic("nowhere")
		billing := r.subscription(orders, "billing")
		to := func(i int) *mesh.Destination {
			if i%3 == 1 {
				return nowhere // nobody subscribes to it
			}
			return orders
		}
		var batch []*broker.Message
		var arrive []string
		for i, id := range numbered(n) {
			batch = append(batch, message(to(i), id))
			if to(i) == orders {
				arrive = append(arrive, id)
			}
		}
		for i, err := range r.outcomes(r.context(), batch) {
			if to(i) == orders && err != nil {
				r.Errorf("message %d: %v", i, err)
			}
			if to(i) == nowhere {
				r.wantKind(err, broker.Unroutable, broker.Failed)
			}
		}
		r.receive(billing, n).acked(arrive...)
	}},
	{name: "batches of one goroutine keep their order", run: func(r *rig) {
		orders := r.topic("orders")
		billing := r.subscription(orders, "billing")
		var told []*one.Outcomes
		for ids := range slices.Chunk(numbered(200), 7) {
			var batch []*broker.Message
			for _, id := range ids {
				batch = append(batch, message(orders, id))
			}
			o := one.NewOutcomes(len(batch))
			told = append(told, o)
			r.driver.Publish(r.context(), batch, o.Told)
			clear(batch) // it is the caller's again
		}
		for _, o := range told {
			r.settled(o)
		}
		r.receive(billing, 200).acked(numbered(200)...)
	}},
	{name: "a batch with an ended context writes nothing, and says so of each message", run: func(r *rig) {
		orders := r.topic("orders")
		billing := r.subscription(orders, "billing")
		ctx, cancel := context.WithCancel(r.context())
		cancel()
		for _, err := range r.outcomes(ctx, []*broker.Message{message(orders, "1"), message(orders, "2"), message(orders, "3")}) {
			r.wantKind(err, broker.WindowFull, broker.NotSent)
		}
		r.publish(orders, "4")
		r.receive(billing, 10).acked("4")
	}},
	{name: "an empty batch is nothing", run: func(r *rig) {
		r.driver.Publish(r.context(), nil, func(from, to int, err error) { r.Errorf("told of %d to %d: %v", from, to, err) })
	}},
	{name: "what has arrived is handed out in order, all of one epoch", run: func(r *rig) {
		orders := r.topic("orders")
		billing := r.subscription(orders, "billing")
		r.publish(orders, numbered(200)...)
		ctx, leave := context.WithCancel(r.context())
		defer leave()
		var got []string
		drain, err := r.driver.Receive(ctx, broker.Receiving{Subscription: billing, Prefetch: 200, AtOnce: 16, Tag: "brokertest"}, func(batch []*broker.Delivery) {
			if len(batch) == 0 || len(batch) > 16 {
				r.Errorf("%d deliveries were handed out at once", len(batch))
			}
			for _, d := range batch {
				if d.Epoch != batch[0].Epoch {
					r.Errorf("deliveries of epochs %d and %d in one batch", batch[0].Epoch, d.Epoch)
				}
				got = append(got, d.Event.ID)
				if err := d.Ack(); err != nil {
					r.Errorf("ack of %s: %v", d.Event.ID, err)
				}
			}
			clear(batch)
			if len(got) == 200 {
				leave()
			}
		})
		drain()
		if err != nil || !slices.Equal(got, numbered(200)) {
			r.Errorf("received %v, %v", got, err)
		}
	}},
}

// outcomes publishes a batch and returns what becomes of each of its messages.
func (r *rig) outcomes(ctx context.Context, batch []*broker.Message) []error {
	r.Helper()
	o := one.NewOutcomes(len(batch))
	r.driver.Publish(ctx, batch, o.Told)
	return r.settled(o)
}

// settled returns the outcomes once all are told.
func (r *rig) settled(o *one.Outcomes) []error {
	r.Helper()
	select {
	case <-o.Done():
	case <-r.context().Done():
	}
	errs, missing, err := o.Errors()
	if err != nil || missing > 0 {
		r.Fatalf("%d of %d messages have no outcome; %v", missing, len(errs), err)
	}
	return errs
}

// publishAgain publishes m after an interruption, of which the publishing side may learn
// later than whoever receives.
func (r *rig) publishAgain(m *broker.Message) {
	r.Helper()
	r.eventually("events are published again", func() bool {
		err := r.outcomes(r.context(), []*broker.Message{m})[0]
		if kind := broker.KindOf(err); err != nil && kind != broker.Unavailable && kind != broker.Closed {
			r.Fatalf("publish after an interruption: %v", err)
		}
		return err == nil
	})
}

package queueingtest

import (
	"context"
	"time"

	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/internal/one"
)

// inbox is a consumer under test: it passes on what its sink is given and settles
// nothing by itself.
type inbox struct {
	rig        *rig
	deliveries chan *queueing.Delivery
	losses     chan uint64 // epochs of channels that are gone
	cancel     context.CancelFunc
	ended      chan struct{} // closed when Consume has returned
	drain      func()        // set before ended
	err        error         // set before ended
}

// consume starts a consumer, which the end of the behaviour stops and drains.
func (r *rig) consume(queue string, prefetch int) *inbox {
	r.Helper()
	return r.consumeWith(r.driver, queue, prefetch)
}

func (r *rig) consumeWith(d queueing.Driver, queue string, prefetch int) *inbox {
	r.Helper()
	return r.consumeAs(d, queueing.ConsumeOptions{Queue: queue, Prefetch: prefetch})
}

// consumeAs is consume with options of its own.
func (r *rig) consumeAs(d queueing.Driver, opts queueing.ConsumeOptions) *inbox {
	r.Helper()
	ctx, cancel := context.WithCancel(r.Context())
	in := &inbox{rig: r, deliveries: make(chan *queueing.Delivery, 4096), losses: make(chan uint64, 64), cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(in.ended)
		opts.Tag, opts.Lost = "brokertest", func(epoch uint64) { in.losses <- epoch }
		in.drain, in.err = d.Consume(ctx, opts, one.Each(func(d *queueing.Delivery) { in.deliveries <- d }))
	}()
	r.Cleanup(in.end)
	return in
}

// next returns the next delivery, which must be an event.
func (in *inbox) next() *queueing.Delivery {
	in.rig.Helper()
	d := in.any()
	if d.Malformed != nil {
		in.rig.Fatalf("delivery is malformed: %v", d.Malformed)
	}
	return d
}

// any returns the next delivery.
func (in *inbox) any() *queueing.Delivery {
	in.rig.Helper()
	select {
	case d := <-in.deliveries:
		return d
	case <-in.ended:
		in.rig.Fatalf("consumer ended: %v", in.err)
	case <-time.After(patience):
		in.rig.Fatalf("no delivery within %v", patience)
	}
	return nil
}

// take returns the next n deliveries.
func (in *inbox) take(n int) []*queueing.Delivery {
	in.rig.Helper()
	var got []*queueing.Delivery
	for len(got) < n {
		got = append(got, in.next())
	}
	return got
}

// takeAfter returns the next n deliveries of epochs after one; what is left of
// older ones is dropped.
func (in *inbox) takeAfter(epoch uint64, n int) []*queueing.Delivery {
	in.rig.Helper()
	var got []*queueing.Delivery
	for len(got) < n {
		if d := in.next(); d.Epoch > epoch {
			got = append(got, d)
		}
	}
	return got
}

// acked takes n deliveries, acks each and returns their ids.
func (in *inbox) acked(n int) []string {
	in.rig.Helper()
	var got []string
	for range n {
		d := in.next()
		in.rig.ack(d)
		got = append(got, d.Event.ID)
	}
	return got
}

// wantNone checks that nothing more is delivered for a while.
func (in *inbox) wantNone() {
	in.rig.Helper()
	select {
	case d := <-in.deliveries:
		in.rig.Fatalf("unexpected delivery of %s", d.Event.ID)
	case <-time.After(quiet):
	}
}

// stop ends the consumer and waits for it. What it delivered can still be settled
// until drain.
func (in *inbox) stop() {
	in.rig.Helper()
	in.cancel()
	select {
	case <-in.ended:
	case <-time.After(patience):
		in.rig.Fatalf("Consume did not return within %v of the end of its context", patience)
	}
}

// ack acks d, which must be settled for the first time.
func (r *rig) ack(d *queueing.Delivery) {
	r.Helper()
	if err := d.Ack(); err != nil {
		r.Fatalf("ack %s: %v", d.Event.ID, err)
	}
}

// requeue gives d back, which must be settled for the first time.
func (r *rig) requeue(d *queueing.Delivery) {
	r.Helper()
	if err := d.Requeue(); err != nil {
		r.Fatalf("requeue %s: %v", d.Event.ID, err)
	}
}

// idsOf returns the ids of deliveries.
func idsOf(deliveries []*queueing.Delivery) []string {
	var s []string
	for _, d := range deliveries {
		s = append(s, d.Event.ID)
	}
	return s
}

// end stops the consumer and gives everything unsettled back.
func (in *inbox) end() {
	in.rig.Helper()
	in.stop()
	if in.drain != nil {
		in.drain()
	}
}

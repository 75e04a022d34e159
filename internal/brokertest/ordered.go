package brokertest

import (
	"context"
	"slices"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
)

func (r *rig) keys() broker.KeyOrder {
	k, _ := r.driver.(broker.KeyOrder)
	return k
}

// publishPart publishes events of one partition.
func (r *rig) publishPart(to *mesh.Destination, partition uint32, ids ...string) {
	r.Helper()
	var messages []*broker.Message
	for _, id := range ids {
		m := message(to, id)
		m.Partition, m.Partitioned = partition, true
		messages = append(messages, m)
	}
	r.send(messages...)
}

// ordered is the order of events with one key.
var ordered = []behaviour{
	{name: "the events of a partition are in one part, in order", needs: keyOrder, run: func(r *rig) {
		orders := r.topic("orders")
		billing := r.ordered(orders, "billing")
		parts := r.keys().Parts(billing)
		if len(parts) != 2 || parts[0] == parts[1] {
			r.Fatalf("parts %q", parts)
		}
		r.publishPart(orders, 0, "a1", "a2")
		r.publishPart(orders, 1, "b1", "b2")
		r.publishPart(orders, 0, "a3")
		r.receive(billing, 10, parts[0]).acked("a1", "a2", "a3")
		d := r.receive(billing, 10, parts[1]).want("b1", "b2")[0]
		if d.Part != parts[1] || d.Partition != 1 || !d.Partitioned {
			r.Errorf("of part %q and partition %d, %v", d.Part, d.Partition, d.Partitioned)
		}
	}},
	{name: "an event without a partition has a part", needs: keyOrder, run: func(r *rig) {
		orders := r.topic("orders")
		billing := r.ordered(orders, "billing")
		r.publish(orders, "1")
		r.receive(billing, 1, r.keys().Parts(billing)[0]).acked("1")
	}},
	{name: "there is no part of another name", needs: keyOrder, run: func(r *rig) {
		orders := r.topic("orders")
		billing := r.ordered(orders, "billing")
		from := broker.Receiving{Subscription: billing, Part: "another", Prefetch: 1}
		if _, err := r.driver.Receive(r.context(), from, func([]*broker.Delivery) {}); broker.KindOf(err) != broker.Invalid {
			r.Fatalf("Receive ended with %v, want invalid", err)
		}
	}},
	{name: "one at a time receives a part, and the next one has all that the first has not settled", needs: keyOrder, run: func(r *rig) {
		orders := r.topic("orders")
		billing := r.ordered(orders, "billing")
		part := r.keys().Parts(billing)[0]
		r.publishPart(orders, 0, "1", "2", "3")
		first := r.receive(billing, 2, part)
		held := first.want("1", "2")
		second := r.receiveOn(r.harness.New(r.T), billing, 5, part)
		second.empty()
		if err := held[0].Ack(); err != nil {
			r.Fatal(err)
		}
		first.want("3")
		first.end()
		second.acked("2", "3")
	}},
	{name: "members are counted, on every node, until they leave", needs: keyOrder, run: func(r *rig) {
		orders := r.topic("orders")
		billing := r.ordered(orders, "billing")
		joined := make(chan error, 2)
		var leave []context.CancelFunc
		for range 2 {
			ctx, cancel := context.WithCancel(r.context())
			leave = append(leave, cancel)
			d, _ := r.harness.New(r.T).(broker.KeyOrder)
			go func() { joined <- d.Join(ctx, billing, "brokertest") }()
		}
		members := func(n int) func() bool {
			return func() bool {
				got, err := r.keys().Members(r.context(), billing)
				return err == nil && got == n
			}
		}
		r.eventually("both are counted", members(2))
		leave[0]()
		if err := <-joined; err != nil {
			r.Error(err)
		}
		r.eventually("one is left", members(1))
		leave[1]()
		if err := <-joined; err != nil {
			r.Error(err)
		}
	}},
	{name: "a letter of a part is revived into its part", needs: func(h *Harness, d broker.Driver) bool { return keyOrder(h, d) && letters(h, d) }, run: func(r *rig) {
		orders := r.topic("orders")
		billing := r.ordered(orders, "billing")
		part := r.keys().Parts(billing)[1]
		r.publishPart(orders, 1, "1", "2")
		in := r.receive(billing, 1, part)
		r.settle(in.want("1")[0], bury(billing))
		in.acked("2")
		if l := r.wantLetters(billing, "1")[0]; !slices.Contains(r.keys().Parts(billing), part) || l.Partition != 1 {
			r.Errorf("the letter is of partition %d", l.Partition)
		}
		r.revive(billing, false)
		in.acked("1")
	}},
}

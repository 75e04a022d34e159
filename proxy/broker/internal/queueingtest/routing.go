package queueingtest

import (
	"fmt"
	"slices"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
)

// routing is which queues a publish reaches.
var routing = []behaviour{
	{name: "topic patterns match words, * and #", run: matchTopics},
	{name: "a direct exchange matches the whole key", run: func(r *rig) {
		exchange, queues := r.exchange("x", "direct", "a.b", "a.*", "a")
		r.publish(&queueing.Message{Exchange: exchange, RoutingKey: "a.b", Event: newEvent("1"), Mandatory: true})
		r.publish(&queueing.Message{Exchange: exchange, RoutingKey: "a", Event: newEvent("2"), Mandatory: true})
		r.wantIDs(r.consume(queues[0], 5).acked(1), []string{"1"})
		r.wantIDs(r.consume(queues[2], 5).acked(1), []string{"2"})
		r.consume(queues[1], 5).wantNone()
	}},
	{name: "a fanout exchange ignores the key", run: func(r *rig) {
		exchange, queues := r.exchange("x", "fanout", "", "some key")
		r.publish(&queueing.Message{Exchange: exchange, RoutingKey: "another", Event: newEvent("1"), Mandatory: true})
		for _, queue := range queues {
			r.wantIDs(r.consume(queue, 5).acked(1), []string{"1"})
		}
	}},
	{name: "a headers exchange takes everything where nothing is asked for", needs: func(h *Harness) bool { return h.Caps.Headers }, run: func(r *rig) {
		exchange, queues := r.exchange("x", "headers", "#")
		r.publish(&queueing.Message{Exchange: exchange, RoutingKey: "any", Event: newEvent("1"), Mandatory: true})
		r.wantIDs(r.consume(queues[0], 5).acked(1), []string{"1"})
	}},
	{name: "every bound queue gets its own copy, in order", run: func(r *rig) {
		exchange, queues := r.exchange("x", "topic", "#", "order.*", "order.placed")
		var messages []*queueing.Message
		for _, id := range ids(1, 100) {
			messages = append(messages, &queueing.Message{Exchange: exchange, RoutingKey: "order.placed", Event: newEvent(id), Mandatory: true})
		}
		r.publishAll(messages...)
		for _, queue := range queues {
			r.wantIDs(r.consume(queue, 20).acked(100), ids(1, 100))
		}
	}},
	{name: "a queue bound twice gets an event once", run: func(r *rig) {
		exchange, queues := r.exchange("x", "topic", "a.#")
		r.ensure(queueing.Topology{
			Exchanges: []mesh.Exchange{{Name: exchange, Type: "topic"}},
			Queues:    []queueing.Queue{{Name: queues[0], Type: r.queueType()}},
			Bindings:  []queueing.Binding{{Exchange: exchange, Queue: queues[0], Key: "#.b"}, {Exchange: exchange, Queue: queues[0], Key: "a.#"}},
		})
		for _, id := range []string{"1", "2"} {
			r.publish(&queueing.Message{Exchange: exchange, RoutingKey: "a.b", Event: newEvent(id), Mandatory: true})
		}
		in := r.consume(queues[0], 5)
		r.wantIDs(in.acked(2), []string{"1", "2"})
		in.wantNone()
	}},
}

// matchTopics checks every pattern against every key. What a queue got is read
// until a mark that reaches all of them.
func matchTopics(r *rig) {
	patterns := []string{"a.b.c", "a.*.c", "a.#", "#.c", "#", "*", "*.*", "a.#.c", "#.b.#", "a.*"}
	keys := map[string][]int{ // key: the patterns that match
		"a":       {2, 4, 5},
		"a.b":     {2, 4, 6, 8, 9},
		"a.c":     {2, 3, 4, 6, 7, 9},
		"a.b.c":   {0, 1, 2, 3, 4, 7, 8},
		"a.x.c":   {1, 2, 3, 4, 7},
		"a.b.x.c": {2, 3, 4, 7, 8},
		"b":       {4, 5, 8},
		"c":       {3, 4, 5},
		"x.y.z":   {4},
		"a..c":    {1, 2, 3, 4, 7},
	}
	exchange, queues := r.exchange("x", "topic", patterns...)
	var messages []*queueing.Message
	for key := range keys {
		messages = append(messages, &queueing.Message{Exchange: exchange, RoutingKey: key, Event: newEvent(key), Mandatory: true})
	}
	r.publishAll(messages...)
	for i, queue := range queues {
		r.publish(toQueue(queue, "mark"))
		var want, got []string
		for key, matching := range keys {
			if slices.Contains(matching, i) {
				want = append(want, key)
			}
		}
		in := r.consume(queue, 50)
		for id := in.acked(1)[0]; id != "mark"; id = in.acked(1)[0] {
			got = append(got, id)
		}
		slices.Sort(want)
		slices.Sort(got)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			r.Errorf("pattern %q took keys %v, want %v", patterns[i], got, want)
		}
	}
}

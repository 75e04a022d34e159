package faults

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/warrenmesh/warren/test/faults/check"
	"github.com/warrenmesh/warren/test/faults/history"
	"github.com/warrenmesh/warren/test/faults/load"
)

var topologyRows = []Scenario{
	{Row: 32, Name: "wrong-credentials", Fault: "a wrong password, when the connections are reset; then the right one", Nodes: 1, run: wrongCredentials},
	{Row: 33, Name: "vhost-deleted", Fault: "the vhost is deleted, and made again", Nodes: 1, run: vhostDeleted},
	{Row: 34, Name: "queue-deleted", Fault: "the queue is deleted under its consumer", Nodes: 1, Short: true, run: queueDeleted},
	{Row: 35, Name: "other-type", Fault: "the exchange of another topic is there, with another type", Nodes: 1, Short: true, run: otherType},
	{Row: 39, Name: "exchange-deleted", Fault: "the exchange is deleted, with every binding (beyond the matrix)", Nodes: 1, run: exchangeDeleted},
}

// wrongCredentials: a refused sidecar waits before it tries again, and no log contains
// the password.
func wrongCredentials(w *World) check.Expect {
	const secret = "a-wrong-password-7f3a"
	w.start(setup{links: 1})
	link := w.Links[0]
	before := link.Connections()
	d := w.disturb("wrong password", func() string {
		w.Mesh.WriteCredentials("guest", secret)
		w.cut(link)
		w.await("the login is refused", 20*time.Second, func() bool {
			return w.checkout.Ready(w.Context()) != nil && w.billing.Ready(w.Context()) != nil
		})
		return "both sidecars are refused: " + w.checkout.Ready(w.Context()).Error()
	})
	w.keep(4 * time.Second)
	if tried := link.Connections() - before; tried > 12 {
		w.Errorf("the sidecars' four connections tried %d times within some 4 s", tried)
	}
	d.heal(func() { w.Mesh.WriteCredentials("guest", "guest") })
	w.awaitOK(200)
	for _, s := range []*service{w.checkout, w.billing} {
		if s.Wrote(secret) {
			w.Errorf("the log of %s shows the password", s.name)
		}
	}
	w.finish()
	e := w.expect()
	e.MaxRecovery = 11 * time.Second // the slow backoff is 5 to 10 s
	return e
}

// pause ends the load and waits until every published event is delivered, because the
// fault deletes the queues with their contents. resume starts a new load.
func (w *World) pause() {
	w.Helper()
	w.Load.StopPublishing()
	w.drain()
}

func (w *World) resume(round string) {
	w.Helper()
	old := w.Load
	w.Cleanup(old.Stop)
	w.Load = load.NewGroup(w.Context())
	w.Cleanup(w.Load.Stop)
	m := standard()
	for i := range m.unary {
		w.Load.Publish(w.publisher(m, fmt.Sprintf("%s%d", round, i), 3).Unary)
	}
}

func vhostDeleted(w *World) check.Expect {
	w.start(setup{})
	w.pause()
	d := w.disturb("vhost deleted", func() string {
		w.deleteVhost(w.vhost)
		w.resume("v")
		w.await("a publish is refused", 20*time.Second, func() bool { return w.saw("BROKER_UNAVAILABLE") })
		return "the vhost is not listed, publishes are refused"
	})
	w.keep(2 * time.Second)
	if err := w.checkout.Ready(w.Context()); err == nil {
		w.Errorf("the sidecar calls itself ready without its vhost")
	} else {
		d.prove("the sidecar says: " + firstLine(err.Error()))
	}
	w.pause() // otherwise one sidecar may publish before the other's queues exist again
	d.heal(w.createVhost)
	w.await("every queue is declared again", 20*time.Second, func() bool { return w.bound(w.queueName(billing)) && w.bindings() >= 2 })
	w.resume("w")
	w.awaitOK(200)
	w.finish()
	e := w.expect()
	e.MinInFlight = 0 // nothing in flight could survive
	e.MaxRecovery = 11 * time.Second
	return e
}

func queueDeleted(w *World) check.Expect {
	w.start(setup{})
	w.pause()
	queue := w.queueName(billing)
	const lookup = `case rabbit_amqqueue:lookup(rabbit_misc:r(<<"%s">>, queue, <<"%s">>)) of {ok, Q} -> amqqueue:get_pid(Q); _ -> gone end.`
	old := w.call(lookup, w.vhost, queue)
	d := w.disturb("queue deleted", func() string {
		w.call(`{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"%s">>, queue, <<"%s">>)), rabbit_amqqueue:delete(Q, false, false, <<"rig">>).`, w.vhost, queue)
		return "deleted: " + queue
	})
	w.await("the queue is declared again", 20*time.Second, func() bool {
		now := w.call(lookup, w.vhost, queue)
		return now != "gone" && now != old || now == old && w.bound(queue)
	})
	d.heal(nil)
	w.resume("q")
	w.awaitOK(300)
	w.finish()
	e := w.expect()
	e.MinInFlight = 0 // the contents of the queue would be lost
	return e
}

// exchangeDeleted: RabbitMQ reports the deletion to no client; the sidecar notices it
// at its next publish.
func exchangeDeleted(w *World) check.Expect {
	w.start(setup{})
	w.pause()
	d := w.disturb("exchange deleted", func() string {
		w.call(`rabbit_exchange:delete(rabbit_misc:r(<<"%s">>, exchange, <<"%s">>), false, <<"rig">>).`, w.vhost, topicName)
		return "deleted: " + topicName
	})
	w.await("the exchange is declared again and bound", time.Minute, func() bool { return w.bound(w.queueName(billing)) })
	w.await("the partitions are bound again", time.Minute, func() bool { return w.bindings() >= 2 })
	d.heal(nil)
	w.resume("x")
	w.awaitOK(300)
	w.finish()
	e := w.expect()
	e.MinInFlight = 0 // an event published before every binding exists again misses a queue
	return e
}

// bindings is the number of bindings of the topic's exchange.
func (w *World) bindings() int {
	w.Helper()
	n, err := strconv.Atoi(w.call(`length(rabbit_binding:list_for_source(rabbit_misc:r(<<"%s">>, exchange, <<"%s">>))).`, w.vhost, topicName))
	if err != nil {
		w.Fatal(err)
	}
	return n
}

// bound reports whether a queue is bound to the topic's exchange.
func (w *World) bound(queue string) bool {
	w.Helper()
	return w.call(`length([B || B <- rabbit_binding:list_for_destination(rabbit_misc:r(<<"%[1]s">>, queue, <<"%[2]s">>)), element(2, B) =:= rabbit_misc:r(<<"%[1]s">>, exchange, <<"%[3]s">>)]).`, w.vhost, queue, topicName) != "0"
}

// otherType: the error names the existing type and the wanted type.
func otherType(w *World) check.Expect {
	w.start(setup{})
	if err := w.plainChannel().ExchangeDeclare("other", "fanout", true, false, false, false, nil); err != nil {
		w.Fatal(err)
	}
	w.declared.more = strings.NewReplacer("NS", w.namespace).Replace(`apiVersion: warrenmesh.io/v1alpha1
kind: EventTopic
metadata: {name: other, namespace: NS}
spec:
  brokerRef: {name: main}
  exchange: {name: other, type: topic}
---
`)
	d := w.disturb("another type", func() string {
		w.declare()
		var answer history.Answer
		var err error
		w.await("the topic is known", 20*time.Second, func() bool {
			answer, err = w.try("other", plain("other-1"))
			return answer.Reason != "TOPIC_NOT_FOUND"
		})
		text := err.Error()
		if answer.Code != "FailedPrecondition" || !strings.Contains(text, "fanout") || !strings.Contains(text, "topic") {
			w.Errorf("answered %v: %v, want FAILED_PRECONDITION that names both types", answer, err)
		}
		return firstLine(text)
	})
	d.heal(nil)
	w.keep(2 * time.Second)
	w.finish()
	return w.expect()
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

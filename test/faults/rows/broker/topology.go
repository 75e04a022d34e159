package broker

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/warrenmesh/warren/test/faults/check"
	"github.com/warrenmesh/warren/test/faults/history"
	"github.com/warrenmesh/warren/test/faults/load"
	"github.com/warrenmesh/warren/test/faults/rig"
)

var topologyRows = []rig.Scenario{
	{Row: 32, Name: "wrong-credentials", Fault: "The sidecars get a wrong password and the network resets their connections; later they get the right password", Nodes: 1, Run: wrongCredentials},
	{Row: 33, Name: "vhost-deleted", Fault: "The rig deletes the vhost and creates it again", Nodes: 1, Run: vhostDeleted},
	{Row: 34, Name: "queue-deleted", Fault: "The rig deletes the queue under its consumer", Nodes: 1, Short: true, Run: queueDeleted},
	{Row: 35, Name: "other-type", Fault: "The exchange of another topic already exists with another type", Nodes: 1, Short: true, Run: otherType},
	{Row: 39, Name: "exchange-deleted", Fault: "The rig deletes the exchange with all its bindings (beyond the matrix)", Nodes: 1, Run: exchangeDeleted},
}

// wrongCredentials: a refused sidecar waits before it tries again, and no log contains
// the password.
func wrongCredentials(w *rig.World) check.Expect {
	const secret = "a-wrong-password-7f3a"
	w.Start(rig.Setup{Links: 1})
	link := w.Links[0]
	before := link.Connections()
	d := w.Disturb("wrong password", func() string {
		w.Mesh.WriteCredentials("guest", secret)
		w.Cut(link)
		w.Await("the login is refused", 20*time.Second, func() bool {
			return w.Checkout.Ready(w.Context()) != nil && w.Billing.Ready(w.Context()) != nil
		})
		return "both sidecars are refused: " + w.Checkout.Ready(w.Context()).Error()
	})
	w.Keep(4 * time.Second)
	if tried := link.Connections() - before; tried > 12 {
		w.Errorf("the sidecars' four connections tried %d times within some 4 s", tried)
	}
	d.Heal(func() { w.Mesh.WriteCredentials("guest", "guest") })
	w.AwaitOK(200)
	for _, s := range []*rig.Service{w.Checkout, w.Billing} {
		if s.Wrote(secret) {
			w.Errorf("the log of %s shows the password", s.Name)
		}
	}
	w.Finish()
	e := w.Expect()
	e.MaxRecovery = 11 * time.Second // the slow backoff is 5 to 10 s
	return e
}

// pause ends the load and waits until every published event is delivered, because the
// fault deletes the queues with their contents. resume starts a new load.
func pause(w *rig.World) {
	w.Helper()
	w.Load.StopPublishing()
	w.Drain()
}

func resume(w *rig.World, round string) {
	w.Helper()
	old := w.Load
	w.Cleanup(old.Stop)
	w.Load = load.NewGroup(w.Context())
	w.Cleanup(w.Load.Stop)
	m := rig.Standard()
	for i := range m.Unary {
		w.Load.Publish(w.Publisher(m, fmt.Sprintf("%s%d", round, i), 3).Unary)
	}
}

func vhostDeleted(w *rig.World) check.Expect {
	w.Start(rig.Setup{})
	pause(w)
	d := w.Disturb("vhost deleted", func() string {
		w.DeleteVHost(w.VHost)
		resume(w, "v")
		w.Await("a publish is refused", 20*time.Second, func() bool { return w.Saw("BROKER_UNAVAILABLE") })
		return "the vhost is not listed, publishes are refused"
	})
	w.Keep(2 * time.Second)
	if err := w.Checkout.Ready(w.Context()); err == nil {
		w.Errorf("the sidecar calls itself ready without its vhost")
	} else {
		d.Prove("the sidecar says: " + rig.FirstLine(err.Error()))
	}
	pause(w) // otherwise one sidecar may publish before the other's queues exist again
	d.Heal(w.CreateVHost)
	w.Await("every queue is declared again", 20*time.Second, func() bool { return bound(w, w.QueueName(rig.Billing)) && bindings(w) >= 2 })
	resume(w, "w")
	w.AwaitOK(200)
	w.Finish()
	e := w.Expect()
	e.MinInFlight = 0 // nothing in flight could survive
	e.MaxRecovery = 11 * time.Second
	return e
}

func queueDeleted(w *rig.World) check.Expect {
	w.Start(rig.Setup{})
	pause(w)
	queue := w.QueueName(rig.Billing)
	const lookup = `case rabbit_amqqueue:lookup(rabbit_misc:r(<<"%s">>, queue, <<"%s">>)) of {ok, Q} -> amqqueue:get_pid(Q); _ -> gone end.`
	old := w.Call(lookup, w.VHost, queue)
	d := w.Disturb("queue deleted", func() string {
		w.Call(`{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"%s">>, queue, <<"%s">>)), rabbit_amqqueue:delete(Q, false, false, <<"rig">>).`, w.VHost, queue)
		return "deleted: " + queue
	})
	w.Await("the queue is declared again", 20*time.Second, func() bool {
		now := w.Call(lookup, w.VHost, queue)
		return now != "gone" && now != old || now == old && bound(w, queue)
	})
	d.Heal(nil)
	resume(w, "q")
	w.AwaitOK(300)
	w.Finish()
	e := w.Expect()
	e.MinInFlight = 0 // the contents of the queue would be lost
	return e
}

// exchangeDeleted: RabbitMQ reports the deletion to no client; the sidecar notices it
// at its next publish.
func exchangeDeleted(w *rig.World) check.Expect {
	w.Start(rig.Setup{})
	pause(w)
	d := w.Disturb("exchange deleted", func() string {
		w.Call(`rabbit_exchange:delete(rabbit_misc:r(<<"%s">>, exchange, <<"%s">>), false, <<"rig">>).`, w.VHost, rig.Orders)
		return "deleted: " + rig.Orders
	})
	w.Await("the exchange is declared again and bound", time.Minute, func() bool { return bound(w, w.QueueName(rig.Billing)) })
	w.Await("the partitions are bound again", time.Minute, func() bool { return bindings(w) >= 2 })
	d.Heal(nil)
	resume(w, "x")
	w.AwaitOK(300)
	w.Finish()
	e := w.Expect()
	e.MinInFlight = 0 // an event published before every binding exists again misses a queue
	return e
}

// bindings is the number of bindings of the topic's exchange.
func bindings(w *rig.World) int {
	w.Helper()
	n, err := strconv.Atoi(w.Call(`length(rabbit_binding:list_for_source(rabbit_misc:r(<<"%s">>, exchange, <<"%s">>))).`, w.VHost, rig.Orders))
	if err != nil {
		w.Fatal(err)
	}
	return n
}

// bound reports whether a queue is bound to the topic's exchange.
func bound(w *rig.World, queue string) bool {
	w.Helper()
	return w.Call(`length([B || B <- rabbit_binding:list_for_destination(rabbit_misc:r(<<"%[1]s">>, queue, <<"%[2]s">>)), element(2, B) =:= rabbit_misc:r(<<"%[1]s">>, exchange, <<"%[3]s">>)]).`, w.VHost, queue, rig.Orders) != "0"
}

// otherType: the error names the existing type and the wanted type.
func otherType(w *rig.World) check.Expect {
	w.Start(rig.Setup{})
	if err := w.PlainChannel().ExchangeDeclare("other", "fanout", true, false, false, false, nil); err != nil {
		w.Fatal(err)
	}
	w.Declared.More = strings.NewReplacer("NS", w.Namespace).Replace(`apiVersion: warrenmesh.io/v1alpha1
kind: EventTopic
metadata: {name: other, namespace: NS}
spec:
  brokerRef: {name: main}
  exchange: {name: other, type: topic}
---
`)
	d := w.Disturb("another type", func() string {
		w.Declare()
		var answer history.Answer
		var err error
		w.Await("the topic is known", 20*time.Second, func() bool {
			answer, err = w.Try("other", rig.OddEvent("other-1"))
			return answer.Reason != "TOPIC_NOT_FOUND"
		})
		text := err.Error()
		if answer.Code != "FailedPrecondition" || !strings.Contains(text, "fanout") || !strings.Contains(text, "topic") {
			w.Errorf("answered %v: %v, want FAILED_PRECONDITION that names both types", answer, err)
		}
		return rig.FirstLine(text)
	})
	d.Heal(nil)
	w.Keep(2 * time.Second)
	w.Finish()
	return w.Expect()
}
